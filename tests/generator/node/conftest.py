"""A small world: three tables of one collection, a chain and a market in memory, and nodes over real folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import numpy as np
import pytest

from generator.errors import TaskRefused
from generator.federation.plan import TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.task import Task
from generator.market.jobs import OrderJob
from generator.node.agent import HANDLERS
from generator.node.context import Node
from generator.node.policy import DEFAULT_TEXT
from generator.node.settings import NodeSettings
from generator.privacy.ledger import PrivacyCap
from provenance.api.coordination import Phase
from provenance.api.market import MarketClient
from provenance.api.message import Uint256
from provenance.api.queue import Progress, RefusalView, TaskView, WorkState
from provenance.chain.deployment import CONTRACTS, Deployment
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import (
    Absence,
    ChainReads,
    CommitmentOnChain,
    DatasetStatus,
    OrderLimits,
    OrderOnChain,
    OrderState,
    ShardsOnChain,
    StakeOnChain,
)
from provenance.crypto.seal import DeliveryKey
from provenance.crypto.signing import Signer
from provenance.errors import MalformedError
from provenance.record.collection import Collection, Request
from provenance.record.receipts import Acceptance
from provenance.record.terms import (
    OPEN_DELIVERY_KEY,
    OrderTerms,
    Participant,
    parents_digest,
    participants_digest,
)
from provenance.store.unixfs import cid_of
from provenance.table.conditions_bytes import conditions_digest
from provenance.table.schema import Schema
from provenance.values import Address, Cid, Digest, keccak256

ADDRESSES = {role: Address(bytes([k]) * 20) for k, role in enumerate(CONTRACTS, 1)}
DEPLOYMENT = Deployment.of(31337, 1, ADDRESSES)
BUYER, BROKER = Signer(bytes([101]) * 32), Signer(bytes([102]) * 32)
SEED = Digest(bytes([9]) * 32)
SCHEMA = {
    "format": "tessera-schema/1",
    "name": "toy",
    "target": "c",
    "columns": [
        {"name": "a", "type": "integer", "minimum": 0, "maximum": 19, "multipleOf": 1, "nullable": False},
        {"name": "b", "type": "string", "enum": ["p", "q", "r"], "nullable": True, "missing": "?"},
        {"name": "c", "type": "string", "enum": ["no", "yes"], "nullable": False},
    ],
}


@dataclass
class MemoryChain:
    """The part of a chain that a node reads."""

    deployment: Deployment = DEPLOYMENT
    now: int = 1_000
    states: dict[Digest, OrderState] = field(default_factory=dict)
    matched: dict[Digest, tuple[Participant, ...]] = field(default_factory=dict)
    committed: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    seeds: dict[Digest, Digest] = field(default_factory=dict)
    salts: dict[Digest, tuple[Digest, ...]] = field(default_factory=dict)
    """Digests of the committed salts."""
    fixed: set[Digest] = field(default_factory=set)
    out: dict[Digest, ShardsOnChain] = field(default_factory=dict)
    deadlines: dict[Digest, int] = field(default_factory=dict)
    excuses: dict[tuple[Digest, int], Absence] = field(default_factory=dict)
    final: int = 8
    """The newest block that is final; the seed's is 7."""
    statuses: dict[int, DatasetStatus] = field(default_factory=dict)
    stake: StakeOnChain = field(default_factory=lambda: StakeOnChain(10**18, 0, 0, 0, True))

    def chain_time(self) -> int:
        return self.now

    def order(self, order: Digest) -> OrderOnChain:
        digest = participants_digest(self.matched.get(order, ()))
        state = self.states.get(order, OrderState.NONE)
        return OrderOnChain(order, state, 0, digest, Digest(bytes(32)), 0)

    def participants(self, order: Digest) -> tuple[Participant, ...]:
        return self.matched.get(order, ())

    def commitment(self, order: Digest) -> CommitmentOnChain:
        models = self.committed.get(order, ())
        digest = keccak256(b"".join(models))
        seed = self.seeds.get(order)
        salts = self.salts.get(order, ())
        return CommitmentOnChain(order, digest, 5 if models else 0, 7, 1, seed, models, (), salts)

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

    def excuse(self, order_id: Digest, shard: int) -> Absence:
        return self.excuses.get((order_id, shard), Absence.NONE)

    def is_final(self, block: int) -> bool:
        return block <= self.final

    def dataset(self, dataset_id: int) -> SimpleNamespace:
        """The one member of a record that a node looks at."""
        if dataset_id not in self.statuses:
            raise UnknownDatasetError(f"no data set {dataset_id}")
        return SimpleNamespace(status=self.statuses[dataset_id])

    def claimable(self, contributor: Address) -> int:
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


