"""One order from its placing to a claim, and the gas of each step."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.gas.figures import Figure
from benchmarks.gas.market import ANSWER_SECONDS, ETHER, Account, GasMarket
from provenance.chain.ports import CommittedModel, DatasetRecord, EvaluationRecord, ShardRecord
from provenance.crypto.merkle import dataset_root
from provenance.crypto.permit import sign_permit
from provenance.record.receipts import (
    Acceptance,
    Evaluation,
    ModelCommitment,
    ShardReceipt,
    salt_digest,
    shares_digest,
)
from provenance.record.terms import NO_PARENTS, OrderTerms, Participant
from provenance.table.conditions_bytes import NO_CONDITIONS
from provenance.units import MICRO, WHOLE_BPS
from provenance.values import Digest, sha256
from tessera.errors import ServiceDownError

LIMITS = {"place": 120_000, "publish": 360_000, "settle": 150_000, "claim": 60_000}
"""Promised in gas, for up to three contributors, in a market that was used before."""
_ROWS = 1_000
_EPSILON_MICRO, _DELTA_E12, _SCORE_MICRO = 2_000_000, 10_000_000, 900_000
_WINDOW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class OrderParties:
    """Who takes part in an order. The same parties again make a used market."""

    buyer: Account
    broker: Account
    nodes: tuple[Account, ...]


def enrol(market: GasMarket, contributors: int) -> OrderParties:
    """A buyer, a broker that approved the escrow, and contributors with stakes."""
    nodes = tuple(market.account() for _ in range(contributors))
    deployment = market.reader.deployment
    for node in nodes:
        node.writer.register(sha256(b"metadata"))
        node.writer.approve(deployment.registry, 1_000 * ETHER)
        node.writer.deposit(1_000 * ETHER)
    broker = market.account()
    broker.writer.approve(deployment.escrow, 1_000 * ETHER)
    return OrderParties(market.account(), broker, nodes)


class Walk:
    """An order on its way; every step gives its gas."""

    def __init__(self, market: GasMarket, parties: OrderParties, salt: bytes, rows: int = _ROWS) -> None:
        self.market, self.parties, self.rows = market, parties, rows
        self.domain = market.reader.domain
        self.terms = self._terms(salt)
        self.order = self.terms.order_id(self.domain)
        count = len(parties.nodes)
        parts = [rows // count] * count
        parts[-1] += rows - sum(parts)
        self.participants = tuple(
            Participant(node.signer.address, rows) for node, rows in zip(parties.nodes, parts, strict=True)
        )
        self.models = [sha256(b"model %d" % i) for i in range(count)]
        self.shares = [WHOLE_BPS // count] * count
        self.shares[-1] += WHOLE_BPS - sum(self.shares)

    def place(self) -> int:
        """The broker relays; the buyer signs terms and permit."""
        buyer, reader = self.parties.buyer.signer, self.market.reader
        permit = sign_permit(
            buyer,
            reader.token_domain(),
            reader.permit_message(buyer.address, self.terms.price, self.terms.match_by),
        )
        signature = buyer.sign_typed(self.domain, self.terms)
        return self.parties.broker.writer.place(self.terms, signature, permit).gas_used

    def match(self) -> int:
        acceptances = [
            node.signer.sign_typed(self.domain, Acceptance(self.order, node.signer.address, self.rows))
            for node in self.parties.nodes
        ]
        offers = [self.rows] * len(self.participants)
        broker = self.parties.broker.writer
        return broker.match_order(self.terms, self.participants, acceptances, offers).gas_used

    def commit(self) -> int:
        bound = []
        for i, (node, salt) in enumerate(zip(self.parties.nodes, self.salt_digests, strict=True)):
            model = self.models[i]
            signature = node.signer.sign_typed(self.domain, ModelCommitment(self.order, i, model, salt))
            bound.append(CommittedModel(model, salt, signature))
        return self.parties.broker.writer.commit(self.order, self.participants, bound).gas_used

    def draw(self) -> int:
        self.market.mine(3)
        return self.parties.broker.writer.draw_seed(self.order, self.salt_digests, self.salts).gas_used

    @property
    def salt_digests(self) -> list[Digest]:
        """As committed."""
        return [salt_digest(self.order, i, salt) for i, salt in enumerate(self.salts)]

    @property
    def salts(self) -> list[Digest]:
        """Of the seed, one a shard."""
        return [sha256(b"salt %d" % i) for i in range(len(self.models))]

    def publish(self) -> int:
        return self.parties.broker.writer.publish(self.terms, self.participants, self._record()).gas_used

    def settle(self) -> int:
        self.market.skip(_WINDOW_SECONDS + 1)
        return self.parties.broker.writer.settle(self.terms, self.participants, self.shares).gas_used

    def claim(self) -> int:
        """The first contributor's; the others and the broker claim too, so that every pot is empty again."""
        gas = self.parties.nodes[0].writer.claim().gas_used
        for payee in (*self.parties.nodes[1:], self.parties.broker):
            payee.writer.claim()
        return gas

    @property
    def seed(self) -> Digest:
        """Once it is drawn."""
        seed = self.market.reader.commitment(self.order).seed
        if seed is None:
            raise ServiceDownError(
                f"order {self.order} has no seed, expected one after the draw; is the chain shared?"
            )
        return seed

    def receipt(self, i: int, root: Digest) -> tuple[ShardReceipt, bytes]:
        """Of shard `i`, and its signature."""
        spent, content = (_EPSILON_MICRO, _DELTA_E12), sha256(b"content")
        rows = self.participants[i].rows
        receipt = ShardReceipt(self.order, i, self.models[i], self.seed, rows, root, *spent, content)
        return receipt, self.parties.nodes[i].signer.sign_typed(self.domain, receipt)

    def _roots(self) -> list[Digest]:
        return [sha256(b"root %d" % i) for i in range(len(self.models))]

    def _record(self) -> DatasetRecord:
        roots = self._roots()
        shards = tuple(self._shard(i, root) for i, root in enumerate(roots))
        whole = dataset_root(roots)
        score = Evaluation(self.order, whole, _SCORE_MICRO, shares_digest(self.shares), sha256(b"score"))
        evaluations = tuple(
            EvaluationRecord(_SCORE_MICRO, node.signer.sign_typed(self.domain, score))
            for node in self.parties.nodes
        )
        return DatasetRecord(
            manifest_digest=sha256(b"manifest"),
            score_digest=sha256(b"score"),
            parents=(),
            shares_bps=tuple(self.shares),
            shards=shards,
            evaluations=evaluations,
        )

    def _shard(self, i: int, root: Digest) -> ShardRecord:
        receipt, signature = self.receipt(i, root)
        return ShardRecord(
            self.models[i], root, receipt.epsilon_micro, receipt.delta_e12, receipt.content_digest, signature
        )

    def _terms(self, salt: bytes) -> OrderTerms:
        now = self.market.reader.chain_time()
        return OrderTerms(
            buyer=self.parties.buyer.signer.address,
            broker=self.parties.broker.signer.address,
            collection=sha256(b"collection"),
            request=sha256(b"request"),
            delivery_key=sha256(b"delivery key"),
            rows=self.rows,
            epsilon_micro=3_000_000,
            delta_e12=_DELTA_E12,
            min_score_micro=500_000,
            min_contributors=1,
            max_contributors=5,
            broker_fee_bps=500,
            match_by=now + 600,
            deliver_by=now + 1200,
            challenge_seconds=_WINDOW_SECONDS,
            answer_seconds=ANSWER_SECONDS,
            price=10 * ETHER,
            stake=40 * ETHER,
            bond=ETHER,
            royalty_bps=250,
            conditions=NO_CONDITIONS,
            parents=NO_PARENTS,
            schema_digest=sha256(b"schema"),
            size_class=1,
            spec_version=1,
            own_real_micro=10**MICRO,
            indivisible=False,
            salt=sha256(salt),
        )


def measure(market: GasMarket) -> list[Figure]:
    """A market's first order, the next one of the same parties, and one with a single shard."""
    three, one = enrol(market, 3), enrol(market, 1)
    figures = _walk(Walk(market, three, b"first"), "3 shards, first order", promised=False)
    figures += _walk(Walk(market, three, b"second"), "3 shards, used market", promised=True)
    _walk(Walk(market, one, b"third"), "", promised=False)
    return figures + _walk(Walk(market, one, b"fourth"), "1 shard, used market", promised=True)


def _walk(walk: Walk, case: str, *, promised: bool) -> list[Figure]:
    steps = (walk.place, walk.match, walk.commit, walk.draw, walk.publish, walk.settle, walk.claim)
    return [
        Figure(step.__name__, case, step(), LIMITS.get(step.__name__) if promised else None) for step in steps
    ]
