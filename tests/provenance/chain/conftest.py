"""One anvil and one deployed market for the ledger's tests, on a free loopback port."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provenance.chain.deploy import MarketParameters, deploy_all
from provenance.chain.deployment import Deployment
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.reader import ChainReader
from provenance.chain.rpc import Rpc
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer

ANVIL = Path(__file__).parents[3] / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
# anvil's published development account 0: its key is worth nothing anywhere else.
DEVELOPMENT_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ETHER = 10**18


class Market:
    """A deployed market and accounts with gas money and tokens."""

    def __init__(self, rpc_url: str, deployment: Deployment) -> None:
        self.rpc_url = rpc_url
        self.ledger = ChainReader(rpc_url, deployment)
        self.bank = ChainWriter(self.ledger, Signer(DEVELOPMENT_KEY))

    def account(self, number: int) -> tuple[Signer, ChainWriter]:
        """Signer and writer of a funded account; the same number gives the same account."""
        signer = Signer(number.to_bytes(32, "big"))
        return signer, self.fund(signer)

    def fund(self, signer: Signer, tokens: int = 1000 * ETHER) -> ChainWriter:
        """A writer for `signer`, given gas money and tokens on first sight."""
        if self.ledger.ether_balance(signer.address) == 0:
            self.bank.send_ether(signer.address, ETHER)
            self.bank.mint(signer.address, tokens)
        return ChainWriter(self.ledger, signer)

    def skip(self, seconds: int) -> None:
        """Moves chain time and mines a block."""
        self.ledger.rpc.request("evm_increaseTime", seconds)
        self.mine(1)

    def mine(self, blocks: int) -> None:
        """Mines empty blocks."""
        self.ledger.rpc.request("anvil_mine", hex(blocks))

    def close(self) -> None:
        self.ledger.close()


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def fresh_chain() -> Iterator[str]:
    """The URL of a chain of its own."""
    port = free_port()
    process = subprocess.Popen(
        [str(ANVIL), "--port", str(port), "--host", "127.0.0.1", "--silent"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    rpc = Rpc(url)
    try:
        _wait_until_up(rpc)
        yield url
    finally:
        rpc.close()
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    """A chain, ended with the session."""
    with fresh_chain() as url:
        yield url


@contextmanager
def deployed(url: str) -> Iterator[Market]:
    """A new market on the chain."""
    market = Market(url, deploy_all(url, Signer(DEVELOPMENT_KEY), MarketParameters(unbonding_seconds=60)))
    yield market
    market.close()


@pytest.fixture(scope="session")
def market(anvil_url: str) -> Iterator[Market]:
    """Contracts deployed once; tests use accounts of their own."""
    with deployed(anvil_url) as market:
        yield market


def _wait_until_up(rpc: Rpc) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            rpc.request("eth_chainId")
            return
        except ChainUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
