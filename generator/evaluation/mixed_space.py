"""Distances between rows of mixed columns, and nearest neighbours under them.

A number becomes its mid-rank among the reference rows, 0 to 1, so that no unit and no long tail decides; a
missing number lies at 0.5 with a mark of its own. Two different categories are at distance 1, as are a missing and a
present value. The squared distance of two rows is the sum of the columns' squares (a Gower distance, 1971, with
ranks). Brute force in float32: exact to about 1e-3, which is where `EQUAL` draws the line of "the same row".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from provenance.table.schema import Schema

EQUAL: Final = 2e-3
_ONE_HOT_UP_TO: Final = 256
_BLOCK_CELLS: Final = 8_000_000

Values = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Points:
    """Rows in the space: dense float32[n, d], and codes int64[n, e] of columns with many categories."""

    dense: Floats
    codes: Values

    def __len__(self) -> int:
        return len(self.dense)

    def take(self, rows: Values | slice) -> Points:
        """Some of the points."""
        return Points(self.dense[rows], self.codes[rows])


@dataclass(frozen=True)
class MixedSpace:
    """The space whose ranks come from `reference`, int64[m, C]."""

    schema: Schema
    reference: Values

    def points(self, values: Values) -> Points:
        """Rows int64[n, C] as points."""
        parts: list[Floats] = []
        codes: list[Values] = []
        for c, column in enumerate(self.schema.columns):
            own = values[:, c]
            if column.is_numeric:
                parts.append(self._ranks(c, own, column.grid_size))
                if column.nullable:
                    parts.append((np.sqrt(0.75) * (own == column.grid_size)).astype(np.float32)[:, None])
            elif column.cardinality <= _ONE_HOT_UP_TO:
                parts.append(np.sqrt(np.float32(0.5)) * np.eye(column.cardinality, dtype=np.float32)[own])
            else:
                codes.append(own)
        dense = np.concatenate(parts, axis=1) if parts else np.zeros((len(values), 0), np.float32)
        stacked = np.stack(codes, axis=1) if codes else np.zeros((len(values), 0), np.int64)
        return Points(dense, stacked)

    def _ranks(self, c: int, own: Values, grid_size: int) -> Floats:
        real = np.sort(self.reference[:, c][self.reference[:, c] < grid_size])
        twice = np.searchsorted(real, own, side="left") + np.searchsorted(real, own, side="right")
        ranks = twice / max(2 * len(real), 1)
        ranks[own >= grid_size] = 0.5
        return ranks.astype(np.float32)[:, None]


def squared_distances(first: Points, second: Points) -> Floats:
    """float32[n, m]."""
    squares: Floats = (
        (first.dense**2).sum(axis=1)[:, None]
        + (second.dense**2).sum(axis=1)[None, :]
        - 2 * first.dense @ second.dense.T
    )
    for e in range(first.codes.shape[1]):
        squares += first.codes[:, e, None] != second.codes[None, :, e]
    return np.asarray(np.maximum(squares, 0), np.float32)


def nearest(points: Points, others: Points, k: int, *, same: bool = False) -> Floats:
    """Distance of each point to its k-th nearest among `others`, float32[n]. same: both are the same rows in
    the same order, and a row is not its own neighbour.
    """
    nearest = np.empty(len(points), np.float32)
    step = max(1, _BLOCK_CELLS // max(len(others), 1))
    for start in range(0, len(points), step):
        block = slice(start, start + step)
        squares = squared_distances(points.take(block), others)
        if same:
            rows = np.arange(len(squares))
            squares[rows, start + rows] = np.inf
        nearest[block] = np.partition(squares, k - 1, axis=1)[:, k - 1]
    return np.sqrt(nearest)
