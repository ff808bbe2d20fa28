"""What a generator is fitted to: cell probabilities with their uncertainty, own and global ones blended."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.marginals.errors import MarginalError
from generator.marginals.workload import Workload

BLENDING_ROWS = 1500


@dataclass(frozen=True)
class MarginalTarget:
    """Probabilities float64[K] of a workload's cells (noisy ones may be negative).

    `std` is the standard deviation of the noise on each probability; `rows` the number of rows behind them
    (an estimate from the release, or declared), which sets the sampling error.
    """

    workload: Workload
    probabilities: NDArray[np.float64]
    std: float
    rows: float

    def __post_init__(self) -> None:
        if self.probabilities.shape != (self.workload.cells,):
            raise MarginalError(
                f"target has {self.probabilities.shape} probabilities; the workload has {self.workload.cells} cells"
            )
        if not np.isfinite(self.probabilities).all() or not (self.std >= 0 and math.isfinite(self.std)):
            raise MarginalError("target holds a value that is not finite; refuse the release it came from")


def target_from_counts(counts: NDArray[np.float64], workload: Workload, noise_std: float) -> MarginalTarget:
    """Target of released counts whose noise has standard deviation `noise_std` (0: exact).

    The number of rows is estimated from the release itself, as the tables' mean total. Raises MarginalError
    when that is below one row: the noise drowns the table.
    """
    if counts.shape != (workload.cells,):
        raise MarginalError(f"counts have shape {counts.shape}; the workload has {workload.cells} cells")
    rows = float(counts.sum()) / len(workload.tables)
    if not (rows >= 1 and math.isfinite(rows)):
        raise MarginalError(
            f"the released counts sum to {rows:.1f} rows a table; the noise drowns so small a table: "
            "raise epsilon or add rows"
        )
    return MarginalTarget(workload, counts / rows, noise_std / rows, rows)


def blend(own: MarginalTarget, everybody: MarginalTarget) -> MarginalTarget:
    """lambda * own + (1 - lambda) * everybody with lambda = n / (n + 1500), n the own rows.

    A large node keeps its own distribution, a tiny one borrows the others'. Both arguments are releases, so
    blending costs no privacy. Their noise is treated as independent although everybody's counts contain the
    own ones: `std` sets weights of the fit, nothing else.
    """
    if own.workload != everybody.workload:
        raise MarginalError(
            "own and global targets are over different workloads; build both from one codebook"
        )
    share = own.rows / (own.rows + BLENDING_ROWS)
    return MarginalTarget(
        own.workload,
        share * own.probabilities + (1 - share) * everybody.probabilities,
        math.hypot(share * own.std, (1 - share) * everybody.std),
        everybody.rows,
    )


def one_way_marginals(target: MarginalTarget) -> NDArray[np.float64]:
    """One-way probabilities float64[D] that the tables imply, averaged, clipped at 0 and normalised per
    column.

    Every cell has the same noise, so a table counts by the inverse of how many cells it sums for one code.
    """
    workload = target.workload
    start = np.cumsum([0, *workload.code_counts])
    sums = np.zeros(start[-1])
    for index, table in enumerate(workload.tables):
        shape = tuple(workload.code_counts[c] for c in table)
        block = target.probabilities[workload.offsets[index] : workload.offsets[index + 1]].reshape(shape)
        for axis, c in enumerate(table):
            others = tuple(a for a in range(len(table)) if a != axis)
            sums[start[c] : start[c + 1]] += block.sum(axis=others) * (shape[axis] / block.size)
    for c in range(len(workload.code_counts)):
        part = np.clip(sums[start[c] : start[c + 1]], 0.0, None)
        total = part.sum()
        sums[start[c] : start[c + 1]] = part / total if total > 0 else 1.0 / len(part)
    return sums
