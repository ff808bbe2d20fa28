"""Retry policy of the workflow's steps: what the chain or the store does not answer is asked again, without limit.

No retry library: every pause has to end at once when the process leaves, and a transaction must be looked for on
chain before it is sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from backend.errors import OrderFailedError, Stopping
from backend.ports import Ports
from provenance.chain.errors import ChainError
from provenance.chain.ports import TxReceipt
from provenance.errors import UnavailableError

T = TypeVar("T")
_LOG = logging.getLogger("backend.workflow")
RETRY_SECONDS = 2.0


class Retry:
    """Bound to one process: when it leaves, every pause raises Stopping."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def pause(self, seconds: float | None = None) -> None:
        """Sleeps `seconds`, or one poll interval."""
        if self._ports.stopping.wait(self._ports.settings.poll_seconds if seconds is None else seconds):
            raise Stopping

    def call(self, question: Callable[[], T]) -> T:
        """The question's answer; asked again for as long as the other side is unavailable."""
        while True:
            try:
                return question()
            except UnavailableError as error:
                _LOG.warning("no answer, trying again: %s", error)
                self.pause(RETRY_SECONDS)

    def poll(self, look: Callable[[], T | None]) -> T:
        """The first answer that is not None, with a pause between two looks."""
        while True:
            answer = self.call(look)
            if answer is not None:
                return answer
            self.pause()

    def transact(
        self,
        step: str,
        is_done: Callable[[], bool],
        send: Callable[[], TxReceipt],
        note: Callable[[TxReceipt], None],
    ) -> None:
        """Sends a transaction unless the chain already shows its effect, so a repeated step sends nothing twice.

        `note` stores the receipt. Raises OrderFailedError when the chain refuses and does not show the effect.
        """
        while not self.call(is_done):
            try:
                receipt = send()
            except UnavailableError as error:
                _LOG.warning("%s: no answer, looking again: %s", step, error)
                self.pause(RETRY_SECONDS)
            except ChainError as error:
                if self._is_done_after_all(is_done):
                    return
                raise OrderFailedError(f"{step}: {error}") from error
            else:
                note(receipt)
                return

    def _is_done_after_all(self, is_done: Callable[[], bool]) -> bool:
        """Whether somebody else's transaction made ours needless: it may not lie as deep yet as what we look at."""
        chain = self._ports.chain
        refused_at = self.call(chain.block_number)
        self.poll(lambda: chain.is_final(refused_at) or None)
        return self.call(is_done)
