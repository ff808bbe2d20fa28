"""What a model gives away about its training table, found by attacking it on the owner's machine.

Membership: the attacker scores a row by its log density under the model minus that under a reference model. Rows known
not to have trained stand against rows that did. From ENOUGH_FOR_MODEL of the former on, the reference is a model of
rows that the audited one never saw: half of them fit the one that judges the other half, and the other way round, so no
row is judged by a model that saw it. Fewer make no model worth having: then it is independent columns, counted over all
rows, which know those that trained no better than the others. Who did not train is known in one of three ways
(`Membership.known_by`): rows that the fit set aside (`aside`), other rows of the population, or, where all rows
trained, by fitting again with the model's own settings on four rows in five.

Canaries: one more fit, with rows of chance planted by a coin each (`generator.evaluation.canaries`).

Nothing is released: no figure is private, none is counted against epsilon, all are for the owner of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.canaries import LEAST_CANARIES, EpsilonBound, epsilon_bound, random_rows
from generator.evaluation.density import columns_log_density, mixture_log_density
from generator.evaluation.membership import AttackReport, HitRate, attack, hit_rate
from generator.evaluation.mixed_space import MixedSpace, nearest
from generator.evaluation.row_metrics import copy_rate
from generator.fitting.fit import FitProgress, fit
from generator.fitting.settings import FitSettings
from provenance.canonical import JsonValue
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.persons import Rows, numbered, strangers
from provenance.units import E12, MICRO, to_float

LEAST_OTHERS: Final = 40
"""Rows that did not train, below which nobody is told from anybody."""
LEAST_ROWS: Final = LEAST_OTHERS * 5
ENOUGH_FOR_MODEL: Final = 600
FALSE_RATES: Final = (0.01, 0.001)
OWNER_ONLY: Final = (
    "For the owner of the table only: these figures were read off real rows without noise, no epsilon covers them, and "
    "they are not counted in the table's ledger. Do not publish this report."
)
_FOLDS: Final = 5
_ENOUGH_OTHERS: Final = 1_000
_MOST_JUDGED: Final = 10_000
_MOST_CLOSENESS: Final = 3_000
_LATENTS: Final = 2_048
_OFTEN_CANARIES: Final = 200

Floats = NDArray[np.float64]
Values = NDArray[np.int64]
Tell = Callable[[str, float], None]
Fitted = Callable[[Rows, str], Container]


@dataclass(frozen=True, slots=True)
class Membership:
    """known_by: how non-members are known, in words. refits: of the audited settings, 0 where the model itself was
    attacked. rates: hit rates at FALSE_RATES, None where too few rows did not train."""

    attack: AttackReport
    rates: tuple[HitRate | None, ...]
    known_by: str
    refits: int


@dataclass(frozen=True, slots=True)
class Closeness:
    """Of `rows` drawn rows: how many equal a training row. repeated: share of training rows that another equals.
    nearest: median distance of a drawn row to its nearest training row; own: of a training row to its nearest other.
    """

    rows: int
    copies: int
    repeated: float
    nearest: float
    own: float


@dataclass(frozen=True, slots=True)
class AuditReport:
    """rows: that trained. epsilon, delta: what the model states, None and 0 without privacy."""

    schema: str
    family: str
    rows: int
    epsilon: float | None
    delta: float
    membership: Membership
    canaries: EpsilonBound | None
    closeness: Closeness
    notes: tuple[str, ...]

    @property
    def refuted(self) -> bool:
        """Whether the canaries found that more was spent than the model states."""
        return self.epsilon is not None and self.canaries is not None and self.canaries.epsilon > self.epsilon


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """other: rows int64[m, C] of the population that did not train. canaries: rows to plant, 0 for none, None for a
    number that the table bears. seed: of all that is drawn but noise."""

    other: Values | None = None
    canaries: int | None = None
    seed: int = 0
    threads: int = 1


def audit(
    container: Container, rows: Rows | Values, aside: NDArray[np.bool_], request: AuditRequest,
    tell: Tell = lambda _what, _share: None,
) -> AuditReport:  # fmt: skip
    """Attack a model with the rows of the table that it was fitted to, or of a part of it: where the schema names no
    unit stored values int64[n, C] alone.

    aside: the rows, bool[n], that a fit of this table by this owner sets aside. EvaluationError for a table that is
    not the model's, for too few rows, and for a model that `tessera fit` did not write.
    """
    notes: list[str] = []
    table = _rows(container, rows)
    trained, others = _sides(container, _values(table), aside, request, notes)
    training = _values(table)[trained]
    random = np.random.default_rng(request.seed)
    planted = _canaries(request.canaries, len(training))
    fits = _fits(container, table.where(trained), request.threads, tell, len(others), planted)
    membership = _membership(container, others, random, fits, notes)
    bound = _plant(container, planted, random, fits) if planted else None
    if not planted:
        notes.append("No canaries were planted, so there is no lower bound on epsilon.")
    epsilon, delta = _stated(container, "epsilonMicro", MICRO) or None, _stated(container, "deltaE12", E12)
    tell("copies", 0.97)
    return AuditReport(
        schema=container.schema.name,
        family=container.family,
        rows=len(training),
        epsilon=epsilon,
        delta=delta,
        membership=membership,
        canaries=bound,
        closeness=_closeness(container, training, random),
        notes=(*notes, OWNER_ONLY),
    )


def quick_attack(
    container: Container, rows: Rows | Values, aside: NDArray[np.bool_], threads: int = 1
) -> AttackReport | None:
    """The membership attack alone, at the cost of one more fit where no row was set aside; None for too few rows."""
    table = _rows(container, rows)
    others = _values(table)[aside]
    if len(aside) - len(others) < LEAST_ROWS:
        return None
    fits = _fits(container, table.where(~aside), threads, lambda _what, _share: None, len(others), 0)
    return _membership(container, others, np.random.default_rng(0), replace(fits, folds=1), []).attack


def settings_of(container: Container) -> FitSettings:
    """What to ask of a fit to get such a model again. EvaluationError for a file that `tessera fit` did not write."""
    document = container.fit
    contributors, seconds, settings = (document.get(key) for key in ("contributors", "seconds", "settings"))
    if not isinstance(contributors, int) or not isinstance(seconds, int) or not isinstance(settings, dict):
        raise EvaluationError(
            "the model does not say how it was fitted: expected a file that `tessera fit` or `Model.save` wrote"
        )
    epsilon, declared = _stated(container, "epsilonMicro", MICRO) or None, document.get("declaredRows")
    return FitSettings(
        family=container.family,
        epsilon=epsilon,
        delta=_stated(container, "deltaE12", E12) or None,
        weak_privacy=True,
        contributors=contributors,
        seconds=max(60.0, 2.0 * seconds),  # a guide: the first fit may have been cut where this one is not
        least_rows=1,  # of a part of the table, whose values were looked at in the whole
        declared_rows=declared if epsilon is not None and isinstance(declared, int) else None,
        settings=_family_settings(settings),
    )


@dataclass(frozen=True, slots=True)
class _Fits:
    """training: the rows that trained. again: fits with the audited settings. reference: of the attacker. folds: of a
    table whose rows all trained."""

    training: Rows
    again: Fitted
    reference: Fitted
    folds: int = _FOLDS

    def left_out(self, random: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
        """Of each fold the rows that do not train, one in five: whole persons, for a row of a person who trained is no
        row of somebody who did not."""
        persons = self.training.persons
        number = np.arange(len(self.training.values)) if persons is None else numbered(persons)
        order = random.permutation(int(number.max()) + 1)
        for fold in range(self.folds):
            yield np.isin(number, order[fold::_FOLDS])


def _fits(container: Container, training: Rows, threads: int, tell: Tell, others: int, planted: int) -> _Fits:
    """Fits that tell how far the whole audit is."""
    settings, rows = settings_of(container), len(training.values)
    folds = 0 if others >= LEAST_OTHERS else min(_FOLDS, -(-_ENOUGH_OTHERS * _FOLDS // max(rows, 1)))
    judged = others if not folds else rows // _FOLDS
    total = folds + 2 * max(folds, 1) * (judged >= ENOUGH_FOR_MODEL) + bool(planted)
    done = 0

    def make(rows: Rows, what: str, asked: FitSettings) -> Container:
        nonlocal done
        start, done = done, done + 1

        def watch(seen: FitProgress) -> None:
            tell(what, 0.95 * (start + seen.fraction) / total)

        return fit(rows, container.schema, replace(asked, threads=threads), watch)

    reference = FitSettings(family="autoregressive")
    return _Fits(
        training=training,
        again=lambda rows, what: make(rows, what, settings),
        reference=lambda rows, what: make(rows, what, reference),
        folds=folds,
    )


def _sides(
    container: Container, values: Values, aside: NDArray[np.bool_], request: AuditRequest, notes: list[str]
) -> tuple[NDArray[np.bool_], Values]:
    """(which rows trained, rows that are known not to have)."""
    other = np.empty((0, values.shape[1]), np.int64) if request.other is None else request.other
    if request.other is not None and len(other) < LEAST_OTHERS:
        raise EvaluationError(
            f"{len(other)} reference rows: expected at least {LEAST_OTHERS} of the same population that did not train"
        )
    declared, contributors = container.fit.get("declaredRows"), container.fit.get("contributors")
    trained = np.ones(len(values), dtype=np.bool_)
    if (
        container.fit.get("declaredRowsAreExact") is True
        and isinstance(declared, int)
        and isinstance(contributors, int)
    ):
        saw = range(declared, declared + contributors)
        if len(values) not in saw and int((~aside).sum()) in saw and aside.any():
            trained, other = ~aside, np.concatenate([values[aside], other])
        elif len(values) >= saw.stop:
            raise EvaluationError(
                f"the table has {len(values):,} rows, and the model was fitted to {declared:,}: give the table that it "
                "was fitted to, or a part of it, on the machine of its owner"
            )
        elif len(values) < declared:
            notes.append(
                f"The table has {len(values):,} of the {declared:,} rows that the model was fitted to: all of them are "
                "taken to have trained."
            )
    if trained.sum() < LEAST_ROWS:
        raise EvaluationError(
            f"{trained.sum()} training rows: expected at least {LEAST_ROWS} to attack with; give a larger part of the "
            "table"
        )
    return trained, other


def _membership(
    container: Container, others: Values, random: np.random.Generator, fits: _Fits, notes: list[str]
) -> Membership:
    training = _values(fits.training)
    if len(others) >= LEAST_OTHERS:
        scores = [_judged(container, training, others, random, fits)]
        known_by = f"{len(others):,} rows that the fit set aside, or that were given as a reference"
        refits = 0
    else:
        scores = []
        refits = fits.folds
        for fold, out in enumerate(fits.left_out(random)):
            again = fits.again(fits.training.where(~out), f"fitting again, {fold + 1} of {refits}")
            scores.append(_judged(again, training[~out], training[out], random, fits))
        known_by = (
            f"the model saw all rows, so models like it were fitted ({refits}), each on four rows in five, and "
            "attacked with the fifth: the figures are theirs"
        )
    members, apart = (np.concatenate(side) for side in zip(*scores, strict=True))
    rates = tuple(hit_rate(members, apart, rate) for rate in FALSE_RATES)
    for rate, found in zip(FALSE_RATES, rates, strict=True):
        if found is None:
            notes.append(
                f"{len(apart):,} rows that did not train are too few for a false-positive rate of {rate:.1%}: "
                f"{round(1 / rate):,} are needed. Give other rows of the same population as a reference."
            )
    return Membership(attack(members, apart), rates, known_by, refits)


def _judged(
    model: Container, training: Values, others: Values, random: np.random.Generator, fits: _Fits
) -> tuple[Floats, Floats]:
    """Scores of members and of others; see the module."""
    members = random.permutation(training)[:_MOST_JUDGED]
    apart = random.permutation(others)[:_MOST_JUDGED]
    own = [mixture_log_density(model, rows, latents=_LATENTS) for rows in (members, apart)]
    if len(apart) < ENOUGH_FOR_MODEL:
        both, first = np.concatenate([members, apart]), model.parts[0].model_bytes
        known = [columns_log_density(first, both, rows) for rows in (members, apart)]
    else:
        known = [np.empty(len(rows)) for rows in (members, apart)]
        for half in range(2):
            known_others = strangers(apart[1 - half :: 2], model.schema)
            reference = fits.reference(known_others, "fitting a reference model")
            for rows, scores in zip((members, apart), known, strict=True):
                scores[half::2] = mixture_log_density(reference, rows[half::2])
    return own[0] - known[0], own[1] - known[1]


def _plant(container: Container, count: int, random: np.random.Generator, fits: _Fits) -> EpsilonBound:
    """One more fit, with canaries by a coin each, every one somebody's own; the audited model, which saw none, is the
    reference."""
    canaries = random_rows(container.schema, count, random)
    planted = random.random(count) < 0.5
    whole = fits.training.beside(strangers(canaries[planted], container.schema))
    again = fits.again(whole, "fitting with canaries")
    scores = mixture_log_density(again, canaries, latents=_LATENTS)
    scores -= mixture_log_density(container, canaries, latents=_LATENTS)
    return epsilon_bound(scores, planted, _stated(container, "deltaE12", E12))


def _canaries(asked: int | None, rows: int) -> int:
    count = min(_OFTEN_CANARIES, rows // 2) if asked is None else asked
    if count and not LEAST_CANARIES <= count <= rows:
        raise EvaluationError(
            f"{count} canaries in {rows:,} rows: expected 0, or {LEAST_CANARIES} to as many as there are rows"
        )
    return count


def _closeness(container: Container, training: Values, random: np.random.Generator) -> Closeness:
    """Of as many rows as trained, at most _MOST_CLOSENESS, drawn with a seed of the audit."""
    count = min(len(training), _MOST_CLOSENESS)
    drawn = ContainerSampler(container, random.bytes(32)).values(0, count)
    own = random.permutation(training)[:count]
    space = MixedSpace(container.schema, own)
    points = space.points(own)
    _, first, counts = np.unique(training, axis=0, return_inverse=True, return_counts=True)
    return Closeness(
        rows=count,
        copies=round(copy_rate(drawn, training) * count),
        repeated=float((counts[first] > 1).mean()),
        nearest=float(np.median(nearest(space.points(drawn), points, 1))),
        own=float(np.median(nearest(points, points, 1, same=True))),
    )


def _rows(container: Container, rows: Rows | Values) -> Rows:
    return rows if isinstance(rows, Rows) else strangers(rows, container.schema)


def _values(rows: Rows) -> Values:
    return np.asarray(rows.values, dtype=np.int64)


def _stated(container: Container, name: str, digits: int) -> float:
    stated = container.privacy.get(name)
    return to_float(stated, digits) if isinstance(stated, int) else 0.0


def _family_settings(found: Mapping[str, JsonValue]) -> dict[str, int | str]:
    return {name: value for name, value in found.items() if isinstance(value, int | str)}
