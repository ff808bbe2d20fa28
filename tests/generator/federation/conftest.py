"""A small table, a plan over it and a family that only counts: what the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from generator.federation.coordinator import Program, ProgramEnd, Round
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import Step
from generator.federation.task import Result, answer
from generator.privacy.accountant import GaussianEvent
from generator.privacy.ledger import PrivacyCap
from generator.privacy.noise import noisy_counts, to_steps
from generator.privacy.release import Release
from provenance.api.tasks import FinishResult
from provenance.table.schema import Schema
from provenance.values import Address, Digest, sha256
from tests.generator.rest_key import REST_KEY

ORDER = sha256(b"an order")


def address(number: int) -> Address:
    return Address(bytes([number]) * 20)


@dataclass
class CountingFamily:
    """Releases the number of rows with noise, in steps of 2^-24, twice, then "finishes". Counts its calls."""

    name: str = "marginal"
    noise_multiplier: float = 4.0
    asked: list[str] = field(default_factory=list)
    die: Callable[[str], None] = lambda _: None

    def check(self, plan: TrainingPlan) -> None:
        """Any plan will do."""

    def rounds(self, plan: TrainingPlan) -> int:
        return 3

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:
        event = None if plan.epsilon is None else GaussianEvent(self.noise_multiplier)
        return (Release("bins", event), Release("tables", event))

    def program(self, plan: TrainingPlan) -> Program:
        bins = yield Round("bins")
        total = sum(result.arrays["count"] for result in bins)
        tables = yield Round("tables", {"total": np.asarray(total)})
        yield Round("finish")
        return ProgramEnd({}, {r.node: dict(r.arrays) for r in tables})

    def handle(self, step: Step) -> Result:
        name = step.task.name
        self.asked.append(name)
        if name == "finish":
            digest = step.order.store_model(b"model of " + step.worker.contributor)
            told = FinishResult(
                model_digest=digest, model_bytes=5, epsilon_micro=1, delta_e12=2,
                statement={}, losses={},
            )  # fmt: skip
            return answer(step.task, told)
        event = step.record(name).event
        self.die("recorded")
        std = 0.0 if event is None else event.noise_multiplier
        count = to_steps(noisy_counts(np.array([len(step.state.training)]), std, -24), -24)
        self.die("drawn")
        return answer(step.task, {"losses": {"count": "0.5"}, "epsilonMicro": 7}, {"count": count})


@pytest.fixture
def family() -> CountingFamily:
    return CountingFamily()


@pytest.fixture
def schema() -> Schema:
    return Schema.parse(
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


@pytest.fixture
def values(schema: Schema) -> np.ndarray:
    random = np.random.default_rng(5)
    return np.stack([random.integers(0, c, 400) for c in schema.cardinalities], axis=1).astype(np.int64)


@pytest.fixture
def make_plan(schema: Schema) -> Callable[..., TrainingPlan]:
    def make(nodes: int = 1, epsilon: float | None = 1.0, order: Digest = ORDER) -> TrainingPlan:
        participants = tuple(PlanParticipant(address(i + 1), 400) for i in range(nodes))
        micro = None if epsilon is None else round(epsilon * 1e6)
        return TrainingPlan(order, "marginal", schema, micro, 10_000_000, participants, {"tables": 3})

    return make


@pytest.fixture
def make_state(tmp_path: Path, schema: Schema, values: np.ndarray) -> Callable[..., ContributorState]:
    def make(name: str = "node", epsilon: float | None = 10.0) -> ContributorState:
        return ContributorState.create(tmp_path / name, schema, values, PrivacyCap(epsilon, 1e-5), REST_KEY)

    return make
