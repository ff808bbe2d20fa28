"""The engine of `tessera fit`: one table, contributors simulated in this process, a `.tsm` container out.

The very coordinator, handlers and ledgers of the market run here; only the transport is a function call. With
several contributors each row, or each person where the schema names a unit, goes to one of them by an independent draw
of the system's entropy (or as `owners` says), so it touches one part's releases and the privacy of the whole is the
largest of the parts'. All rows
train, but for a tenth of small tables that several train on without epsilon, which the memorisation gate needs.

Under epsilon the schema must be public or released under privacy: fields marked as inferred were read off the table
without noise, so they are refused unless their column is vouched for in the schema. What a schema released is charged
with the fit. For the number of rows stands `declared_rows`, else what the schema released, else the number rounded down
(`delta.public_rows`); without epsilon the exact one. Privacy steps and noise are fixed by
settings before the first; `seconds` only shortens what needs no row any more. `seed` fixes initialisation;
noise and batches never depend on it.

While it works the table lies in a temporary folder that only this user can read, sealed under a key that is in memory
alone: what a killed fit leaves there nobody can open.
"""

from __future__ import annotations

import math
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from generator.errors import BudgetExceeded, FitError, NodeRefused, PrivacyError
from generator.families.family import family_of
from generator.families.settings import AutoregressiveSettings
from generator.federation.coordinator import Coordinator, RoundProgress, TrainingOutcome
from generator.federation.node import handle_bytes
from generator.federation.plan import PlanParticipant, Settings, TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import StepProgress, Worker
from generator.federation.task import Json
from generator.federation.transport import InProcessTransport
from generator.fitting.schema_budget import check_schema_budget, record_schema, within_budget
from generator.fitting.schema_values import require_held_values, require_vouched
from generator.fitting.settings import FitSettings, default_family
from generator.privacy.charge import WHOLE, Charge
from generator.privacy.delta import DEFAULT as DEFAULT_DELTA
from generator.privacy.delta import delta_for, public_rows
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.schema_release import charge_schema
from generator.privacy.units import Units
from provenance.crypto.at_rest import RestKey
from provenance.exact import SPEC_VERSION
from provenance.exact.container import Container, Part, part_weights
from provenance.table.origins import Origins
from provenance.table.persons import Rows, read_rows
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues, read_chunks
from provenance.units import E12, MICRO, round_down
from provenance.values import Address, Digest

_RESERVE_SECONDS = 2.0
_FITTING_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class FitProgress:
    """stage: the step's name. fraction: of all work, 0 to 1, a rough guide. epsilon: spent so far, None without."""

    stage: str
    fraction: float
    losses: Mapping[str, float]
    epsilon: float | None


FitProgressCallback: TypeAlias = Callable[[FitProgress], None]


def fit_csv(
    path: Path | str, schema: Schema, settings: FitSettings, progress: FitProgressCallback | None = None
) -> Container:
    """Fit the table in a CSV file, plain or .gz; errors of the file name row and column. Which of a person's rows are
    used is drawn anew."""
    check_settings(schema, settings)
    key = secrets.token_bytes(32)
    rows = read_rows(path, read_chunks(path), schema, key).used(schema, key)
    return fit(rows, schema, settings, progress)


