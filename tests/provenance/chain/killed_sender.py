"""A process of its own that sends one transaction and is killed (SIGKILL) before or after one of its requests."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from provenance.chain.finality import LATEST
from provenance.chain.rpc import Rpc
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.values import Address

NEVER: Final = -1
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["provenance.chain.writer"])


class CountingRpc(Rpc):
    """Counts requests; dies before request k when `dies_at` is 2k, after its answer when it is 2k + 1."""

    def __init__(self, url: str, dies_at: int = NEVER) -> None:
        super().__init__(url)
        self.requests = 0
        self.looks: list[int] = []
        """Which requests looked for a receipt."""
        self._dies_at = dies_at

    def attempt(self, method: str, params: tuple[Any, ...], action: str) -> Any:
        self._die_at(2 * self.requests)
        answer = super().attempt(method, params, action)
        self._die_at(2 * self.requests + 1)
        if method == "eth_getTransactionReceipt":
            self.looks.append(self.requests)
        self.requests += 1
        return answer

    def _die_at(self, point: int) -> None:
        if point == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Sending:
    """One call by one key, with an outbox in `folder`."""

    url: str
    secret: bytes
    folder: Path
    to: Address
    data: bytes

    def points(self) -> int:
        """Sends here, and counts the points at which every sending can be killed: up to one request after the first
        look for the receipt, for how many looks follow depends on the chain.
        """
        rpc = CountingRpc(self.url)
        self._send(rpc)
        return 2 * (rpc.looks[0] + 2)

    def send_and_die(self, dies_at: int) -> None:
        """Sends in a process that is killed at `dies_at`."""
        process = _PROCESSES.Process(target=replace(self)._run, args=(dies_at,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, (
            f"the process ended with {process.exitcode} before {dies_at}"
        )

    def _run(self, dies_at: int) -> None:
        self._send(CountingRpc(self.url, dies_at))

    def _send(self, rpc: Rpc) -> None:
        sender = TransactionSender(rpc, Signer(self.secret), outbox=self.folder, finality=LATEST)
        sender.send(self.to, self.data, "TestToken.mint")
        rpc.close()
