"""Chain and market as a node sees them, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from generator.errors import TaskRefused
from generator.node.agent import HANDLERS
from generator.node.context import Node
from provenance.api.errors import MarketNotFound
from provenance.api.message import Uint256
from provenance.api.queue import RefusalView, TaskView, WorkState
from provenance.chain.deployment import CONTRACTS, Deployment
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import (
    CommitmentOnChain,
    DatasetOnChain,
    DatasetStatus,
    OrderOnChain,
    OrderState,
    ShardOnChain,
    StakeOnChain,
)
from provenance.record.terms import participants_digest
from provenance.store.unixfs import cid_of
from provenance.values import Address, Cid, Digest, keccak256
from tests.memory import MemoryChain

ADDRESSES = {role: Address(bytes([k]) * 20) for k, role in enumerate(CONTRACTS, 1)}
DEPLOYMENT = Deployment.of(31337, 1, ADDRESSES)


@dataclass
class NodeChain(MemoryChain):
    """The part of a chain that a node reads, put together from what tests say of orders. Its seeds are of block 7."""

    deployment: Deployment = DEPLOYMENT
    time_seconds: int = 1_000
    states: dict[Digest, OrderState] = field(default_factory=dict)
    committed: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    seeds: dict[Digest, Digest] = field(default_factory=dict)
    salts: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    """Digests of the committed salts."""
    final: int = 8
    """The newest block that is final."""
    statuses: dict[int, DatasetStatus] = field(default_factory=dict)
    recorded: dict[Digest, SimpleNamespace] = field(default_factory=dict)
    """By order: seed, shards and revoked shards of its data set."""
    stake: StakeOnChain = field(default_factory=lambda: StakeOnChain(10**18, 0, 0, 0, True))

    def order(self, order_id: Digest) -> OrderOnChain:
        digest = participants_digest(self.matched.get(order_id, ()))
        state = self.states.get(order_id, OrderState.NONE)
        return OrderOnChain(order_id, state, 0, digest, Digest(bytes(32)), 0)

    def commitment(self, order_id: Digest) -> CommitmentOnChain:
        models = self.committed.get(order_id, ())
        digest = keccak256(b"".join(models))
        seed, salts = self.seeds.get(order_id), self.salts.get(order_id, ())
        return CommitmentOnChain(order_id, digest, 5 if models else 0, 7, 1, seed, models, (), salts)

    def is_final(self, block: int) -> bool:
        return block <= self.final

    def dataset_of_order(self, order_id: Digest) -> int | None:
        return list(self.recorded).index(order_id) + 1 if order_id in self.recorded else None

    def dataset(self, dataset_id: int) -> DatasetOnChain:
        """The members of a record that a node looks at: of its own orders' data sets, or of a parent."""
        own = list(self.recorded.values())
        if 0 < dataset_id <= len(own):
            return cast(DatasetOnChain, own[dataset_id - 1])
        if dataset_id not in self.statuses:
            raise UnknownDatasetError(f"no data set {dataset_id}")
        return cast(DatasetOnChain, SimpleNamespace(status=self.statuses[dataset_id]))

    def recorded_shards(self, contributor: Address) -> dict[int, ShardOnChain]:
        every = ((k, shard) for k, each in enumerate(self.recorded.values(), 1) for shard in each.shards)
        return {k: shard for k, shard in every if shard.contributor == contributor}

    def claimable(self, account: Address) -> int:
        return 7

    def stake_of(self, contributor: Address) -> StakeOnChain:
        return self.stake


@dataclass
class MemoryMarket:
    """Content by CID, and a task queue whose nodes work in this process when somebody looks."""

    nodes: dict[Address, Node] = field(default_factory=dict)
    content: dict[Cid, bytes] = field(default_factory=dict)
    posted: dict[tuple[Digest, Address, str], tuple[str, bytes]] = field(default_factory=dict)
    results: dict[tuple[Digest, Address, str], bytes] = field(default_factory=dict)
    calls: int = 0

    def upload(self, data: bytes) -> Cid:
        cid = cid_of(data)
        self.content[cid] = data
        return cid

    def fetch(self, cid: Cid) -> bytes:
        if cid not in self.content:
            raise MarketNotFound(f"GET /v1/content/{cid}", 404, "not-found", "nothing is stored under it")
        return self.content[cid]

    def post_task(self, order: Digest, name: str, node: Address, kind: str, body: bytes) -> None:
        assert self.posted.setdefault((order, node, name), (kind, body)) == (kind, body)

    def tasks(self, order: Digest, name: str) -> list[TaskView]:
        keys = [(number, key) for number, key in enumerate(self.posted) if (key[0], key[2]) == (order, name)]
        return [self._status(number, key) for number, key in keys]

    def task_result(self, task_id: int) -> bytes:
        return self.results[list(self.posted)[task_id]]

    def _status(self, number: int, key: tuple[Digest, Address, str]) -> TaskView:
        kind, body = self.posted[key]
        if key not in self.results:
            self.calls += 1
            try:
                self.results[key] = HANDLERS[kind](self.nodes[key[1]], body)
            except TaskRefused as refusal:
                told = RefusalView(code=refusal.code, reason=refusal.reason)
                return self._view(number, key, WorkState.REFUSED, told)
        return self._view(number, key, WorkState.DONE)

    def _view(
        self,
        number: int,
        key: tuple[Digest, Address, str],
        state: WorkState,
        refusal: RefusalView | None = None,
    ) -> TaskView:
        order, node, name = key
        return TaskView(
            id=Uint256(number), order=order, node=node, name=name, kind=self.posted[key][0], state=state,
            attempt=1, refusal=refusal, result_digest=None,
        )  # fmt: skip
