"""One anvil and one deployed market for the chain's tests, on a free loopback port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provenance.chain.deploy import deploy_all
from provenance.chain.deployment import MarketParameters
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer
from tests import anvil

ETHER = 10**18


class Market:
    """A deployed market and accounts with gas money and tokens."""

    def __init__(self, rpc_url: str, chain: ChainReader) -> None:
        self.rpc_url = rpc_url
        self.chain = chain
        self.bank = ChainWriter(self.chain, Signer(anvil.DEVELOPMENT_KEY))

    def account(self, number: int) -> tuple[Signer, ChainWriter]:
        """Signer and writer of a funded account; the same number gives the same account."""
        signer = Signer(number.to_bytes(32, "big"))
        return signer, self.fund(signer)

    def fund(self, signer: Signer, tokens: int = 1000 * ETHER) -> ChainWriter:
        """A writer for `signer`, given gas money and tokens on first sight."""
        if self.chain.ether_balance(signer.address) == 0:
            self.bank.send_ether(signer.address, ETHER)
            self.bank.mint(signer.address, tokens)
        return ChainWriter(self.chain, signer)

    def skip(self, seconds: int) -> None:
        """Moves chain time and mines a block."""
        anvil.skip(self.chain.rpc, seconds)

    def mine(self, blocks: int) -> None:
        """Mines empty blocks."""
        anvil.mine(self.chain.rpc, blocks)

    def close(self) -> None:
        self.chain.close()


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    """A chain, ended with the session."""
    with anvil.running_anvil() as url:
        yield url


@contextmanager
def deployed(url: str) -> Iterator[Market]:
    """A new market on the chain."""
    bank = Signer(anvil.DEVELOPMENT_KEY)
    deployment = deploy_all(url, bank, MarketParameters.local(unbonding_seconds=60))
    market = Market(url, ChainReader(url, deployment))
    yield market
    market.close()


@pytest.fixture(scope="session")
def market(anvil_url: str) -> Iterator[Market]:
    """Contracts deployed once; tests use accounts of their own."""
    with deployed(anvil_url) as market:
        yield market
