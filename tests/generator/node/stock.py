"""An order whose models stand: trained, scored and recorded; and a later one that is sold from them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from generator.market.worker import CoordinationWorker
from generator.node.context import Node
from provenance.api.coordination import (
    JobPlan,
    LeasedJob,
    MatchedContributor,
    Phase,
    ReusedTraining,
    ScoreResult,
    TrainResult,
)
from provenance.api.market import MarketClient
from provenance.api.queue import Progress
from provenance.chain.ports import DatasetStatus, OrderState
from provenance.record.collection import Request
from provenance.record.receipts import ShardContent
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Digest, Signature
from tests.generator.node.trained import SEED, Trained, train
from tests.generator.node.world import World, new_world

OTHER_SEED = Digest(bytes([8]) * 32)
SALT = Digest(bytes([5]) * 32)


def new_stock(folder: Path) -> Trained:
    """A training whose collection offers standing models, as the chain recorded it."""
    world = new_world(folder)
    world.collection = replace(world.collection, standing=True)
    trained = train(world)
    trained.score()
    world.chain.states[trained.order] = OrderState.SETTLED
    record(trained)
    return trained


def record(trained: Trained, **changes: Any) -> None:
    """Puts the data set of the training on chain, as far as a node looks at it."""
    shards = [
        SimpleNamespace(
            shard=k,
            contributor=model.contributor,
            model_digest=model.model_digest,
            content_digest=content_of(trained.nodes[k], trained.order).digest,
            epsilon_micro=model.epsilon_micro,
            delta_e12=model.delta_e12,
        )
        for k, model in enumerate(trained.outcome.models)
    ]
    scores = [
        SimpleNamespace(contributor=node.address, score_micro=score_of(node, trained.order))
        for node in trained.nodes
    ]
    parts = {"status": DatasetStatus.VALID, "seed": SEED, "shards": shards, "evaluations": scores}
    trained.world.chain.recorded[trained.order] = SimpleNamespace(revoked=frozenset(), **(parts | changes))


def score_of(node: Node, order: Digest) -> int:
    held = node.orders.folder(order).evaluation()
    assert held is not None
    return held[0].score_micro


def content_of(node: Node, order: Digest) -> ShardContent:
    signed = node.orders.folder(order).receipt()
    assert signed is not None
    return signed.content


@dataclass
class Broker:
    """The broker's side of a market: one job at a time, and the queue of the world."""

    world: World
    job: LeasedJob
    results: list[TrainResult | ScoreResult] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def reject_result(self, task: int, reason: str) -> None:
        self.rejected.append((task, reason))

    def __getattr__(self, name: str) -> Any:
        """The queue is the world's; its content is called otherwise there."""
        return getattr(self.world.market, {"content": "fetch"}.get(name, name))

    def lease_job(self, wait_seconds: int, lease_seconds: int) -> LeasedJob:
        return self.job

    def job_progress(self, job: LeasedJob, lease_seconds: int, progress: Progress | None) -> None:
        pass

    def finish_job(self, job: LeasedJob, result: TrainResult | ScoreResult) -> None:
        self.results.append(result)

    def fail_job(self, job: LeasedJob, reason: str) -> None:
        self.failed.append(reason)


@dataclass
class Sold:
    """An order from the stock of `trained`. Its shards are in another order than those of the training."""

    trained: Trained
    world: World
    terms: OrderTerms

    @classmethod
    def of(cls, trained: Trained, **changes: Any) -> Sold:
        request = Request("research", (), trained.order)
        world = replace(trained.world, request=changes.pop("request", request))
        return cls(trained, world, world.terms(**({"salt": SALT} | changes)))

    @property
    def order(self) -> Digest:
        return self.world.order(self.terms)

    @property
    def nodes(self) -> list[Node]:
        """In the order of the shards."""
        return self.trained.nodes[::-1]

    def match(self) -> None:
        for node in self.nodes:
            self.world.accept(node, self.terms)
        self.world.chain.states[self.order] = OrderState.MATCHED
        self.world.chain.matched[self.order] = tuple(
            Participant(node.address, rows) for node, rows in zip(self.nodes, (300, 200), strict=True)
        )

    def commit(self) -> None:
        """The models of the nodes, by the shards of this order, and a seed of its own."""
        models = {model.contributor: model.model_digest for model in self.trained.outcome.models}
        self.world.chain.committed[self.order] = tuple(models[node.address] for node in self.nodes)
        self.world.chain.seeds[self.order] = OTHER_SEED

    def plan(self, **changes: Any) -> JobPlan:
        domain, world = self.world.chain.deployment.domain, self.trained.world
        return JobPlan(
            chain_id=domain.chain_id,
            escrow=domain.verifying_contract,
            terms=self.terms,
            terms_signature=Signature(b"\x11" * 65),
            collection=self.world.collection,
            request=self.world.request,
            participants=matched(self.world.chain.matched[self.order]),
            models=None,
            seed=None,
            training=ReusedTraining(
                terms=world.terms(), request=world.request, participants=matched(world.participants)
            ),
        ).model_copy(update=changes)

    def phase(self, phase: Phase, **changes: Any) -> Broker:
        """One phase of the coordinator's worker."""
        plan = self.plan(**changes).to_document()
        broker = Broker(self.world, LeasedJob(order=self.order, phase=phase, attempt=1, plan=plan))
        CoordinationWorker(cast(MarketClient, broker), self.world.reads, threading.Event()).step()
        return broker


def matched(participants: tuple[Participant, ...]) -> tuple[MatchedContributor, ...]:
    return tuple(
        MatchedContributor(
            contributor=each.contributor,
            rows=each.rows,
            max_rows=500,
            declared_rows=1200,
            acceptance=Signature(b"\x11" * 65),
        )
        for each in participants
    )
