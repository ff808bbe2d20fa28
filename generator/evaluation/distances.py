"""How far two tables are apart, column by column and pair by pair: total variation of binned histograms.

Numbers are binned at 20 quantiles of the real rows, and a value that alone fills a bin is a bin of its own;
missing is a bin; categories are taken as they are. 0 is equal, 1 is disjoint. Two finite samples of one
population are not at 0: compare with the distance of real rows to real rows of the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.table.column import Column
from provenance.table.schema import Schema

QUANTILE_BINS = 20
MAX_PAIRS = 5_000

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distances:
    """columns: float64[C]. pairs: (first, second) column positions; pair_distances: float64, one a pair.

    Tables of one column have no pairs. all_pairs: False where the table is so wide that MAX_PAIRS of them were
    drawn.
    """

    columns: NDArray[np.float64]
    pairs: tuple[tuple[int, int], ...]
    pair_distances: NDArray[np.float64]
    all_pairs: bool

    @property
    def tvd1(self) -> float:
        """Mean over columns."""
        return float(self.columns.mean())

    @property
    def tvd2(self) -> float:
        """Mean over pairs; that over columns where there are no pairs."""
        return float(self.pair_distances.mean()) if self.pairs else self.tvd1


def table_distances(
    synthetic: Values,
    real: Values,
    schema: Schema,
    *,
    seed: int = 0,
    tell: Callable[[float], None] = lambda _: None,
) -> Distances:
    """Distances of grid indices int64[n, C] to int64[m, C]. `seed` draws the pairs of wide tables; `tell`
    hears the share done.
    """
    binned = [_bin(synthetic[:, c], real[:, c], column) for c, column in enumerate(schema.columns)]
    pairs = [(i, j) for i in range(len(binned)) for j in range(i + 1, len(binned))]
    every = len(pairs) <= MAX_PAIRS
    if not every:
        drawn = np.random.default_rng(seed).choice(len(pairs), MAX_PAIRS, replace=False)
        pairs = [pairs[k] for k in sorted(drawn)]
    found = np.empty(len(pairs))
    for k, (i, j) in enumerate(pairs):
        (s1, r1, size1), (s2, r2, size2) = binned[i], binned[j]
        found[k] = variation(s1 * size2 + s2, r1 * size2 + r2, size1 * size2)
        if k % 64 == 0:
            tell(k / len(pairs))
    one = np.array([variation(s, r, size) for s, r, size in binned])
    return Distances(one, tuple(pairs), found, every)


def variation(first: Values, second: Values, size: int) -> float:
    """Total variation distance of two samples of 0 .. size - 1."""
    if size > 4 * (len(first) + len(second)):
        _, both = np.unique(np.concatenate([first, second]), return_inverse=True)
        first, second, size = both[: len(first)], both[len(first) :], int(both.max()) + 1
    p = np.bincount(first, minlength=size) / len(first)
    q = np.bincount(second, minlength=size) / len(second)
    return 0.5 * float(np.abs(p - q).sum())


def _bin(synthetic: Values, real: Values, column: Column) -> tuple[Values, Values, int]:
    if not column.is_numeric:
        return synthetic, real, column.cardinality
    edges = _edges(real[real < column.grid_size])
    if column.nullable:
        edges = np.unique([*edges, column.grid_size])
    return (
        np.searchsorted(edges, synthetic, side="right"),
        np.searchsorted(edges, real, side="right"),
        len(edges) + 1,
    )


def _edges(present: Values) -> Values:
    """Bin starts: quantiles, and both ends of every value that holds a quantile's share of the rows."""
    if not len(present):
        return np.empty(0, dtype=np.int64)
    quantiles = np.quantile(present, np.arange(1, QUANTILE_BINS) / QUANTILE_BINS, method="higher")
    values, counts = np.unique(present, return_counts=True)
    heavy = values[counts * QUANTILE_BINS >= len(present)]
    return np.unique(np.concatenate([quantiles, heavy, heavy + 1]).astype(np.int64))
