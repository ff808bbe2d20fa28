"""Waiting and repeating: polls until something holds, repeats what did not answer, leaves when the process
does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from backend.errors import OrderFailedError, Stopping
from backend.ports import Ports
from provenance.chain.errors import ChainError, RevertError
from provenance.chain.ports import TxReceipt
from provenance.errors import UnavailableError

T = TypeVar("T")
_LOG = logging.getLogger("backend.workflow")
RETRY_SECONDS = 2.0


class Patience:
    """Bound to one process: `stopping` unwinds every wait by raising Stopping."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def pause(self, seconds: float | None = None) -> None:
        """Sleeps one poll interval, or `seconds`."""
        if self._ports.stopping.wait(self._ports.settings.poll_seconds if seconds is None else seconds):
            raise Stopping

    def ask(self, question: Callable[[], T]) -> T:
        """The answer of something outside, asked again for as long as it does not answer at all."""
        while True:
            try:
                return question()
            except UnavailableError as error:
                _LOG.warning("no answer, trying again: %s", error)
                self.pause(RETRY_SECONDS)

    def until(self, look: Callable[[], T | None]) -> T:
        """The first answer that is not None."""
        while True:
            answer = self.ask(look)
            if answer is not None:
                return answer
            self.pause()

    def chain_time_after(self, moment: int, also: Callable[[], object] = lambda: None) -> None:
        """Returns once the chain's time is past `moment`; `also` is asked at every look and may raise."""

        def look() -> bool | None:
            also()
            return True if self._ports.ledger.chain_time() > moment else None

        self.until(look)

    def transact(
        self,
        step: str,
        is_done: Callable[[], bool],
        send: Callable[[], TxReceipt],
        sent: Callable[[TxReceipt], None],
    ) -> None:
        """Sends a transaction whose effect the chain does not show yet; so a repeated step sends nothing
        twice.

        Raises OrderFailedError when the contract refuses and the effect is not there by other means.
        """
        while not self.ask(is_done):
            try:
                receipt = send()
            except RevertError as error:
                if self.ask(is_done):
                    return
                raise OrderFailedError(f"{step}: {error}") from error
            except UnavailableError as error:
                _LOG.warning("%s: no answer, looking again: %s", step, error)
                self.pause(RETRY_SECONDS)
            except ChainError as error:
                if self.ask(is_done):
                    return
                raise OrderFailedError(f"{step}: {error}") from error
            else:
                sent(receipt)
                return
