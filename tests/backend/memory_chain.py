"""A chain in memory whose blocks tests replace, events to put into it, and a follower that reads it to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from backend.indexer.follower import Followed, Follower, Reorganised
from backend.ports import Ports
from provenance.chain.deployment import Deployment
from provenance.chain.events import (
    ChainEvent,
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
NOWHERE = LogPosition(0, Digest(bytes(32)), Digest(bytes(32)), 0, WHO)
"""Of an event in no block yet: `add` says where it stands."""
ANN, BEN, CAT = (Address(bytes([number]) * 20) for number in (0xA1, 0xB2, 0xC3))


Memory: TypeAlias = "tuple[MemoryChain, Ports]"


class MemoryChain:
    """Block number -> (hash, events)."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.blocks: dict[int, tuple[Digest, list[ChainEvent]]] = {}

    def add(self, number: int, *events: ChainEvent, fork: str = "a") -> None:
        block_hash = sha256(f"{number} {fork}".encode())
        self.blocks[number] = (block_hash, [
            replace(event, at=LogPosition(number, block_hash, sha256(f"{number} {i}".encode()), i, WHO))
            for i, event in enumerate(events)
        ])  # fmt: skip

    def cut(self, last: int) -> None:
        self.blocks = {number: block for number, block in self.blocks.items() if number <= last}

    def block_number(self) -> int:
        return max(self.blocks)

    def is_final(self, block: int) -> bool:
        return block <= self.block_number()

    def block_hash(self, number: int) -> Digest | None:
        return self.blocks[number][0] if number in self.blocks else None

    def events(self, first: int, last: int) -> list[ChainEvent]:
        return [event for number in range(first, last + 1) for event in self.blocks[number][1]]


def follow(ports: Ports) -> list[Followed | Reorganised]:
    """Steps to the chain's head; what each of them did."""
    outcomes: list[Followed | Reorganised] = []
    while True:
        outcomes.append(Follower(ports).step())
        if isinstance(outcomes[-1], Followed) and outcomes[-1].is_head:
            return outcomes


def order(name: str) -> Digest:
    return sha256(name.encode())


def placed(name: str) -> OrderPlaced:
    return OrderPlaced(NOWHERE, order(name), WHO, WHO, 2**200)


def published(number: int, name: str) -> tuple[ChainEvent, ...]:
    digest = sha256(name.encode())
    return (
        DatasetPublished(
            NOWHERE, number, order(name), digest, digest, digest, digest, 60, 3, 4, 0, 1, 10**6, (), (7000, 3000)
        ),
        ShardRecorded(NOWHERE, number, 0, WHO, digest, digest, 40, 3, 4, digest, Signature(b"x")),
        ShardRecorded(NOWHERE, number, 1, WHO, digest, digest, 20, 3, 4, digest, Signature(b"y")),
        EvaluationRecorded(NOWHERE, number, WHO, 900_000, Signature(b"z")),
        EvaluationRecorded(NOWHERE, number, WHO, 800_000, Signature(b"z")),
        OrderPublished(NOWHERE, order(name)),
    )  # fmt: skip


def listed(dataset: int, seller: Address = ANN, price: int = 2**95) -> DatasetListed:
    return DatasetListed(NOWHERE, dataset, seller, price)


def unlisted(dataset: int, seller: Address = ANN) -> DatasetUnlisted:
    return DatasetUnlisted(NOWHERE, dataset, seller)


def sold(dataset: int, seller: Address = ANN, buyer: Address = BEN, price: int = 2**95) -> DatasetSold:
    return DatasetSold(NOWHERE, dataset, seller, buyer, price, Digest(bytes(32)), 1_900_000_000)


def delivered(dataset: int, seller: Address = ANN, buyer: Address = BEN) -> KeysDelivered:
    return KeysDelivered(NOWHERE, dataset, seller, buyer, Signature(b"keys"), 1_900_000_500)


def accepted(dataset: int, seller: Address = ANN, buyer: Address = BEN) -> SaleAccepted:
    return SaleAccepted(NOWHERE, dataset, seller, buyer, 5, 2**95 - 5)


def rejected(dataset: int, seller: Address = ANN, buyer: Address = BEN) -> SaleRejected:
    return SaleRejected(NOWHERE, dataset, seller, buyer)


def expired(dataset: int, seller: Address = ANN, buyer: Address = BEN) -> SaleExpired:
    return SaleExpired(NOWHERE, dataset, seller, buyer)


def every_way_to_end() -> tuple[tuple[ChainEvent, ...], ...]:
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
