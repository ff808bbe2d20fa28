"""Univariate counts, from which bins are found: they leave the node once, noisy when privacy is asked for.

The cells that are counted depend on the schema alone, never on the table: none of columns so short that every
value gets a code (`code_limits.py`), one a category, at most 256 cells a numeric column, and, where a cell is
wider than one grid step, finer levels down to the grid itself. Finer levels are
*thresholded*: only cells whose noisy count exceeds a threshold leave the node, which is post-processing of a
Gaussian release of the whole level. The cells that hold no row and pass by noise alone are drawn from their
exact distribution, so a level of 2^32 cells costs nothing. Each row adds one to one cell of each level of
each column: sensitivity sqrt(levels), times the rows of one unit.

Everything after the noise is deterministic post-processing (`bins.py`): equal sums give equal codebooks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.code_limits import needs_bins
from generator.privacy import noise
from provenance.table.column import Column
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues

BASE_CELLS = 256
_DIRECT_REFINEMENT = 1024
_FALSE_CELLS_A_LEVEL = 0.05
_ATOM_SHARE = 0.002
_FEWEST_UNITS = 5
_MOST_DENSE_CELLS = 2**21

Counts = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ColumnGrid:
    """Cells of one column. Cell k of level l covers grid indices [k * widths[l], (k + 1) * widths[l]).

    No widths: the column is not counted.
    """

    grid_size: int
    nullable: bool
    widths: tuple[int, ...]

    @property
    def is_counted(self) -> bool:
        """Whether the column is in the release."""
        return bool(self.widths)

    @property
    def base_cells(self) -> int:
        """Cells of the base level; the missing value, if there is one, is the last."""
        if not self.is_counted:
            return 0
        return -(-self.grid_size // self.widths[0]) + self.nullable


@dataclass(frozen=True, slots=True)
class BaseGrid:
    """The public cells of a schema: what may be counted before any row is read. unit_rows: of one unit at the most."""

    columns: tuple[ColumnGrid, ...]
    unit_rows: int = 1

    @property
    def offsets(self) -> Indices:
        """Start of each column in the flat base counts, and their length at the end: int64[C + 1]."""
        return np.cumsum([0, *(column.base_cells for column in self.columns)])

    @property
    def histograms(self) -> int:
        """Histograms that one row appears in."""
        return sum(len(column.widths) for column in self.columns)

    def totals(self, base: Counts) -> Counts:
        """Sum of the base counts of each column that is counted."""
        pairs = pairwise(self.offsets.tolist())
        return np.array([base[start:end].sum() for start, end in pairs if end > start])

    @property
    def sensitivity(self) -> float:
        """L2 sensitivity of one release, add/remove one unit: all its rows may be in the same cells."""
        return self.unit_rows * math.sqrt(self.histograms)


@dataclass(frozen=True, slots=True)
class BinRelease:
    """Base counts of all columns, and the cells of finer levels that passed the threshold.

    base: float64[cells]; column, level, cell: int64[M]; count: float64[M]. `noise_std` is the standard
    deviation of the noise on every count (of the sum, once releases are summed), 0 without privacy. Every count of
    a release is a multiple of 2^step_exponent(noise_std).
    """

    base: Counts
    column: Indices
    level: Indices
    cell: Indices
    count: Counts
    noise_std: float

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The release as named arrays int64, counts in steps; `from_arrays` is the inverse."""
        exponent = noise.step_exponent(self.noise_std)
        return {
            "base": noise.to_steps(self.base, exponent),
            "column": self.column,
            "level": self.level,
            "cell": self.cell,
            "count": noise.to_steps(self.count, exponent),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], grid: BaseGrid, noise_std: float
    ) -> BinRelease:
        """Parse a stranger's arrays, of a release with noise of `noise_std`.

        Raises MarginalError for anything that is not a release over `grid`.
        """
        names = ("base", "column", "level", "cell", "count")
        if missing := set(names) - set(arrays):
            raise MarginalError(f"bin release lacks the arrays {sorted(missing)}; refuse its sender's result")
        base, column, level, cell, count = (np.asarray(arrays[name]) for name in names)
        if {array.dtype for array in (base, column, level, cell, count)} != {np.dtype(np.int64)}:
            raise MarginalError("bin release holds other numbers than int64; refuse its sender's result")
        exponent = noise.step_exponent(noise_std)
        base, count = noise.from_steps(base, exponent), noise.from_steps(count, exponent)
        release = cls(base, column, level, cell, count, noise_std)
        _check_release(release, grid)
        return release


def base_grid(schema: Schema) -> BaseGrid:
    """The cells that the schema alone determines."""
    columns = len(schema.columns)
    return BaseGrid(tuple(_column_grid(column, columns) for column in schema.columns), schema.unit_rows)


