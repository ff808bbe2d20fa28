"""What a generator is fitted to: cell probabilities with their uncertainty, own and global ones blended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.classes import class_marginals
from generator.marginals.workload import Workload

BLENDING_ROWS = 1500
_DECLARED_WITHIN = 0.5
_LENT_STDS = 3.0


@dataclass(frozen=True)
class MarginalTarget:
    """Probabilities float64[K] of a workload's cells (noisy ones may be negative).

    `std` is the standard deviation of the noise on each probability of a table of weight 1; `rows` the number
    of rows behind them (an estimate from the release, or declared), which sets the sampling error.
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


def target_from_counts(
    counts: NDArray[np.float64], workload: Workload, noise_std: float, declared: float
) -> MarginalTarget:
    """Target of released counts whose noise has standard deviation `noise_std` (0: exact).

    The number of rows is estimated from the release, as the tables' mean total, the less noisy ones counting more,
    and from the `declared` number, which is public and taken to be right within half of itself: by the release
    alone, a few rows under much noise could seem fewer still, and every count a large share of them.

    Raises MarginalError where the noise on the number is larger than the declared number, or none is left: the
    noise drowns the table.
    """
    if counts.shape != (workload.cells,):
        raise MarginalError(f"counts have shape {counts.shape}; the workload has {workload.cells} cells")
    totals = np.add.reduceat(counts, workload.offsets[:-1])
    precisions = np.square(workload.weights) / workload.sizes
    rows = float(np.average(totals, weights=precisions))
    noise = noise_std / math.sqrt(float(precisions.sum()))
    trust = noise**2 / (noise**2 + (_DECLARED_WITHIN * declared) ** 2)
    rows += trust * (declared - rows)
    if not (rows >= 1 and math.isfinite(rows) and noise <= declared):
        raise MarginalError(
            f"the released counts sum to {rows:.1f} rows a table, noise on it has standard deviation {noise:.1f}, "
            f"{declared:.0f} are declared; the noise drowns so small a table: raise epsilon or add rows"
        )
    return MarginalTarget(workload, counts / rows, noise_std / rows, rows)


def own_share(own: MarginalTarget) -> float:
    """Lambda of `blend`, a figure of the own release alone."""
    mean_cell = len(own.workload.tables) / own.workload.cells
    noise = own.std**2 * own.rows / mean_cell
    return own.rows / (own.rows + BLENDING_ROWS * (1 + noise))


def lends(own: MarginalTarget, declared: float) -> bool:
    """Whether own tables of `declared` rows are lent to others: where noise on the number of rows is below a third.

    Every node adds the same noise, so what a few rows add to the others' tables is noise. Four skewed contributors of
    German credit (700 rows, one or two of fewer than 45) at epsilon 1, four seeds: TVD2 .293 with all, .266 with this.
    """
    workload = own.workload
    precision = math.fsum(w**2 / size for w, size in zip(workload.weights, workload.sizes, strict=True))
    return _LENT_STDS * own.std * own.rows <= declared * math.sqrt(precision)


def left_to_others(owns: Sequence[tuple[int, MarginalTarget]]) -> MarginalTarget:
    """What to blend into every node's own tables, of (rows delivered, own tables) of all nodes.

    The own tables weighted by rows * (1 - lambda): then the shards' blends, weighted by rows, add up to the own
    tables weighted by rows, the pooled table, however large nodes lean on their own. Under skew the plain sum
    of all would give the large nodes' rows twice.
    """
    parts = [(rows * (1 - own_share(own)), own) for rows, own in owns]
    total = math.fsum(part for part, _ in parts)
    probabilities = np.sum([part / total * own.probabilities for part, own in parts], axis=0)
    std = math.sqrt(math.fsum((part / total * own.std) ** 2 for part, own in parts))
    return MarginalTarget(owns[0][1].workload, probabilities, std, math.fsum(own.rows for _, own in owns))


def blend(own: MarginalTarget, everybody: MarginalTarget) -> MarginalTarget:
    """lambda * own + (1 - lambda) * everybody with lambda = n / (n + 1500 + noise), n the own rows.

    A large node keeps its own distribution, a tiny one borrows the others'; under privacy a node borrows more,
    because its own tables are the noisier ones: `noise` is 1500 times the variance of the noise over the
    sampling variance of the cells of a mean table. Both arguments are releases, so blending costs no privacy.
    Their noise is treated as independent although everybody's counts contain the own ones: `std` sets weights
    of the fit, nothing else.
    """
    if own.workload != everybody.workload:
        raise MarginalError(
            "own and global targets are over different workloads; build both from one codebook"
        )
    share = own_share(own)
    return MarginalTarget(
        own.workload,
        share * own.probabilities + (1 - share) * everybody.probabilities,
        math.hypot(share * own.std, (1 - share) * everybody.std),
        everybody.rows,
    )


def univariate_marginals(target: MarginalTarget) -> NDArray[np.float64]:
    """Univariate probabilities float64[D] that the tables imply (`classes.py`)."""
    return class_marginals(target.probabilities, target.std, target.workload).univariate