@dataclass
class World:
    """Everything around one order. Participants: the first two nodes, 300 and 200 rows of the data set."""

    folder: Path
    chain: MemoryChain
    market: MemoryMarket
    collection: Collection
    request: Request
    delivery: DeliveryKey

    def copy_to(self, folder: Path) -> World:
        """The same world over copied folders; what is done in one is not seen in the other."""
        shutil.copytree(self.folder, folder)
        old = self.chain
        chain = replace(
            old,
            states=dict(old.states),
            matched=dict(old.matched),
            committed=dict(old.committed),
            seeds=dict(old.seeds),
            salts=dict(old.salts),
            fixed=set(old.fixed),
            out=dict(old.out),
            statuses=dict(old.statuses),
        )
        market = replace(
            self.market,
            nodes={},
            content=dict(self.market.content),
            posted=dict(self.market.posted),
            results=dict(self.market.results),
        )
        return replace(self, folder=folder, chain=chain, market=market)

    @property
    def reads(self) -> ChainReads:
        """The chain, of which node and coordinator ask what it has."""
        return cast(ChainReads, self.chain)

    @property
    def client(self) -> MarketClient:
        """The market, of which node and coordinator ask what it has."""
        return cast(MarketClient, self.market)

    def signer(self, number: int) -> Signer:
        return Signer(bytes([number + 1]) * 32)

    def node(
        self,
        number: int = 0,
        *,
        cap: float | None = 10.0,
        policy: str = DEFAULT_TEXT,
        upload: Callable[[bytes], Cid] | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Node:
        folder = self.folder / f"node{number}"
        state = folder / "table"
        if not (state / "schema.json").exists():
            ContributorState.create(state, self.collection.schema, toy_table(number), PrivacyCap(cap))
        (folder / "policy.toml").write_text(policy)
        settings = NodeSettings(
            backend="http://127.0.0.1:1",
            rpc="http://127.0.0.1:2",
            collection=str(self.collection.digest),
            declared_rows=1200,
            stake_wei=10**18,
            lease_seconds=600,
        )
        return Node(
            folder,
            settings,
            self.signer(number),
            self.collection,
            ContributorState.open(state),
            self.reads,
            upload or self.market.upload,
            progress,
        )

    def terms(self, **changes: Any) -> OrderTerms:
        terms = OrderTerms(
            buyer=BUYER.address,
            broker=BROKER.address,
            collection=self.collection.digest,
            request=self.request.digest,
            delivery_key=self.delivery.public,
            rows=500,
            epsilon_micro=3_000_000,
            delta_e12=10_000_000,
            min_score_micro=0,
            min_contributors=2,
            max_contributors=4,
            broker_fee_bps=100,
            match_by=2_000,
            deliver_by=3_000,
            challenge_seconds=10,
            answer_seconds=100,
            price=5 * 10**18,
            stake=10**17,
            bond=10**17,
            royalty_bps=self.collection.royalty_bps,
            conditions=self._conditions(),
            parents=parents_digest(self.collection.parents),
            schema_digest=self.collection.schema.digest,
            size_class=1,
            spec_version=1,
            own_real_micro=self.collection.own_real_micro,
            indivisible=False,
            salt=Digest(bytes(32)),
        )
        return replace(terms, **changes)

    def _conditions(self) -> Digest:
        """Of requests that no node takes: some digest."""
        try:
            return conditions_digest(self.request.asked(self.collection.schema, 500))
        except MalformedError:
            return keccak256(b"no conditions")

    def order(self, terms: OrderTerms | None = None) -> Digest:
        return (terms or self.terms()).order_id(DEPLOYMENT.domain)

    def offer(self, terms: OrderTerms | None = None, **changes: object) -> bytes:
        terms = terms or self.terms()
        document: dict[str, object] = {
            "format": "tessera-accept/1",
            "orderId": str(self.order(terms)),
            "terms": terms.document(),
            "signature": str(BUYER.sign_typed(DEPLOYMENT.domain, terms)),
            "collection": self.collection.document(),
            "request": self.request.document(),
            "chainId": 31337,
            "escrow": str(DEPLOYMENT.escrow),
        }
        return json.dumps(document | changes).encode()

    def open(self, terms: OrderTerms | None = None) -> Digest:
        order = self.order(terms)
        self.chain.states[order] = OrderState.OPEN
        return order

    def match(self, terms: OrderTerms | None = None) -> Digest:
        order = self.order(terms)
        self.chain.states[order] = OrderState.MATCHED
        self.chain.matched[order] = self.participants
        return order

    @property
    def participants(self) -> tuple[Participant, ...]:
        return (Participant(self.signer(0).address, 300), Participant(self.signer(1).address, 200))

    def job(self, phase: Phase, terms: OrderTerms | None = None) -> OrderJob:
        terms = terms or self.terms()
        asked = self.request.asked(self.collection.schema, terms.rows)
        return OrderJob(
            self.order(terms), phase, terms, self.collection, self.participants, (1200, 1200), asked
        )

    def plan(self, terms: OrderTerms | None = None) -> TrainingPlan:
        return self.job("train", terms).training_plan()

    def training_task(self, node: Node, plan: TrainingPlan | None = None, name: str = "bins") -> bytes:
        plan = plan or self.plan()
        return Task(plan.order, name, node.address, {"plan": plan.document()}, {}).encode()

    def accept(self, node: Node, terms: OrderTerms | None = None) -> Acceptance:
        self.open(terms)
        answer = json.loads(HANDLERS["accept"](node, self.offer(terms)))
        return Acceptance(self.order(terms), node.address, answer["maxRows"])


def toy_table(number: int) -> np.ndarray:
    """1,200 rows in which b and c follow a."""
    chance = np.random.default_rng(number)
    a = chance.integers(0, 20, 1200)
    b = np.where(chance.random(1200) < 0.8, a // 7, chance.integers(0, 4, 1200))
    c = np.where(chance.random(1200) < 0.9, a > 9, chance.random(1200) < 0.5).astype(np.int64)
    return np.stack([a, b, c], axis=1).astype(np.int64)


MakeWorld: TypeAlias = Callable[[Path], World]


@pytest.fixture(scope="module")
def make_world() -> MakeWorld:
    return new_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path)


def new_world(folder: Path) -> World:
    settings: dict[str, int | str | bool] = {"steps": 40, "batch": 32, "hiddenWidth": 16, "hiddenLayers": 1}
    collection = Collection(
        "toy", "Toy", Schema.parse(SCHEMA), "marginal", "private", 2, 10**15, 3_000_000, settings
    )
    delivery = DeliveryKey(bytes([77]) * 32)
    return World(folder, MemoryChain(), MemoryMarket(), collection, Request("research"), delivery)


@pytest.fixture
def open_delivery_key() -> Digest:
    return OPEN_DELIVERY_KEY


@pytest.fixture
def seed() -> Digest:
    return SEED
