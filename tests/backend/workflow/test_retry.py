"""A refused transaction whose effect somebody else brought about, which lies less deep than decisions look."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from backend.errors import OrderFailedError
from backend.ports import Ports
from backend.workflow.retry import Retry
from provenance.chain.errors import RevertError
from provenance.chain.ports import TxReceipt


class Chain:
    """Grows by a block with every look at how deep it is final; three blocks on top make a block so."""

    def __init__(self) -> None:
        self.head = 10

    def block_number(self) -> int:
        return self.head

    def is_final(self, block: int) -> bool:
        self.head += 1
        return block <= self.head - 3


def transact(chain: Chain, done_at: int | None) -> list[str]:
    """`done_at`: the block with somebody else's transaction to the same effect."""
    settings, told = SimpleNamespace(poll_seconds=0.001), list[str]()
    ports = SimpleNamespace(chain=chain, settings=settings, stopping=threading.Event())

    def refused() -> TxReceipt:
        told.append("sent")
        raise RevertError("place: the contract refused with OrderEscrow_WrongState", name="WrongState")

    def is_done() -> bool:
        return done_at is not None and done_at <= chain.head - 3

    Retry(cast(Ports, ports)).transact("place", is_done, refused, lambda _: told.append("mined"))
    return told


def test_refusal_is_judged_when_what_caused_it_is_final() -> None:
    chain = Chain()
    assert transact(chain, 10) == ["sent"]
    assert chain.head == 13


def test_refusal_without_the_effect_fails_the_order() -> None:
    with pytest.raises(OrderFailedError, match="place: the contract refused"):
        transact(Chain(), None)
