"""Everything around one order of a toy collection: nodes over real folders, chain and market in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from generator.federation.plan import TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.task import Task
from generator.market.jobs import OrderJob
from generator.node.agent import HANDLERS
from generator.node.context import Node
from generator.node.settings import NodeSettings
from generator.privacy.ledger import PrivacyCap
from provenance.api.coordination import Phase
from provenance.api.market import MarketClient
from provenance.api.queue import Progress
from provenance.chain.ports import ChainReads, OrderState
from provenance.crypto.at_rest import RestKey
from provenance.crypto.seal import DeliveryKey
from provenance.crypto.signing import Signer
from provenance.errors import MalformedError
from provenance.record.collection import Collection, Request
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms, Participant, parents_digest
from provenance.table.conditions_bytes import conditions_digest
from provenance.table.persons import Rows
from provenance.table.schema import Schema
from provenance.values import Cid, Digest, keccak256
from tests.generator.node.memory import DEPLOYMENT, MemoryMarket, NodeChain

AUTO = """\
default = "auto"
maximum_epsilon = "10"
maximum_epsilon_per_month = "50"
allow_without_privacy = false
trusted_partners = []
"""
"""Takes orders that keep wide limits, without asking anybody."""
BUYER, BROKER = Signer(bytes([101]) * 32), Signer(bytes([102]) * 32)
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
class World:
    """Everything around one order. Participants: the first two nodes, 300 and 200 rows of the data set."""

    folder: Path
    chain: NodeChain
    market: MemoryMarket
    collection: Collection
    request: Request
    delivery: DeliveryKey

    def copy_to(self, folder: Path) -> World:
        """The same world over copied folders; what is done in one is not seen in the other."""
        shutil.copytree(self.folder, folder)
        chain = replace(self.chain)
        for name, held in vars(self.chain).items():
            setattr(chain, name, copy(held) if isinstance(held, dict | set) else held)
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
        policy: str = AUTO,
        upload: Callable[[bytes], Cid] | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Node:
        folder = self.folder / f"node{number}"
        state, key = folder / "table", RestKey.of(self.signer(number))
        if not (state / "schema.json").exists():
            rows = toy_rows(number, self.collection.schema)
            ContributorState.create(state, self.collection.schema, rows, PrivacyCap(cap), key)
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
            ContributorState.open(state, key),
            self.reads,
            upload or self.market.upload,
            self.market.fetch,
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

    def policy_without_privacy(self) -> str:
        """Takes orders without epsilon, and trusts both nodes to keep their vectors to themselves."""
        text = AUTO.replace("allow_without_privacy = false", "allow_without_privacy = true")
        trusted = json.dumps([str(self.signer(number).address) for number in (0, 1)])
        return text.replace("trusted_partners = []", f"trusted_partners = {trusted}")

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


def toy_rows(number: int, schema: Schema) -> Rows:
    """The rows of `toy_table` that a node uses: where there is a unit, about 300 persons have 1 to 7 of them each."""
    values = toy_table(number)
    if schema.unit is None:
        return Rows(values)
    persons = np.stack(
        [np.repeat(np.arange(310), np.arange(310) % 7 + 1)[:1200], np.full(1200, number)], axis=1
    )
    return Rows(values, persons.astype(np.int64)).used(schema, bytes([number + 1]) * 32)


def new_world(folder: Path) -> World:
    settings: dict[str, int | str | bool] = {"steps": 40, "batch": 32, "hiddenWidth": 16, "hiddenLayers": 1}
    collection = Collection(
        "toy", "Toy", Schema.parse(SCHEMA), "marginal", "private", 2, 10**15, 3_000_000, settings
    )
    delivery = DeliveryKey(bytes([77]) * 32)
    return World(folder, NodeChain(), MemoryMarket(), collection, Request("research"), delivery)
