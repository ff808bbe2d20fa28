"""A node's score of the pooled data on its own hold-out rows, released with Gaussian noise.

score = 1 - mean over pair tables of 1/2 sum |pool share - hold-out count / declared hold-out rows|. Dividing
by the DECLARED size makes one row move one cell of each table by 1 / declared: sensitivity 1 / (2 *
declared), whatever the true size, times the rows of one unit. Label of the figure: signed, not proven.

Computed in integers: times 2 * tables * pool rows * declared the difference is whole, and one row moves it by at most
tables * pool rows, one unit by that times its rows. The noise is a whole number too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.marginals.measure import table_counts
from generator.marginals.workload import Workload
from generator.privacy import noise
from provenance.units import MICRO, nearest

SCORE_EPSILON, SCORE_DELTA = 1.0, 1e-5
"""Of the score in an order without privacy: it is one node's own and public, so it is never released exactly."""


@dataclass(frozen=True, slots=True)
class HoldoutScore:
    """A released score in millionths, within 0 .. 1,000,000, and the standard deviation of its noise."""

    score_micro: int
    noise_std: float


def holdout_score(
    pool_counts: NDArray[np.floating] | NDArray[np.int64],
    holdout_codes: NDArray[np.int64],
    pairs: Workload,
    *,
    declared_rows: int,
    noise_multiplier: float,
) -> HoldoutScore:
    """Score pool pair counts [K] on hold-out codes int64[m, C]: one GaussianEvent(noise_multiplier), 0 = exact.
    pairs: its `unit_rows` are the most of one unit among the hold-out rows."""
    if declared_rows < 1:
        raise EvaluationError(f"declared hold-out size is {declared_rows}; declare at least one row")
    if pool_counts.shape != (pairs.cells,) or (len(pool_counts) and pool_counts.min() < 0):
        raise EvaluationError(
            f"pool counts have shape {pool_counts.shape}; expected {pairs.cells} counts >= 0"
        )
    pool = pool_counts.astype(np.int64)
    rows = _pool_rows(pool, pairs)
    tables = len(pairs.tables)
    own = table_counts(holdout_codes, pairs).astype(np.int64)
    difference = int(np.abs(pool * declared_rows - own * rows).sum())
    difference += int(noise.gaussian(1, noise_multiplier * pairs.unit_rows * tables * rows)[0])
    released = 1 - difference / (2 * tables * rows * declared_rows)
    return HoldoutScore(
        nearest(min(max(released, 0.0), 1.0), MICRO),
        noise_multiplier * sensitivity(declared_rows, pairs.unit_rows),
    )


def sensitivity(declared_rows: int, unit_rows: int = 1) -> float:
    """Most that one unit of so many hold-out rows, added or removed, moves the score."""
    return unit_rows / (2 * declared_rows)


def _pool_rows(pool: NDArray[np.int64], pairs: Workload) -> int:
    totals = np.add.reduceat(pool, pairs.offsets[:-1])
    if not (totals > 0).all():
        raise EvaluationError("the pool has an empty table; it must hold at least one row")
    if (totals != totals[0]).any():
        raise EvaluationError(
            f"the pool's tables hold {totals.min()} to {totals.max()} rows; expected all of them in each"
        )
    return int(totals[0])
