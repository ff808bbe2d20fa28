"""What the families' steps share: names, progress, and the last step, which stores the quantised model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from generator.errors import GeneratorError
from generator.families.secure_aggregation import exact_sums_of
from generator.federation.step import Step, StepProgress
from generator.federation.task import Json, Result, answer
from generator.privacy.release import Release
from generator.privacy.statement import Mechanism, privacy_statement
from provenance import canonical
from provenance.api.tasks import FinishResult
from provenance.table.unit import Unit

STATE: Final = "state"
"""The averaged discriminator's weights in messages of family "fedgan"."""


def round_name(number: int) -> str:
    """Step name of round 1, 2, ... of families that train in rounds."""
    return f"round/{number:04}"


def answer_finish(step: Step, model: bytes, losses: Mapping[str, float]) -> Result:
    """Store the quantised generator. Nothing but the digest and figures leaves the node."""
    digest = step.order.store_model(model)
    if step.worker.check_model is not None:
        step.worker.check_model(model)
    delta = step.plan.delta if step.plan.epsilon is not None else None
    statement = statement_of(step.recorded(), delta, step.plan.schema.unit, exact_sums_of(step.plan))
    told = FinishResult(
        model_digest=digest,
        model_bytes=len(model),
        epsilon_micro=cast(int, statement["epsilonMicro"]),
        delta_e12=cast(int, statement["deltaE12"]),
        statement=statement,
        losses=loss_texts(losses),
    )
    return answer(step.task, told)


def statement_of(
    releases: tuple[Release, ...], delta: float | None, unit: Unit | None, summed: int = 0
) -> dict[str, Json]:
    """The privacy statement of an order's training releases; delta None for an order without privacy. unit, summed: see
    `privacy_statement`."""
    mechanisms = []
    for release in releases:
        if release.event is not None:
            mechanisms.append(Mechanism(release.name, release.event))
        elif delta is not None:
            raise GeneratorError(f"release {release.name} was made without noise in an order with privacy")
    statement = canonical.decode(canonical.encode(privacy_statement(mechanisms, delta, unit, summed)))
    if not isinstance(statement, dict):
        raise GeneratorError("a privacy statement must be an object")
    return statement


def loss_texts(losses: Mapping[str, float]) -> dict[str, str]:
    """Losses as decimal text: canonical JSON has no floats."""
    return {name: f"{value:.6g}" for name, value in losses.items()}


def report(step: Step, done: int, total: int, losses: Mapping[str, float]) -> None:
    """Tell whoever watches this node where the step is."""
    step.worker.progress(StepProgress(step.task.name, done, total, losses))
