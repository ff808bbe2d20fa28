"""Everything that `tessera evaluate` says about synthetic rows, as one value.

Real rows are read without any noise: the report is for whoever may see the real table, not for publication, and no
figure in it is a privacy guarantee. What could not be measured is None, and `notes` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.cells import BadCells, BrokenRule, CheckedTable, plain_schema
from generator.evaluation.distances import Distances, table_distances
from generator.evaluation.judge import utility_auc
from generator.evaluation.membership import MIN_ROWS, AttackReport, sample_attack
from generator.evaluation.row_metrics import DensityCoverage, copy_rate, density_coverage
from provenance.table.schema import Schema

LEAST_ROWS: Final = 20
TEST_SHARE: Final = 0.3
NOT_PRIVATE: Final = (
    "These figures were read off real rows without noise: they are not private, and none of them is a privacy "
    "guarantee."
)

Values = NDArray[np.int64]
Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Utility:
    """AUC on real test rows of gradient boosting trained on synthetic rows and on real rows."""

    synthetic_auc: float
    real_auc: float


@dataclass(frozen=True, slots=True)
class ColumnFigures:
    """distance: total variation to the test rows; floor: that of real training rows. Shares of missing cells."""

    name: str
    kind: str
    distance: float
    floor: float
    missing_synthetic: float
    missing_real: float


@dataclass(frozen=True, slots=True)
class PairFigures:
    """As of a column, of the joint table of two."""

    first: str
    second: str
    distance: float
    floor: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """tvd1, tvd2 beside their floors: what real training rows reach against the same test rows.

    columns and pairs: the worst first. copies: share of synthetic rows that equal a real training row; beside
    it that of test rows. attack: who was in the training table, guessed from synthetic rows alone.
    """

    schema: str
    rows_real: int
    rows_synthetic: int
    rows_test: int
    own_test: bool
    outside: tuple[BadCells, ...]
    broken: tuple[BrokenRule, ...]
    left_out: int
    utility: Utility | None
    tvd1: float
    tvd2: float
    floor1: float
    floor2: float
    columns: tuple[ColumnFigures, ...]
    pairs: tuple[PairFigures, ...]
    space: DensityCoverage
    real_space: DensityCoverage
    copies: float
    test_copies: float
    attack: AttackReport | None
    notes: tuple[str, ...]


def evaluate(
    real: CheckedTable, synthetic: CheckedTable, schema: Schema, test: CheckedTable | None = None,
    *, seed: int = 0, tell: Tell = lambda _what, _share: None,
) -> EvaluationReport:  # fmt: skip
    """Judge checked synthetic rows against the real rows that the generator was fitted to.

    test: real rows that did not train; None sets TEST_SHARE of the real rows aside for comparison, and leaves the
    attack out. EvaluationError below LEAST_ROWS rows of anything.
    """
    plain = plain_schema(schema)
    training, held_out, notes = _sides(real.values, None if test is None else test.values, seed)
    rows = synthetic.values
    for what, count in (("real", len(training)), ("synthetic", len(rows)), ("test", len(held_out))):
        if count < LEAST_ROWS:
            raise EvaluationError(
                f"{count} {what} rows can be judged, expected at least {LEAST_ROWS}; give a larger table"
            )
    tell("prediction", 0.0)
    utility = _utility(rows, training, held_out, plain, notes)
    ours = table_distances(
        rows, held_out, plain, seed=seed, tell=lambda part: tell("distances", 0.25 + part / 4)
    )
    floor = table_distances(training, held_out, plain, seed=seed)
    if not ours.all_pairs:
        notes.append(f"{len(ours.pairs):,} pairs of columns were drawn; the table has more.")
    tell("neighbours", 0.6)
    space = density_coverage(rows, held_out, plain, seed=seed)
    real_space = density_coverage(training, held_out, plain, seed=seed)
    tell("copies and membership", 0.8)
    attack = None
    if test is not None and len(held_out) >= 2 * MIN_ROWS:
        attack = sample_attack(rows, training, held_out, plain, seed=seed)
    return EvaluationReport(
        schema=schema.name,
        rows_real=real.rows,
        rows_synthetic=synthetic.rows,
        rows_test=len(held_out),
        own_test=test is not None,
        outside=synthetic.outside,
        broken=synthetic.broken,
        left_out=synthetic.left_out,
        utility=utility,
        tvd1=ours.tvd1,
        tvd2=ours.tvd2,
        floor1=floor.tvd1,
        floor2=floor.tvd2,
        columns=_columns(rows, real.values, plain, ours, floor),
        pairs=_pairs(plain, ours, floor),
        space=space,
        real_space=real_space,
        copies=copy_rate(rows, real.values),
        test_copies=copy_rate(held_out, training),
        attack=attack,
        notes=(*notes, NOT_PRIVATE),
    )


def _sides(real: Values, test: Values | None, seed: int) -> tuple[Values, Values, list[str]]:
    """(training rows, test rows, notes)."""
    if test is not None:
        return real, test, []
    order = np.random.default_rng(seed).permutation(len(real))
    count = round(TEST_SHARE * len(real))
    note = (
        f"No test rows were given: {TEST_SHARE:.0%} of the real rows stand in for them. If the generator was fitted "
        "to those too, distances and AUC flatter it, and the membership attack has nobody to compare members with: "
        "give real rows that did not train as test rows."
    )
    return real[order[count:]], real[order[:count]], [note]


def _utility(
    rows: Values, training: Values, test: Values, schema: Schema, notes: list[str]
) -> Utility | None:
    target = schema.target_index
    if target is None:
        notes.append("The schema names no target, so nothing was predicted.")
        return None
    if len(np.unique(test[:, target])) < 2:
        notes.append("The test rows hold one value of the target, so nothing was predicted.")
        return None
    synthetic = utility_auc(rows, test, schema)
    real = utility_auc(training, test, schema)
    if synthetic is None or real is None:
        notes.append("The target has too many values to be predicted as classes.")
        return None
    return Utility(synthetic, real)


def _columns(
    rows: Values, real: Values, schema: Schema, ours: Distances, floor: Distances
) -> tuple[ColumnFigures, ...]:
    figures = [
        ColumnFigures(
            column.name, column.kind, float(ours.columns[c]), float(floor.columns[c]),
            *(_missing(values[:, c], column.missing_index) for values in (rows, real)),
        )
        for c, column in enumerate(schema.columns)
    ]  # fmt: skip
    return tuple(sorted(figures, key=lambda column: -column.distance))


def _missing(values: Values, index: int | None) -> float:
    return 0.0 if index is None else float((values == index).mean())


def _pairs(schema: Schema, ours: Distances, floor: Distances) -> tuple[PairFigures, ...]:
    names = schema.column_names
    figures = [
        PairFigures(names[i], names[j], float(distance), float(real))
        for (i, j), distance, real in zip(ours.pairs, ours.pair_distances, floor.pair_distances, strict=True)
    ]
    return tuple(sorted(figures, key=lambda pair: -pair.distance))