def univariate_counts(values: CompactValues, grid: BaseGrid) -> Counts:
    """Exact base counts float64[cells] of grid indices [n, C]. Private: add noise before they leave."""
    _check_values(values, grid)
    parts = [np.empty(0)]
    for c, column in enumerate(grid.columns):
        if not column.is_counted:
            continue
        cells = _cells(values[:, c].astype(np.int64), column, 0)
        parts.append(np.bincount(cells, minlength=column.base_cells).astype(np.float64))
    return np.concatenate(parts)


def release_bins(values: CompactValues, grid: BaseGrid, noise_multiplier: float) -> BinRelease:
    """One release of all univariate counts: a GaussianEvent(noise_multiplier), or exact counts when it is 0.

    Without noise, a finer cell leaves the node when it holds at least 0.2 % of the rows, and rows of 5 units for
    certain: a value that one unit alone has must not become an edge of a bin, which models carry.
    """
    std = noise_multiplier * grid.sensitivity
    base = noise.noisy_counts(univariate_counts(values, grid), std, noise.step_exponent(std))
    passed: list[tuple[int, int, Indices, Counts]] = []
    for c, column in enumerate(grid.columns):
        for level in range(1, len(column.widths)):
            present = values[values[:, c] < column.grid_size, c].astype(np.int64)
            cells, counts = np.unique(present // column.widths[level], return_counts=True)
            floor = max(_ATOM_SHARE * len(values), (_FEWEST_UNITS - 1) * grid.unit_rows + 1.0)
            kept = _threshold(cells, counts.astype(np.float64), column, level, std, floor)
            passed.append((c, level, *kept))
    return BinRelease(base, *_flatten(passed), noise_std=std)


def sum_bins(releases: Sequence[BinRelease]) -> BinRelease:
    """The sum of several nodes' releases over one grid; a cell that a node withheld counts as 0 there."""
    if not releases:
        raise MarginalError("no bin releases to sum; at least one contributor must release its counts")
    keys = np.concatenate([np.stack([r.column, r.level, r.cell], axis=1) for r in releases])
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    count = np.zeros(len(unique))
    np.add.at(count, inverse.ravel(), np.concatenate([r.count for r in releases]))
    std = math.sqrt(math.fsum(r.noise_std**2 for r in releases))
    base = np.sum([r.base for r in releases], axis=0)
    return BinRelease(base, unique[:, 0], unique[:, 1], unique[:, 2], count, std)


def dense_bins(release: BinRelease, grid: BaseGrid) -> Counts:
    """An exact release as a vector over all cells float64[K], so that several nodes' can be added unseen."""
    parts = [release.base]
    for c, level, cells in _dense_levels(grid):
        mine = (release.column == c) & (release.level == level)
        counts = np.zeros(cells)
        counts[release.cell[mine]] = release.count[mine]
        parts.append(counts)
    return np.concatenate(parts)


def dense_cells(grid: BaseGrid) -> int:
    """Length K of `dense_bins`; the schema alone decides it."""
    return int(grid.offsets[-1]) + sum(cells for _, _, cells in _dense_levels(grid))


def bins_of_sum(total: Counts, grid: BaseGrid) -> BinRelease:
    """The exact release that a sum float64[K] of `dense_bins` stands for."""
    place = int(grid.offsets[-1])
    base = total[:place]
    passed: list[tuple[int, int, Indices, Counts]] = []
    for c, level, cells in _dense_levels(grid):
        block = total[place : place + cells]
        kept = np.flatnonzero(block)
        passed.append((c, level, kept, block[kept]))
        place += cells
    return BinRelease(base, *_flatten(passed), noise_std=0.0)


def _dense_levels(grid: BaseGrid) -> list[tuple[int, int, int]]:
    """(column, level, cells) of the finer levels that a vector over all cells has room for, coarse levels first."""
    left = _MOST_DENSE_CELLS - int(grid.offsets[-1])
    found: list[tuple[int, int, int]] = []
    deepest = max((len(column.widths) for column in grid.columns), default=0)
    for level in range(1, deepest):
        for c, column in enumerate(grid.columns):
            cells = -(-column.grid_size // column.widths[level]) if level < len(column.widths) else 0
            if 0 < cells <= left:
                found.append((c, level, cells))
                left -= cells
    return found


def _column_grid(column: Column, columns: int) -> ColumnGrid:
    if not needs_bins(column, columns):
        return ColumnGrid(column.grid_size, column.nullable, ())
    if not column.is_numeric:
        return ColumnGrid(column.grid_size, column.nullable, (1,))
    width = -(-column.grid_size // BASE_CELLS)
    widths = [width]
    while width > 1:
        width = 1 if width <= _DIRECT_REFINEMENT else -(-width // BASE_CELLS)
        widths.append(width)
    return ColumnGrid(column.grid_size, column.nullable, tuple(_nested(widths)))


def _nested(widths: list[int]) -> list[int]:
    """Round each width up to a multiple of the next finer one, so that every fine cell lies in one coarse cell."""
    for i in range(len(widths) - 2, -1, -1):
        widths[i] = -(-widths[i] // widths[i + 1]) * widths[i + 1]
    return widths


def _cells(values: Indices, column: ColumnGrid, level: int) -> Indices:
    cells = values // column.widths[level]
    if column.nullable and level == 0:
        cells = np.where(values == column.grid_size, column.base_cells - 1, cells)
    return cells


def _threshold(
    cells: Indices, counts: Counts, column: ColumnGrid, level: int, std: float, floor: float
) -> tuple[Indices, Counts]:
    if std == 0:
        keep = counts >= floor
        return cells[keep], counts[keep]
    total = -(-column.grid_size // column.widths[level])
    exponent = noise.step_exponent(std)
    threshold = _noise_threshold(total, std, exponent)
    noisy = noise.noisy_counts(counts, std, exponent)
    keep = noise.to_steps(noisy, exponent) > threshold
    by_noise_alone = noise.exceeding(total - len(cells), std, exponent, threshold)
    lucky = _nth_empty_cells(cells, noise.different_integers(len(by_noise_alone), total - len(cells)))
    kept_cells = np.concatenate([cells[keep], lucky])
    kept_counts = np.concatenate([noisy[keep], noise.from_steps(by_noise_alone, exponent)])
    order = np.argsort(kept_cells)
    return kept_cells[order], kept_counts[order]


def _noise_threshold(total_cells: int, std: float, exponent: int) -> int:
    """The steps that noise alone exceeds in 0.05 cells of a whole level, on average, or a little less."""
    low, high = 0, math.ceil(math.ldexp(40.0 * std, -exponent))
    while high - low > 1:
        middle = (low + high) // 2
        too_low = noise.passing(std, exponent, middle) * total_cells > _FALSE_CELLS_A_LEVEL
        low, high = (middle, high) if too_low else (low, middle)
    return high


def _nth_empty_cells(occupied: Indices, places: Indices) -> Indices:
    """The cells at these places among those that are not in `occupied`, which is ascending."""
    return places + np.searchsorted(occupied - np.arange(len(occupied)), places, side="right")


def _flatten(passed: list[tuple[int, int, Indices, Counts]]) -> tuple[Indices, Indices, Indices, Counts]:
    sizes = [len(cells) for _, _, cells, _ in passed]
    column = np.repeat(np.array([c for c, _, _, _ in passed], dtype=np.int64), sizes)
    level = np.repeat(np.array([lv for _, lv, _, _ in passed], dtype=np.int64), sizes)
    cell = np.concatenate([np.empty(0, dtype=np.int64), *(cells for _, _, cells, _ in passed)])
    count = np.concatenate([np.empty(0), *(counts for _, _, _, counts in passed)])
    return column, level, cell, count


def _check_values(values: CompactValues, grid: BaseGrid) -> None:
    if values.ndim != 2 or values.shape[1] != len(grid.columns):
        raise MarginalError(f"values have shape {values.shape}; expected [rows, {len(grid.columns)}]")
    for c, column in enumerate(grid.columns):
        limit = column.grid_size + column.nullable
        if len(values) and not (values[:, c].min() >= 0 and values[:, c].max() < limit):
            raise MarginalError(f"column {c} holds a value outside 0..{limit - 1}; encode the table again")


def _check_release(release: BinRelease, grid: BaseGrid) -> None:
    cells = int(grid.offsets[-1])
    if release.base.shape != (cells,):
        raise MarginalError(f"bin release has {release.base.shape} base counts; the schema has {cells} cells")
    length = len(release.count)
    if not all(a.shape == (length,) for a in (release.column, release.level, release.cell, release.count)):
        raise MarginalError("bin release's fine cells have unequal lengths; refuse its sender's result")
    finite = np.isfinite(release.base).all() and np.isfinite(release.count).all()
    if not finite or not (math.isfinite(release.noise_std) and release.noise_std >= 0):
        raise MarginalError("bin release holds a count that is not finite; refuse its sender's result")
    for column, level, cell in zip(release.column, release.level, release.cell, strict=True):
        known = 0 <= column < len(grid.columns) and 1 <= level < len(grid.columns[column].widths)
        if not known or not 0 <= cell * grid.columns[column].widths[level] < grid.columns[column].grid_size:
            raise MarginalError(
                f"bin release names cell {cell} of column {column}, level {level}: no such cell"
            )
