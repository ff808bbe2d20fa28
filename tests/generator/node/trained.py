"""An order whose nodes have trained, with real tables, nets and noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.families.family import family_of
from generator.federation.coordinator import Coordinator, TrainingOutcome
from generator.federation.task import Task
from generator.market.score import ScorePhase
from generator.market.transport import QueueTransport
from generator.node.context import Node
from provenance.api.coordination import ScoreResult
from provenance.record.terms import OrderTerms
from provenance.values import Digest
from tests.generator.node.world import World

SEED = Digest(bytes([9]) * 32)


@dataclass
class Trained:
    """An order after its training, models committed and the seed drawn."""

    world: World
    order: Digest
    outcome: TrainingOutcome
    nodes: list[Node]
    terms: OrderTerms | None = None

    def transport(self) -> QueueTransport:
        return QueueTransport(self.world.client, poll_seconds=0.001)

    def phase(self) -> ScorePhase:
        market = self.world.market
        domain = self.world.chain.deployment.domain
        return ScorePhase(domain, self.transport(), market.fetch, market.upload, lambda _text: None)

    def score(self) -> ScoreResult:
        committed = self.world.chain.commitment(self.order)
        return self.phase().run(self.world.job("score", self.terms), self.outcome, committed)

    def sample_task(self, number: int = 0, **changes: Any) -> bytes:
        meta: dict[str, Any] = {"seed": str(SEED), "draws": 1, "shard": number, "rows": (300, 200)[number]}
        return Task(self.order, "sample", self.nodes[number].address, meta | changes).encode()

    def posted(self, name: str, number: int = 0) -> Task:
        return Task.decode(self.world.market.posted[self.order, self.nodes[number].address, name][1])

    def copy_to(self, folder: Path, **how: Any) -> Trained:
        """The same over copied folders, and copies of what chain and market hold. how: see `World.node`."""
        world = self.world.copy_to(folder)
        nodes = [world.node(0, **how), world.node(1, **how)]
        world.market.nodes = {node.address: node for node in nodes}
        return Trained(world, self.order, self.outcome, nodes, self.terms)


def train(world: World, terms: OrderTerms | None = None, **how: Any) -> Trained:
    """terms: the world's own where there are none. how: see `World.node`."""
    nodes = [world.node(0, **how), world.node(1, **how)]
    for node in nodes:
        world.market.nodes[node.address] = node
        world.accept(node, terms)
    order = world.match(terms)
    plan = world.plan(terms)
    outcome = Coordinator(
        plan, QueueTransport(world.client, poll_seconds=0.001), family_of(plan.family)
    ).run()
    world.chain.committed[order] = tuple(model.model_digest for model in outcome.models)
    world.chain.seeds[order] = SEED
    return Trained(world, order, outcome, nodes, terms)
