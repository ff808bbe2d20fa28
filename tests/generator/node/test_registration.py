"""A node's stake at its start: what is missing, what can be paid, and when that may keep a node from its work."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import cast

import pytest

from generator.errors import NodeError
from generator.node.registration import ensure_registered
from provenance.chain.deployment import Deployment
from provenance.chain.ports import StakeOnChain
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.units import TOKENS
from provenance.values import Address, Digest
from tests.generator.node.memory import DEPLOYMENT

ME = Address(bytes([7]) * 20)
COLLECTION = Digest(bytes([1]) * 32)
WANTED = 100


@dataclass
class Account:
    """One account on a chain in memory: what it holds, and the transactions that it sent."""

    stake: StakeOnChain
    tokens: int = 0
    gas: int = 1
    allowed: int = 0
    sent: list[tuple[str, int]] = field(default_factory=list)
    deployment: Deployment = DEPLOYMENT
    address: Address = ME

    def stake_of(self, _contributor: Address) -> StakeOnChain:
        return self.stake

    def ether_balance(self, _account: Address) -> int:
        return self.gas

    def balance(self, _account: Address) -> int:
        return self.tokens

    def allowance(self, _owner: Address, _spender: Address) -> int:
        return self.allowed

    def register(self, _metadata: Digest) -> Account:
        return self._send("register", 0)

    def approve(self, _spender: Address, amount: int) -> Account:
        return self._send("approve", amount)

    def deposit(self, amount: int) -> Account:
        return self._send("deposit", amount)

    @property
    def hash(self) -> str:
        return "0x00"

    def _send(self, name: str, amount: int) -> Account:
        self.sent.append((name, amount))
        return self

    def start(self) -> None:
        ensure_registered(cast(ChainReader, self), cast(ChainWriter, self), COLLECTION, WANTED)


def stake(free: int, reserved: int = 0, *, registered: bool = True) -> StakeOnChain:
    return StakeOnChain(free, reserved, 0, 0, registered)


@pytest.mark.parametrize(("account", "words"), [
    (Account(stake(0, registered=False), tokens=WANTED, gas=0), "has no coins for gas"),
    (
        Account(stake(0, registered=False), tokens=WANTED - 1),
        f"needs {TOKENS.shown(WANTED)} more for its stake and holds {TOKENS.shown(WANTED - 1)}",
    ),
])  # fmt: skip
def test_a_new_node_that_cannot_pay_is_told_what_it_lacks_and_sends_nothing(
    account: Account, words: str
) -> None:
    with pytest.raises(NodeError, match=words):
        account.start()
    assert account.sent == []


@pytest.mark.parametrize(
    "account", [Account(stake(60, 39), tokens=0), Account(stake(60, 39), tokens=1, gas=0)]
)
def test_a_slashed_node_that_cannot_pay_goes_on_with_the_stake_it_has_and_says_so(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        account.start()
    assert account.sent == []
    assert f"Going on with a free stake of {TOKENS.shown(60)}, reserved {TOKENS.shown(39)}" in caplog.text


def test_a_slashed_node_that_can_pay_brings_its_stake_up_again() -> None:
    account = Account(stake(60, 39), tokens=1)
    account.start()
    assert account.sent == [("approve", 1), ("deposit", 1)]


def test_a_new_node_registers_and_deposits_the_whole_stake() -> None:
    account = Account(stake(0, registered=False), tokens=WANTED, allowed=WANTED)
    account.start()
    assert account.sent == [("register", 0), ("deposit", WANTED)]


def test_a_node_with_its_whole_stake_sends_nothing() -> None:
    account = Account(stake(60, 40))
    account.start()
    assert account.sent == []
