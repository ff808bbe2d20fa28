"""Drives an order's training round by round.

The coordinator is code the broker runs today and a lead contributor can run tomorrow: it knows a plan and a
transport, no backend, no torch and no private row. Given the contributors' results it is deterministic, and a
transport returns stored results at once; so after a kill it is simply run again.

What a family does in its rounds is its program: a Python generator that yields a `Round`, receives the
results of all contributors in the order of the plan, and returns a `ProgramEnd`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from generator.federation.aggregate import Flagged
from generator.federation.plan import TrainingPlan
from generator.federation.task import Array, Json, Result, Task, meta_of
from generator.federation.transport import Transport
from provenance.api.tasks import FINISH, FinishResult, StepResult, SumKey, TrainTask
from provenance.units import MICRO, to_float
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class Round:
    """One exchange: the same arrays go to every contributor under one step name.

    sum_keys: those of all contributors, where noise comes in parts.
    """

    name: str
    arrays: Mapping[str, Array] = field(default_factory=dict)
    sum_keys: tuple[SumKey, ...] | None = None


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """What a family's program leaves behind beside the models.

    shared: arrays all contributors got (codebook, workload). references: per contributor its released, noisy
    arrays, the public reference for evaluation and contribution. flagged: updates that were left out, and
    why. notes: sentences about the result that its readers should know.
    """

    shared: Mapping[str, Array]
    references: Mapping[Address, Mapping[str, Array]]
    flagged: tuple[Flagged, ...] = ()
    notes: tuple[str, ...] = ()


Program: TypeAlias = Generator[Round, list[Result], ProgramEnd]


@dataclass(frozen=True, slots=True)
class RoundProgress:
    """Sent after each round. losses: mean over contributors by name; epsilon: largest spent so far, None
    without DP; sent_bytes: arrays of all answers so far, of the contributor that sent most.
    """

    round: int
    rounds: int
    name: str
    losses: Mapping[str, float]
    epsilon: float | None
    sent_bytes: int


RoundCallback: TypeAlias = Callable[[RoundProgress], None]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One contributor's committed generator, from its "finish" result.

    epsilon_micro: epsilon of all its releases at delta_e12, millionths rounded up (0 without privacy).
    statement: the privacy statement it stands for.
    """

    contributor: Address
    shard: int
    model_digest: Digest
    epsilon_micro: int
    delta_e12: int
    statement: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """All models of an order in shard order, and what evaluation needs (see `ProgramEnd`)."""

    plan: TrainingPlan
    models: tuple[TrainedModel, ...]
    shared: Mapping[str, Array]
    references: Mapping[Address, Mapping[str, Array]]
    flagged: tuple[Flagged, ...]
    notes: tuple[str, ...] = ()


class CoordinatedFamily(Protocol):
    """The part of a family that a coordinator needs."""

    def check(self, plan: TrainingPlan) -> None:
        """PlanError if the plan's settings or budget do not suit the family."""
        ...

    def rounds(self, plan: TrainingPlan) -> int:
        """How many rounds the program has."""
        ...

    def program(self, plan: TrainingPlan) -> Program:
        """The rounds themselves; the last is "finish"."""
        ...


class Coordinator:
    """Runs one plan over a transport. family: the one that the plan names, `family_of(plan.family)`."""

    def __init__(self, plan: TrainingPlan, transport: Transport, family: CoordinatedFamily) -> None:
        family.check(plan)
        self._plan = plan
        self._transport = transport
        self._family = family

    def run(self, progress: RoundCallback | None = None) -> TrainingOutcome:
        """Train to the committed models.

        Raises NodeRefused, TransportError (run again later), UpdatesRejected, InvalidAnswer (a node
        answered something else than it was asked).
        """
        program = self._family.program(self._plan)
        rounds = self._family.rounds(self._plan)
        number = 0
        sent: Counter[Address] = Counter()
        step = next(program)
        while True:
            results = self._exchange(step)
            number += 1
            for result in results:
                sent[result.node] += sum(array.nbytes for array in result.arrays.values())
            told = _read(step.name, results)
            if progress is not None:
                losses, epsilon = _mean_losses(told), _largest_epsilon(told)
                progress(RoundProgress(number, rounds, step.name, losses, epsilon, max(sent.values())))
            try:
                step = program.send(results)
            except StopIteration as stop:
                end: ProgramEnd = stop.value
                break
        models = tuple(self._model(result) for result in results)
        return TrainingOutcome(self._plan, models, end.shared, end.references, end.flagged, end.notes)

    def _exchange(self, step: Round) -> list[Result]:
        said = TrainTask(plan=self._plan.message(), sum_keys=step.sum_keys)
        meta: dict[str, Json] = said.to_document()
        tasks = [
            Task(self._plan.order, step.name, participant.contributor, meta, step.arrays)
            for participant in self._plan.participants
        ]
        return self._transport.gather(tasks)

    def _model(self, result: Result) -> TrainedModel:
        finished = meta_of(FinishResult, result)
        return TrainedModel(
            contributor=result.node,
            shard=self._plan.shard(result.node),
            model_digest=finished.model_digest,
            epsilon_micro=finished.epsilon_micro,
            delta_e12=finished.delta_e12,
            statement=finished.statement,
        )


def _read(step: str, results: Sequence[Result]) -> list[StepResult | FinishResult]:
    """What every contributor says about a step; InvalidAnswer for one that says something else."""
    if step == FINISH:
        return [meta_of(FinishResult, result) for result in results]
    return [meta_of(StepResult, result) for result in results]


def _mean_losses(results: Sequence[StepResult | FinishResult]) -> dict[str, float]:
    """Over the contributors that tell a loss of that name."""
    by_name: dict[str, list[float]] = {}
    for result in results:
        for name, value in (result.losses or {}).items():
            by_name.setdefault(name, []).append(float(value))
    return {name: sum(values) / len(values) for name, values in by_name.items()}


def _largest_epsilon(results: Sequence[StepResult | FinishResult]) -> float | None:
    largest = max(result.epsilon_micro for result in results)
    return to_float(largest, MICRO) if largest else None
