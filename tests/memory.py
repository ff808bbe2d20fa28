"""A market and a content store in memory: the twins of ChainReader and FolderStore.

The chain answers what it was given and enforces nothing; only the contracts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from provenance.chain.deployment import Deployment
from provenance.chain.dispute_events import ReceiptAnswered
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.events import ChainEvent
from provenance.chain.ports import (
    Absence,
    CommitmentOnChain,
    DatasetOnChain,
    ExcusedEvaluation,
    OrderLimits,
    OrderOnChain,
    OrderState,
    Purchase,
    ShardOnChain,
    ShardsOnChain,
    StakeOnChain,
)
from provenance.errors import ContentMissingError
from provenance.record.terms import Participant
from provenance.store.unixfs import check_content, cid_of
from provenance.values import Address, Cid, Digest

_NO_DIGEST = Digest(bytes(32))


@dataclass
class MemoryChain:
    """Keeps the promises of ChainReads over plain dictionaries."""

    deployment: Deployment
    block: int = 1
    time_seconds: int = 0
    orders: dict[Digest, OrderOnChain] = field(default_factory=dict)
    commitments: dict[Digest, CommitmentOnChain] = field(default_factory=dict)
    datasets: dict[int, DatasetOnChain] = field(default_factory=dict)
    matched: dict[Digest, tuple[Participant, ...]] = field(default_factory=dict)
    block_hashes: dict[int, Digest] = field(default_factory=dict)
    contracts: set[Address] = field(default_factory=set)
    stakes: dict[Address, StakeOnChain] = field(default_factory=dict)
    balances: dict[Address, int] = field(default_factory=dict)
    rewards: dict[Address, int] = field(default_factory=dict)
    demands: dict[tuple[Digest, int], DemandOnChain] = field(default_factory=dict)
    fixed: set[Digest] = field(default_factory=set)
    out: dict[Digest, ShardsOnChain] = field(default_factory=dict)
    deadlines: dict[Digest, int] = field(default_factory=dict)
    excuses: dict[tuple[Digest, int], Absence] = field(default_factory=dict)
    manifests: dict[Digest, bytes] = field(default_factory=dict)
    """As they were shown on chain."""
    models: dict[tuple[Digest, int], bytes] = field(default_factory=dict)
    """By order and shard, in clear, as they were shown on chain."""
    receipts: dict[tuple[Digest, int], ReceiptAnswered] = field(default_factory=dict)
    warned: set[tuple[Digest, int]] = field(default_factory=set)
    """Demands whose first time passed."""
    shown_evaluations: dict[tuple[Digest, int], ExcusedEvaluation] = field(default_factory=dict)
    resold: dict[int, tuple[Purchase, ...]] = field(default_factory=dict)
    log: list[ChainEvent] = field(default_factory=list)

    def block_number(self) -> int:
        return self.block

    def is_final(self, block: int) -> bool:
        return block <= self.block

    def chain_time(self) -> int:
        return self.time_seconds

    def block_hash(self, number: int) -> Digest | None:
        return self.block_hashes.get(number)

    def order(self, order_id: Digest) -> OrderOnChain:
        unknown = OrderOnChain(order_id, OrderState.NONE, 0, _NO_DIGEST, _NO_DIGEST, 0)
        return self.orders.get(order_id, unknown)

    def commitment(self, order_id: Digest) -> CommitmentOnChain:
        unknown = CommitmentOnChain(order_id, _NO_DIGEST, 0, 0, 0, None, (), ())
        return self.commitments.get(order_id, unknown)

    def dataset(self, dataset_id: int) -> DatasetOnChain:
        if dataset_id not in self.datasets:
            raise UnknownDatasetError(f"no data set {dataset_id} is recorded; check the number")
        return self.datasets[dataset_id]

    def dataset_of_order(self, order_id: Digest) -> int | None:
        return next((number for number, each in self.datasets.items() if each.order == order_id), None)

    def recorded_shards(self, contributor: Address) -> dict[int, ShardOnChain]:
        every = ((number, shard) for number, each in self.datasets.items() for shard in each.shards)
        return {number: shard for number, shard in every if shard.contributor == contributor}

    def participants(self, order_id: Digest) -> tuple[Participant, ...]:
        return self.matched.get(order_id, ())

    def is_contract(self, account: Address) -> bool:
        return account in self.contracts

    def stake_of(self, contributor: Address) -> StakeOnChain:
        return self.stakes.get(contributor, StakeOnChain(0, 0, 0, 0, False))

    def uptime_feed(self) -> Address | None:
        return None

    def limits(self) -> OrderLimits:
        return OrderLimits(1)

    def end_of(self, deadline: int, length: int) -> int:
        return deadline

    def is_hash_fixed(self, order_id: Digest) -> bool:
        return order_id in self.fixed

    def shards(self, order_id: Digest) -> ShardsOnChain:
        return self.out.get(order_id, ShardsOnChain())

    def deadline(self, order_id: Digest) -> int:
        return self.deadlines.get(order_id, 0)

    def is_overdue(self, order_id: Digest) -> bool:
        return self.chain_time() > self.deadline(order_id)

    def excuse(self, order_id: Digest, shard: int) -> Absence:
        return self.excuses.get((order_id, shard), Absence.NONE)

    def excused_evaluation(self, order_id: Digest, shard: int) -> ExcusedEvaluation:
        shown = self.shown_evaluations.get((order_id, shard))
        return shown or ExcusedEvaluation(self.excuse(order_id, shard))

    def balance(self, account: Address) -> int:
        return self.balances.get(account, 0)

    def claimable(self, account: Address) -> int:
        return self.rewards.get(account, 0)

    def shown_manifest(self, order_id: Digest) -> bytes | None:
        return self.manifests.get(order_id)

    def shown_models(self, order_id: Digest) -> dict[int, bytes]:
        return {shard: model for (order, shard), model in self.models.items() if order == order_id}

    def answered_receipt(self, order_id: Digest, shard: int) -> ReceiptAnswered | None:
        return self.receipts.get((order_id, shard))

    def is_warned(self, order: Digest, shard: int) -> bool:
        return (order, shard) in self.warned

    def purchases(self, dataset: int) -> tuple[Purchase, ...]:
        return self.resold.get(dataset, ())

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        nobody = Address(bytes(20))
        return self.demands.get((order, shard), DemandOnChain(order, shard, DemandKind.NONE, nobody, 0, 0, 0))

    def events(self, from_block: int, to_block: int) -> Sequence[ChainEvent]:
        return [event for event in self.log if from_block <= event.at.block <= to_block]


class MemoryStore:
    """A dictionary that keeps the promises of `ContentStore`."""

    def __init__(self) -> None:
        self._contents: dict[Cid, bytes] = {}

    def put(self, data: bytes) -> Cid:
        """Keeps a copy of `data`."""
        cid = cid_of(data)
        self._contents[cid] = bytes(data)
        return cid

    def get(self, cid: Cid) -> bytes:
        """The bytes under `cid`; ContentMissingError if they were never put."""
        return check_content(cid, self._find(cid))

    def drop(self, cid: Cid) -> None:
        """Loses what was put under `cid`."""
        del self._contents[cid]

    def values(self) -> list[bytes]:
        """All that was put."""
        return list(self._contents.values())

    def has(self, cid: Cid) -> bool:
        """Whether `cid` was put."""
        return cid in self._contents

    def size(self, cid: Cid) -> int:
        """Bytes under `cid`."""
        return len(self._find(cid))

    def _find(self, cid: Cid) -> bytes:
        try:
            return self._contents[cid]
        except KeyError as error:
            raise ContentMissingError(
                f"{cid}: not in this store; put it first or ask another store"
            ) from error
