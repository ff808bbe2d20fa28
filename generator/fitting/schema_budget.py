"""What a schema's own release costs, as events of the accountant, and what it leaves of a fit's budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from generator.errors import FitError
from generator.federation.plan import TrainingPlan
from generator.privacy.accountant import (
    GaussianEvent,
    Threshold,
    epsilon_of,
    gaussian_mu,
    gdp_epsilon,
    gdp_mu,
    noise_delta,
)
from generator.privacy.ledger import PrivacyLedger
from generator.privacy.release import Release, composed_epsilon
from provenance.table.remarks import Release as SchemaRelease
from provenance.table.schema import Schema
from provenance.units import MICRO, round_down, to_float

_TRIES = 12


def events_of(release: SchemaRelease) -> tuple[tuple[str, GaussianEvent], ...]:
    """The parts of a schema's release by name."""
    unit_rows = 1 if release.unit is None else release.unit.rows
    return tuple(
        (
            part.name,
            GaussianEvent(
                to_float(part.noise_multiplier_micro, MICRO),
                threshold=None
                if part.threshold is None
                else Threshold(
                    part.threshold.columns,
                    part.threshold.least,
                    to_float(part.threshold.std_micro, MICRO),
                    unit_rows,
                ),
            ),
        )
        for part in release.parts
    )


def schema_releases(schema: Schema) -> tuple[Release, ...]:
    """What the schema tells about the rows that it was read off; () where it was declared."""
    parts = () if schema.release is None else events_of(schema.release)
    return tuple(Release(f"schema/{name}", event) for name, event in parts)


def charge_schema(ledger: PrivacyLedger, schema: Schema) -> None:
    """Charges the schema's release to its table's ledger: once, however many fits use it, and whatever the cap, because
    it was made already.
    """
    if schema.release is not None:
        ledger.charge(schema_releases(schema), schema.release.id, is_made=True)


def record_schema(ledger: PrivacyLedger, plan: TrainingPlan) -> None:
    """Writes the schema's release into the ledger of one order, whose statement counts it."""
    if plan.epsilon is None:
        return
    for release in schema_releases(plan.schema):
        ledger.record(release, order=plan.order, delta=plan.delta)


def check_schema_budget(schema: Schema, epsilon: float, delta: float) -> None:
    """FitError where the schema alone has spent all of (epsilon, delta)."""
    releases = schema_releases(schema)
    spent = composed_epsilon(releases, delta) if releases else 0.0
    if math.isinf(spent):
        raise FitError(
            f"the thresholds of the schema's release need more than delta {delta:g}: infer it with a smaller delta"
        )
    if releases and spent >= epsilon:
        raise FitError(
            f"epsilon {epsilon:g} at delta {delta:g} is for schema and fit together, and the schema's release has "
            f"spent {spent:.4g}: ask for more, or for a schema of a smaller epsilon"
        )


def within_budget(
    plan: TrainingPlan, releases_of: Callable[[TrainingPlan], Sequence[Release]]
) -> TrainingPlan:
    """The plan with so much epsilon that its releases and its schema's together keep the plan's epsilon.

    releases_of: what one contributor releases in a plan. Raises FitError where nothing is left.
    """
    before = schema_releases(plan.schema)
    asked = plan.epsilon
    if not before or asked is None:
        return plan
    check_schema_budget(plan.schema, asked, plan.delta)
    events = [release.event for release in before if release.event is not None]
    spent, delta = gaussian_mu(events), noise_delta(events, plan.delta)
    assert spent is not None, "a schema's release is Gaussian"
    left = gdp_epsilon(math.sqrt(max(gdp_mu(asked, delta) ** 2 - spent**2, 0.0)), delta)
    for attempt in range(_TRIES):
        if left <= 0:
            break
        smaller = replace(plan, epsilon_micro=max(1, round_down(left, MICRO)))
        total = composed_epsilon([*before, *releases_of(smaller)], plan.delta)
        if total <= asked:
            return smaller
        left -= 2**attempt * (total - asked)  # the total may fall by a small part of what is taken off
    raise FitError(
        f"epsilon {asked:g} is for schema and fit together, and the schema's release, epsilon "
        f"{epsilon_of(events, plan.delta):.4g}, leaves too little: ask for more"
    )
