"""A node's score of the pooled data on its own hold-out rows, released with Gaussian noise.

score = 1 - mean over pair tables of 1/2 sum |pool share - hold-out count / declared hold-out rows|. Dividing
by the DECLARED size makes one row move one cell of each table by 1 / declared: sensitivity 1 / (2 *
declared), whatever the true size. Label of the figure: signed, not proven.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.marginals.measure import table_counts
from generator.marginals.workload import Workload
from generator.privacy import noise

MICRO = 1_000_000


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
    """Score pool pair counts [K] on hold-out codes int64[m, C]: one GaussianEvent(noise_multiplier), 0 =
    exact.
    """
    if declared_rows < 1:
        raise EvaluationError(f"declared hold-out size is {declared_rows}; declare at least one row")
    if pool_counts.shape != (pairs.cells,) or (len(pool_counts) and pool_counts.min() < 0):
        raise EvaluationError(
            f"pool counts have shape {pool_counts.shape}; expected {pairs.cells} counts >= 0"
        )
    exact = _exact_score(pool_counts.astype(np.float64), holdout_codes, pairs, declared_rows)
    std = noise_multiplier * sensitivity(declared_rows)
    released = exact + float(noise.gaussian(1, std)[0])
    return HoldoutScore(round(min(max(released, 0.0), 1.0) * MICRO), std)


def sensitivity(declared_rows: int) -> float:
    """Most that one hold-out row, added or removed, moves the score."""
    return 1 / (2 * declared_rows)


def _exact_score(
    pool: NDArray[np.float64], holdout_codes: NDArray[np.int64], pairs: Workload, declared_rows: int
) -> float:
    totals = np.repeat(np.add.reduceat(pool, pairs.offsets[:-1]), pairs.sizes)
    if not (totals > 0).all():
        raise EvaluationError("the pool has an empty table; it must hold at least one row")
    own = table_counts(holdout_codes, pairs) / declared_rows
    return 1 - 0.5 * float(np.abs(pool / totals - own).sum()) / len(pairs.tables)
