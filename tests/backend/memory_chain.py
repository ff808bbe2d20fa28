"""A chain in memory whose blocks tests replace, events to put into it, and a follower that reads it to its end."""

from __future__ import annotations

from dataclasses import replace

from backend.indexer.follower import Followed, Follower
from provenance.chain.events import (
    DatasetPublished,
    EvaluationRecorded,
    LogPosition,
    OrderPlaced,
    OrderPublished,
    ShardRecorded,
)
from provenance.chain.sale_events import (
    DatasetListed,
    DatasetSold,
    DatasetUnlisted,
    KeysDelivered,
    SaleAccepted,
    SaleExpired,
    SaleRejected,
)
from provenance.values import Address, Digest, Signature, sha256

WHO = Address(bytes(20))
ANN, BEN, CAT = (Address(bytes([number]) * 20) for number in (0xA1, 0xB2, 0xC3))


class MemoryChain:
    """Block number -> (hash, events)."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.blocks = {}

    def add(self, number, *events, fork="a"):
        block_hash = sha256(f"{number} {fork}".encode())
        self.blocks[number] = (block_hash, [
            replace(event, at=LogPosition(number, block_hash, sha256(f"{number} {i}".encode()), i, WHO))
            for i, event in enumerate(events)
        ])  # fmt: skip

    def cut(self, last):
        self.blocks = {number: block for number, block in self.blocks.items() if number <= last}

    def block_number(self):
        return max(self.blocks)

    def block_hash(self, number):
        return self.blocks[number][0] if number in self.blocks else None

    def events(self, first, last):
        return [event for number in range(first, last + 1) for event in self.blocks[number][1]]


def follow(ports):
    """Steps to the chain's head; what each of them did."""
    outcomes = []
    while True:
        outcomes.append(Follower(ports).step())
        if isinstance(outcomes[-1], Followed) and outcomes[-1].is_head:
            return outcomes


def order(name):
    return sha256(name.encode())


def placed(name):
    return OrderPlaced(None, order(name), WHO, WHO, 2**200)


def published(number, name):
    digest = sha256(name.encode())
    return (
        DatasetPublished(
            None, number, order(name), digest, digest, digest, digest, 60, 3, 4, 0, 1, 10**6, (), (7000, 3000)
        ),
        ShardRecorded(None, number, 0, WHO, digest, digest, 40, 3, 4, digest, Signature(b"x")),
        ShardRecorded(None, number, 1, WHO, digest, digest, 20, 3, 4, digest, Signature(b"y")),
        EvaluationRecorded(None, number, WHO, 900_000, Signature(b"z")),
        EvaluationRecorded(None, number, WHO, 800_000, Signature(b"z")),
        OrderPublished(None, order(name)),
    )  # fmt: skip


def listed(dataset, seller=ANN, price=2**95):
    return DatasetListed(None, dataset, seller, price)


def unlisted(dataset, seller=ANN):
    return DatasetUnlisted(None, dataset, seller)


def sold(dataset, seller=ANN, buyer=BEN, price=2**95):
    return DatasetSold(None, dataset, seller, buyer, price, Digest(bytes(32)), 1_900_000_000)


def delivered(dataset, seller=ANN, buyer=BEN):
    return KeysDelivered(None, dataset, seller, buyer, Signature(b"keys"), 1_900_000_500)


def accepted(dataset, seller=ANN, buyer=BEN):
    return SaleAccepted(None, dataset, seller, buyer, 5, 2**95 - 5)


def rejected(dataset, seller=ANN, buyer=BEN):
    return SaleRejected(None, dataset, seller, buyer)


def expired(dataset, seller=ANN, buyer=BEN):
    return SaleExpired(None, dataset, seller, buyer)


def every_way_to_end():
    """The events of six offers of the data sets 1 to 3, block by block; the last of them has not ended."""
    return (
        (listed(1), listed(2)),
        (listed(1, price=7), unlisted(1)),
        (listed(1), sold(1), listed(2, seller=CAT, price=8)),
        (expired(1), listed(1)),
        (sold(1, buyer=CAT), sold(2, seller=CAT, price=8), listed(3)),
        (delivered(1, buyer=CAT), delivered(2, seller=CAT), sold(3)),
        (accepted(1, buyer=CAT), rejected(2, seller=CAT)),
    )
