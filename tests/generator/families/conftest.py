"""A toy table whose columns depend on each other, and a market of two or three nodes in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from generator.families.family import family_of
from generator.federation.coordinator import Coordinator, RoundProgress, TrainingOutcome
from generator.federation.node import handle_bytes
from generator.federation.plan import PlanParticipant, Settings, TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import Worker
from generator.federation.transport import InProcessTransport
from generator.privacy.ledger import PrivacyCap
from provenance.table.schema import Schema
from provenance.values import Address, sha256
from tests.generator.rest_key import REST_KEY

ROWS = 500
SMALL = {
    "marginal": {"steps": 200, "batch": 64, "latentBytes": 16, "hiddenWidth": 32, "hiddenLayers": 1},
    "fedgan": {
        "rounds": 2,
        "discriminatorSteps": 3,
        "discriminatorBatch": 40,
        "discriminatorWidth": 16,
        "steps": 120,
        "batch": 64,
        "latentBytes": 16,
        "hiddenWidth": 32,
        "hiddenLayers": 1,
    },
    "autoregressive": {
        "rounds": 60,
        "decayPercent": 10,
        "roundRows": 300,
        "privateSteps": 8,
        "privateRows": 200,
        "width": 16,
        "neurons": 8,
    },
}
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "toy",
        "target": "bought",
        "columns": [
            {"name": "age", "type": "integer", "minimum": 18, "maximum": 67},
            {"name": "town", "type": "string", "enum": ["A", "B", "C"], "nullable": True, "missing": "?"},
            {"name": "bought", "type": "boolean"},
        ],
    }
)


def toy_values(rows: int, seed: int) -> np.ndarray:
    """Whoever is older than 43 buys, mostly; the town follows the age half of the time."""
    random = np.random.default_rng(seed)
    age = random.integers(0, 50, rows)
    town = np.where(random.random(rows) < 0.5, age // 17, random.integers(0, 4, rows))
    bought = (age > 25) ^ (random.random(rows) < 0.1)
    return np.stack([age, town, bought], axis=1).astype(np.int64)


@dataclass
class Market:
    """Nodes by address; `wrap` may put something between the coordinator and one of them."""

    folder: Path
    plan: TrainingPlan
    states: dict[Address, ContributorState]
    wrap: dict[Address, Callable[[bytes], bytes]] = field(default_factory=dict)

    def node(self, address: Address) -> Callable[[bytes], bytes]:
        state = ContributorState.open(self.states[address].folder, REST_KEY)
        return partial(
            handle_bytes, state=state, worker=Worker(address, seed=1), family=family_of(self.plan.family)
        )

    def run(self, progress: Callable[[RoundProgress], None] | None = None) -> TrainingOutcome:
        nodes = {address: self.wrap.get(address, self.node(address)) for address in self.states}
        return Coordinator(self.plan, InProcessTransport(nodes), family_of(self.plan.family)).run(progress)


class MakeMarket(Protocol):
    """A market whose every contributor has `ROWS` rows; `epsilon` None trains without privacy."""

    def __call__(
        self, family: str, nodes: int = 2, epsilon: float | None = 3.0, settings: Settings | None = None
    ) -> Market: ...


@pytest.fixture
def make_market(tmp_path: Path) -> MakeMarket:
    def make(
        family: str, nodes: int = 2, epsilon: float | None = 3.0, settings: Settings | None = None
    ) -> Market:
        participants, states = [], {}
        for number in range(nodes):
            address = Address(bytes([number + 1]) * 20)
            states[address] = ContributorState.create(
                tmp_path / str(number), SCHEMA, toy_values(ROWS, number), PrivacyCap(None), REST_KEY
            )
            participants.append(PlanParticipant(address, ROWS))
        micro = None if epsilon is None else round(epsilon * 1e6)
        chosen = {**SMALL[family], **(settings or {})}
        plan = TrainingPlan(sha256(b"order"), family, SCHEMA, micro, 10_000_000, tuple(participants), chosen)
        return Market(tmp_path, plan, states)

    return make