def fit(
    rows: Rows | CompactValues,
    schema: Schema,
    settings: FitSettings,
    progress: FitProgressCallback | None = None,
    *,
    owners: NDArray[np.int64] | None = None,
    ledger: PrivacyLedger | None = None,
) -> Container:
    """Fit the rows of a table that may be used (`Rows.used`), or where `schema` names no unit stored values
    [rows, columns] alone, any signed integers.

    owners: the contributor 0, 1, ... of each row, int64[rows], where it is given and not drawn; who owns a row
    may depend on that row alone (all of a person's have one owner), and about how many each owns is public. ledger:
    the table's, at its owner: charged with the whole plan before the first step.

    Returns the container: one part a contributor, weights by declared rows, the largest part's privacy statement.
    Raises FitError for arguments that cannot be served, PlanError for settings or a budget out of range.
    """
    started = time.monotonic()
    check_settings(schema, settings)
    table = rows if isinstance(rows, Rows) else Rows(rows)
    try:
        units = Units.of(schema, len(table.values), table.persons)
    except PrivacyError as error:
        raise FitError(str(error)) from error
    if settings.epsilon is not None:
        require_held_values(table.values, schema, settings.least_rows)
    if owners is None:
        partition = random_partition(
            units, settings.contributors, _declared_rows(schema, settings, units.rows)
        )
    elif settings.declared_rows is not None:
        raise FitError(
            "declared_rows says nothing of how given owners' rows are spread: leave one of them out"
        )
    else:
        partition = given_partition(owners, units, settings.contributors, is_public=settings.epsilon is None)
    with tempfile.TemporaryDirectory(prefix="tessera-fit-") as folder:
        deadline = _deadline(settings, started)
        outcome, models = _train(
            _Table(table, schema, partition, ledger), settings, progress, Path(folder), deadline
        )
    worst = max(outcome.models, key=lambda model: model.epsilon_micro)
    weights = part_weights([participant.declared_rows for participant in outcome.plan.participants])
    return Container(
        schema=schema,
        family=outcome.plan.family,
        spec_version=SPEC_VERSION,
        parts=tuple(Part(weight, model) for weight, model in zip(weights, models, strict=True)),
        privacy=worst.statement,
        fit=_fit_document(settings, outcome, time.monotonic() - started),
    )


def check_settings(schema: Schema, settings: FitSettings) -> None:
    """Everything that can be refused before the table is read; FitError or PlanError."""
    settings.check()
    if settings.epsilon is not None:
        require_vouched(schema, settings.epsilon)
        released = None if schema.release is None else schema.release.rows
        rows = released if settings.declared_rows is None else settings.declared_rows
        if rows is not None:
            check_schema_budget(schema, settings.epsilon, _delta(settings, rows))
    if settings.conditionable and settings.family not in (None, "autoregressive"):
        raise FitError(
            f"family {settings.family} draws all columns at once, so none can be made conditionable: leave it out "
            "(rows are then met by attempts), or choose the family autoregressive"
        )
    if settings.settings and settings.family is None and settings.epsilon is not None:
        raise FitError(
            f"the settings {', '.join(sorted(settings.settings))} are a family's own, and under epsilon the default "
            "family depends on the number of rows: name the family"
        )
    if settings.declared_rows is not None and settings.declared_rows < settings.contributors:
        raise FitError(f"{settings.declared_rows} declared rows: at least one for each contributor is needed")
    plan = _plan(schema, settings, [10**6] * settings.contributors, settings.delta or DEFAULT_DELTA)
    family_of(plan.family).check(plan)


@dataclass(frozen=True, slots=True)
class Partition:
    """Which contributor gets which rows. owners int64[rows]: the contributor of each row. declared: the rows that
    each contributor states in public.
    """

    owners: NDArray[np.int64]
    declared: tuple[int, ...]


