"""A market on a fresh anvil, and accounts with gas money and tokens."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gas.figures import Contract
from provenance.chain.deploy import Made, deploy_all
from provenance.chain.deployment import MarketParameters
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer
from provenance.values import Digest
from tessera.devnet import chain
from tessera.devnet.children import LOOPBACK, free_port
from tessera.errors import ServiceDownError

ETHER = 10**18
ANSWER_SECONDS = 60
CHECKOUT = Path(__file__).resolve().parents[2]
_START_SECONDS = 600.0
# Cheap to guess, and of no use: the chain ends with this process.
_DEPLOYER = Signer((1).to_bytes(32, "big"))


@dataclass(frozen=True, slots=True)
class Account:
    """A key that signs and a writer that sends."""

    signer: Signer
    writer: ChainWriter


class GasMarket:
    """One deployed market on a chain that nobody else uses."""

    def __init__(self, url: str) -> None:
        # A second a block, however long we take: a window must not close while we measure in it.
        chain.rpc(url, "anvil_setBlockTimestampInterval", 1)
        chain.give_gas(url, str(_DEPLOYER.address))
        self._made: list[Made] = []
        parameters = MarketParameters.local(unbonding_seconds=60)
        deployment = deploy_all(url, _DEPLOYER, parameters, tell=self._made.append)
        self.url = url
        self.reader = ChainReader(url, deployment)
        self._bank = ChainWriter(self.reader, _DEPLOYER)
        self._next = 1000

    def account(self, tokens: int = 10_000 * ETHER) -> Account:
        """A new account with gas money and tokens."""
        self._next += 1
        signer = Signer(self._next.to_bytes(32, "big"))
        self._bank.send_ether(signer.address, ETHER)
        self._bank.mint(signer.address, tokens)
        return Account(signer, ChainWriter(self.reader, signer))

    def mine(self, blocks: int) -> None:
        """Mines empty blocks."""
        chain.rpc(self.url, "anvil_mine", hex(blocks))

    def skip(self, seconds: int) -> None:
        """Moves chain time on and mines a block."""
        chain.rpc(self.url, "evm_setNextBlockTimestamp", self.reader.chain_time() + seconds)
        self.mine(1)

    def gas_within(self, transaction: Digest, role: str) -> int:
        """Gas that the contract of `role` took in a transaction that called it once: its call alone, without the
        transaction's base and calldata."""
        trace = chain.rpc(self.url, "debug_traceTransaction", str(transaction), {"tracer": "callTracer"})
        address = str(self.reader.deployment.address(role)).lower()
        calls = [call for call in _calls(trace) if str(call.get("to")).lower() == address]
        if len(calls) != 1:
            raise ServiceDownError(
                f"transaction {transaction} called {role} {len(calls)} times, expected once"
            )
        return int(str(calls[0]["gasUsed"]), 16)

    def contracts(self) -> list[Contract]:
        """Size and deployment gas of every contract, in the order of deployment."""
        return [self._contract(each) for each in self._made]

    def _contract(self, made: Made) -> Contract:
        if made.receipt is None:
            raise ServiceDownError(f"{made.contract} stood before it was deployed; is the chain shared?")
        code = str(chain.rpc(self.url, "eth_getCode", str(made.address), "latest"))
        return Contract(made.contract, len(code) // 2 - 1, made.receipt.gas_used)


def _calls(call: object) -> Iterator[dict[str, object]]:
    """A traced call and all that it called."""
    if not isinstance(call, dict):
        raise ServiceDownError(
            f"the trace holds {type(call).__name__}, expected a call; is the chain an anvil?"
        )
    yield call
    for inner in call.get("calls", ()):
        yield from _calls(inner)


@contextmanager
def market() -> Iterator[GasMarket]:
    """A chain and a market on it, both gone afterwards."""
    port = free_port()
    words = [chain.find_anvil(CHECKOUT), "--host", LOOPBACK, "--port", str(port), "--silent"]
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        _wait(url, process)
        made = GasMarket(url)
        try:
            yield made
        finally:
            made.reader.close()
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not chain.answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceDownError(f"anvil did not start at {url} within {_START_SECONDS:.0f} s")
        time.sleep(0.05)
