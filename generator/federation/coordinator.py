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

from generator.errors import TaskFormatError
from generator.federation.aggregate import Flagged
from generator.federation.plan import TrainingPlan
from generator.federation.task import Array, Json, Result, Task
from generator.federation.transport import Transport
from provenance.errors import ProvenanceError
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class Round:
    """One exchange: the same meta and arrays go to every contributor under one step name."""

    name: str
    meta: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


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
    commit_signature: the contributor's signature over the commitment, "" where nobody asked for one.
    statement: the privacy statement it stands for.
    """

    contributor: Address
    shard: int
    model_digest: Digest
    epsilon_micro: int
    delta_e12: int
    commit_signature: str
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

        Raises NodeRefused, TransportError (run again later), UpdatesRejected, TaskFormatError (a node
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
            if progress is not None:
                losses, epsilon = _mean_losses(results), _largest_epsilon(results)
                progress(RoundProgress(number, rounds, step.name, losses, epsilon, max(sent.values())))
            try:
                step = program.send(results)
            except StopIteration as stop:
                end: ProgramEnd = stop.value
                break
        models = tuple(self._model(result) for result in results)
        return TrainingOutcome(self._plan, models, end.shared, end.references, end.flagged, end.notes)

    def _exchange(self, step: Round) -> list[Result]:
        plan: Json = self._plan.document()
        meta: dict[str, Json] = {**step.meta, "plan": plan}
        tasks = [
            Task(self._plan.order, step.name, participant.contributor, meta, step.arrays)
            for participant in self._plan.participants
        ]
        results = self._transport.gather(tasks)
        for task, result in zip(tasks, results, strict=True):
            if result.key != task.key:
                raise TaskFormatError(
                    f"asked {task.node} for {task.name}, got {result.name} from {result.node} "
                    "or of another order"
                )
        return results

    def _model(self, result: Result) -> TrainedModel:
        try:
            digest = Digest.parse(text_of(result, "modelDigest"))
        except (ProvenanceError, ValueError) as error:
            raise TaskFormatError(f"{result.node} sent an unreadable model digest: {error}") from error
        statement = result.meta.get("statement")
        if not isinstance(statement, dict):
            raise TaskFormatError(f"{result.node} sent no privacy statement with its model")
        return TrainedModel(
            contributor=result.node,
            shard=self._plan.shard(result.node),
            model_digest=digest,
            epsilon_micro=integer_of(result, "epsilonMicro"),
            delta_e12=integer_of(result, "deltaE12"),
            commit_signature=text_of(result, "commitSignature"),
            statement=statement,
        )


def text_of(message: Result | Task, key: str) -> str:
    """A text entry of a message's meta; TaskFormatError if it is something else."""
    value = message.meta.get(key)
    if not isinstance(value, str):
        raise TaskFormatError(f"{message.name} of {message.node}: entry {key} is {value!r}, expected text")
    return value


def integer_of(message: Result | Task, key: str) -> int:
    """A non-negative integer entry of a message's meta; TaskFormatError if it is something else."""
    value = message.meta.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TaskFormatError(
            f"{message.name} of {message.node}: entry {key} is {value!r}, expected an integer >= 0"
        )
    return value


def _mean_losses(results: Sequence[Result]) -> dict[str, float]:
    """Losses travel as decimal text: canonical JSON has no floats."""
    found: dict[str, list[float]] = {}
    for result in results:
        losses = result.meta.get("losses")
        for name, value in (losses if isinstance(losses, dict) else {}).items():
            try:
                found.setdefault(name, []).append(float(str(value)))
            except ValueError as error:
                raise TaskFormatError(
                    f"{result.node} reports loss {name} as {value!r}, expected a number"
                ) from error
    return {name: sum(values) / len(values) for name, values in found.items()}


def _largest_epsilon(results: Sequence[Result]) -> float | None:
    spent = [value for r in results if isinstance(value := r.meta.get("epsilonMicro"), int) and value > 0]
    return max(spent) / 1e6 if spent else None