def random_partition(units: Units, contributors: int, declared_rows: int) -> Partition:
    """Independent draws of the system's entropy, every contributor at least one unit, all declaring equal parts.

    A permutation cut into equal pieces would move other units when one is added, which the accounting of each
    part alone would not cover.
    """
    count = units.rows if units.number is None else len(np.unique(units.number))
    if count < contributors:
        what = "rows" if units.number is None else "persons"
        raise FitError(f"{count} {what} cannot be split between {contributors} contributors")
    random = np.random.default_rng(secrets.randbits(128))
    owners = random.integers(0, contributors, count)
    while len(np.unique(owners)) < contributors:
        owners = random.integers(0, contributors, count)
    if units.number is not None:
        owners = owners[units.number]
    declared = max(1, declared_rows // contributors)
    return Partition(owners.astype(np.int64), (declared,) * contributors)


def given_partition(
    owners: NDArray[np.int64], units: Units, contributors: int, *, is_public: bool
) -> Partition:
    """The caller's partition, each contributor declaring the rows that it got: exactly where they are public."""
    rows = units.rows
    fits = owners.shape == (rows,) and owners.dtype.kind == "i"
    counts = np.bincount(owners) if fits and owners.min(initial=0) >= 0 else np.zeros(0, dtype=np.int64)
    if len(counts) != contributors or not counts.all():
        raise FitError(
            f"owners {owners.dtype}{list(owners.shape)} do not name each of {contributors} contributors for some "
            f"of {rows} rows: give an integer from 0 for every row"
        )
    if units.number is not None:
        first = np.zeros(int(units.number.max()) + 1, dtype=np.int64)
        first[units.number] = owners
        if not np.array_equal(first[units.number], owners):
            raise FitError("owners part the rows of one person, expected one contributor for all of them")
    declared = (count if is_public else public_rows(count) for count in counts.tolist())
    return Partition(owners, tuple(declared))


@dataclass(frozen=True, slots=True)
class _Table:
    rows: Rows
    schema: Schema
    partition: Partition
    ledger: PrivacyLedger | None


def _train(
    table: _Table,
    settings: FitSettings,
    progress: FitProgressCallback | None,
    folder: Path,
    deadline: float | None,
) -> tuple[TrainingOutcome, list[bytes]]:
    declared = table.partition.declared
    plan = _plan(table.schema, settings, declared, _delta(settings, sum(declared)))
    family = family_of(plan.family)
    plan = within_budget(plan, lambda each: family.releases(each, _address(0)))
    if table.ledger is not None:
        _count(table.ledger, plan)
    rounds = family.rounds(plan)
    watch = _Watch(progress, rounds, settings.contributors)
    states: dict[Address, ContributorState] = {}
    key = RestKey.random()
    nodes: dict[Address, Callable[[bytes], bytes]] = {}
    for index, participant in enumerate(plan.participants):
        address = participant.contributor
        state = ContributorState.create(
            folder / str(index),
            table.schema,
            _part(table.rows, table.partition.owners, index),
            PrivacyCap(None),
            key,
            hold_out=family.needs_holdout(plan),
        )
        record_schema(state.ledger, plan)
        worker = Worker(
            address,
            threads=settings.threads,
            seed=settings.seed,
            deadline=deadline,
            progress=watch.local,
        )
        states[address] = state
        nodes[address] = partial(handle_bytes, state=state, worker=worker, family=family)
    try:
        outcome = Coordinator(plan, InProcessTransport(nodes), family).run(watch.round)
    except NodeRefused as refusal:
        raise FitError(f"the fit cannot go on: {refusal.reason}") from refusal
    return outcome, [states[model.contributor].order(plan.order).model() for model in outcome.models]


def _delta(settings: FitSettings, rows: int) -> float:
    """Of the public number of rows."""
    if settings.epsilon is None:
        return settings.delta or DEFAULT_DELTA
    try:
        return delta_for(settings.delta, rows)
    except PrivacyError as error:
        raise FitError(str(error)) from error


def _count(ledger: PrivacyLedger, plan: TrainingPlan) -> None:
    """Charge schema and plan to the table's ledger: a row is in one part, so the dearest part's releases."""
    charge_schema(ledger, plan.schema)
    if plan.epsilon is None:
        ledger.note("fit without privacy", plan.family)
        return
    order, delta = Digest(secrets.token_bytes(32)), ledger.cap.delta
    parts = {family_of(plan.family).releases(plan, each.contributor) for each in plan.participants}
    dearest = max(parts, key=lambda part: Charge.of(order, part, WHOLE, delta).training.mu_squared)
    try:
        ledger.charge(dearest, order)
    except BudgetExceeded as refusal:
        raise FitError(f"this fit of epsilon {plan.epsilon:.4g} is not made: {refusal.figures}") from refusal


def _plan(schema: Schema, settings: FitSettings, declared: Sequence[int], delta: float) -> TrainingPlan:
    epsilon = settings.epsilon
    participants = tuple(PlanParticipant(_address(index), rows) for index, rows in enumerate(declared))
    return TrainingPlan(
        order=Digest(secrets.token_bytes(32)),
        family=settings.family or default_family(settings, sum(declared) // schema.unit_rows),
        schema=schema,
        epsilon_micro=None if epsilon is None else round_down(epsilon, MICRO),
        delta_e12=round_down(delta, E12),
        participants=participants,
        settings=_family_settings(settings),
    )


def _declared_rows(schema: Schema, settings: FitSettings, rows: int) -> int:
    """What stands for the number of rows: the caller's figure; under epsilon what the schema released, else the number
    rounded down."""
    if settings.declared_rows is not None:
        return settings.declared_rows
    if settings.epsilon is None:
        return rows
    return max(public_rows(rows) if schema.release is None else schema.release.rows, settings.contributors)


def _family_settings(settings: FitSettings) -> Settings:
    if not settings.conditionable:
        return settings.settings
    return {
        **settings.settings,
        AutoregressiveSettings.conditionable.name: AutoregressiveSettings.conditionable.encode(
            settings.conditionable
        ),
    }


def _address(index: int) -> Address:
    return Address((index + 1).to_bytes(20, "big"))


def _part(rows: Rows, owners: NDArray[np.int64], index: int) -> Rows:
    mine = owners == index
    if mine.all():
        return rows
    return Rows(rows.values[mine], None if rows.persons is None else rows.persons[mine])


def _deadline(settings: FitSettings, started: float) -> float | None:
    """When fitting should end; what is left of the time is for quantising, writing and the process's start."""
    if settings.seconds is None:
        return None
    return started + max(_FITTING_SHARE * settings.seconds - _RESERVE_SECONDS, 0.5 * settings.seconds)


def _fit_document(settings: FitSettings, outcome: TrainingOutcome, seconds: float) -> dict[str, Json]:
    plan = outcome.plan
    return {
        "contributors": settings.contributors,
        "declaredRows": sum(participant.declared_rows for participant in plan.participants),
        "declaredRowsAreExact": settings.epsilon is None and settings.declared_rows is None,
        "notes": list(outcome.notes),
        "schemaFrom": Origins.of(plan.schema).document(),
        "seconds": math.ceil(seconds),
        "seed": settings.seed,
        "settings": dict(plan.settings),
    }


class _Watch:
    """Turns rounds and local steps into one fraction: each round counts alike, the last one as much as all others."""

    def __init__(self, callback: FitProgressCallback | None, rounds: int, contributors: int) -> None:
        self._callback = callback
        self._total = 2 * (rounds - 1)
        self._rounds = rounds
        self._contributors = contributors
        self._done = 0
        self._nodes = 0
        self._epsilon: float | None = None

    def round(self, progress: RoundProgress) -> None:
        self._done, self._nodes = progress.round, 0
        self._epsilon = progress.epsilon
        fraction = 1.0 if progress.round == self._rounds else progress.round / self._total
        self._tell(FitProgress(progress.name, fraction, progress.losses, progress.epsilon))

    def local(self, local: StepProgress) -> None:
        weight = 0.5 if self._done == self._rounds - 1 else 1 / self._total
        inside = (self._nodes + local.done / max(local.total, 1)) / self._contributors
        if local.done == local.total:
            self._nodes += 1
        fraction = min(1.0, self._done / self._total + weight * min(inside, 1.0))
        self._tell(FitProgress(local.step, fraction, local.losses, self._epsilon))

    def _tell(self, progress: FitProgress) -> None:
        if self._callback is not None:
            self._callback(progress)
