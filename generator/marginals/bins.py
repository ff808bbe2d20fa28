"""From summed univariate counts to the codebook: which values share a code. Deterministic, and reads no table.

A number of more values than that gets about 24 quantile bins (fewer in tables of more than 85 columns); a
value or cell that alone holds a bin's share of the rows gets a code of its own, so that spikes stay spikes.
Categories keep a code each, up to a limit (`code_limits.py`) beyond which frequent ones keep theirs and rare
neighbours in the schema's order are merged. The noisier the counts, the fewer the codes: nothing below three
standard deviations counts as frequent, and no bin is made of less than that, or than half the noise on it.
Missing is a code of its own. Codes of a column partition its values, in ascending order. Inside a code values
are uniform (the sampler's rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.classes import nearest_to_total
from generator.marginals.code_limits import category_codes, quantile_bins
from generator.marginals.univariate import (
    BaseGrid,
    BinRelease,
    ColumnGrid,
    base_grid,
    bins_of_sum,
    dense_bins,
    dense_cells,
    release_bins,
    sum_bins,
    univariate_counts,
)
from provenance.exact.codebook import Codebook, Codes
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues

__all__ = [
    "BaseGrid",
    "BinRelease",
    "base_grid",
    "bins_of_sum",
    "build_codebook",
    "dense_bins",
    "dense_cells",
    "encode_codes",
    "release_bins",
    "sum_bins",
    "univariate_counts",
]

_SIGNIFICANT_STDS = 3.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Grid indices [low, low + width) believed to hold `mass` rows, spread evenly."""

    low: int
    width: int
    mass: float


def build_codebook(schema: Schema, release: BinRelease, bins: int | None = None) -> Codebook:
    """The codebook of (summed) univariate counts; equal arguments give equal codebooks on every machine.

    bins: quantile bins a number gets, None for `quantile_bins`.

    Raises MarginalError if the release is not over the schema's base grid.
    """
    grid = base_grid(schema)
    offsets = grid.offsets
    if release.base.shape != (offsets[-1],):
        raise MarginalError(
            f"release has {release.base.shape} cells; schema {schema.name!r} has {offsets[-1]}"
        )
    columns = len(grid.columns)
    lows: list[int] = []
    widths: list[int] = []
    counts: list[int] = []
    for c, column in enumerate(grid.columns):
        base = release.base[offsets[c] : offsets[c + 1]]
        if not column.is_counted:
            codes = [(value, 1) for value in range(column.grid_size)]
        elif schema.columns[c].is_numeric:
            codes = _numeric_codes(
                column, base, _fine_cells(release, c), release.noise_std, bins or quantile_bins(columns)
            )
        else:
            codes = _category_codes(column, base, release.noise_std, category_codes(columns))
        if column.nullable:
            codes.append((column.grid_size, 1))
        counts.append(len(codes))
        lows += [low for low, _ in codes]
        widths += [width for _, width in codes]
    return Codebook(
        code_counts=tuple(counts),
        value_widths=schema.value_widths,
        low=np.array(lows, dtype=np.int64),
        width=np.array(widths, dtype=np.int64),
    )


def encode_codes(values: CompactValues, codebook: Codebook) -> Codes:
    """Codes [n, C] of grid indices [n, C]: the code whose range holds the value.

    In the narrowest signed integers that hold them counted over all columns, a column's lying together in memory.
    """
    if values.ndim != 2 or values.shape[1] != codebook.columns:
        raise MarginalError(f"values have shape {values.shape}; expected [rows, {codebook.columns}]")
    codes = np.empty(values.shape, dtype=_codes_dtype(codebook), order="F")
    for c in range(codebook.columns):
        own = codebook.column_codes(c)
        low = codebook.low[own]
        end = int(low[-1] + codebook.width[own][-1])
        column = values[:, c]
        if len(column) and not (low[0] <= column.min() and column.max() < end):
            raise MarginalError(f"column {c} holds a value outside the codebook's {low[0]}..{end - 1}")
        codes[:, c] = np.searchsorted(low, column, side="right") - 1
    return codes


def _codes_dtype(codebook: Codebook) -> np.dtype[np.signedinteger[Any]]:
    return np.dtype(np.result_type(np.int16, np.min_scalar_type(-codebook.codes)))


def _fine_cells(release: BinRelease, c: int) -> dict[int, list[tuple[int, float]]]:
    fine: dict[int, list[tuple[int, float]]] = {}
    for i in np.flatnonzero(release.column == c):
        fine.setdefault(int(release.level[i]), []).append((int(release.cell[i]), float(release.count[i])))
    return {level: sorted(cells) for level, cells in fine.items()}


def _numeric_codes(
    column: ColumnGrid,
    base: NDArray[np.float64],
    fine: dict[int, list[tuple[int, float]]],
    std: float,
    bins: int,
) -> list[tuple[int, int]]:
    dense = base[: len(base) - column.nullable]
    mass = nearest_to_total(dense, float(dense.sum()))
    width = column.widths[0]
    pieces = [
        _Piece(low, min(width, column.grid_size - low), float(mass[k]))
        for k, low in enumerate(range(0, column.grid_size, width))
    ]
    for level in sorted(fine):
        pieces = _refine(pieces, fine[level], column.widths[level], column.grid_size)
    return _cut(pieces, bins, std, len(dense))


def _category_codes(
    column: ColumnGrid, base: NDArray[np.float64], std: float, limit: int
) -> list[tuple[int, int]]:
    present = base[: column.grid_size]
    mass = nearest_to_total(present, float(present.sum()))
    pieces = [_Piece(value, 1, float(mass[value])) for value in range(column.grid_size)]
    return _cut(pieces, limit // 2, std, len(present))


def _refine(pieces: list[_Piece], cells: list[tuple[int, float]], width: int, grid_size: int) -> list[_Piece]:
    """Split the finer cells out of the pieces they lie in; what mass remains stays, evenly, in the gaps."""
    refined: list[_Piece] = []
    position = 0
    for piece in pieces:
        end = piece.low + piece.width
        inside: list[_Piece] = []
        while position < len(cells) and cells[position][0] * width < end:
            low = cells[position][0] * width
            inside.append(_Piece(low, min(width, grid_size - low), cells[position][1]))
            position += 1
        refined += _split(piece, inside) if inside else [piece]
    return refined


def _split(piece: _Piece, inside: list[_Piece]) -> list[_Piece]:
    named = sum(part.mass for part in inside)
    scale = min(1.0, piece.mass / named) if named > 0 else 0.0
    gap_width = piece.width - sum(part.width for part in inside)
    density = max(piece.mass - named, 0.0) / gap_width if gap_width else 0.0
    result: list[_Piece] = []
    low = piece.low
    for part in [*inside, _Piece(piece.low + piece.width, 0, 0.0)]:
        if part.low > low:
            result.append(_Piece(low, part.low - low, density * (part.low - low)))
        if part.width:
            result.append(_Piece(part.low, part.width, part.mass * scale))
        low = part.low + part.width
    return result


def _cut(pieces: list[_Piece], bins: int, std: float, cells: int) -> list[tuple[int, int]]:
    """Heavy pieces of one value become codes; the runs between them are cut at quantiles.

    So coarsely that the noise on a bin is at most twice its mass: of B bins each holds mass / B rows and noise
    of std * sqrt(cells / B), less in columns with many empty cells.
    """
    significant = _SIGNIFICANT_STDS * std
    heavy, light_bins = _heavy_pieces(pieces, bins, significant)
    light = sum(p.mass for i, p in enumerate(pieces) if i not in heavy)
    if std > 0:
        light_bins = min(light_bins, int((2 * light / std) ** 2 / cells))
    target = max(light / max(light_bins, 1), significant)
    codes: list[tuple[int, int]] = []
    run: list[_Piece] = []
    for i, piece in enumerate(pieces):
        if i not in heavy:
            run.append(piece)
            continue
        codes += _quantiles(run, target)
        run = []
        codes.append((piece.low, piece.width))
    return codes + _quantiles(run, target)


def _heavy_pieces(pieces: list[_Piece], bins: int, significant: float) -> tuple[set[int], int]:
    """Indices of single values that hold an equal share of what the heavier ones leave, heaviest first."""
    order = sorted((i for i, p in enumerate(pieces) if p.width == 1), key=lambda i: (-pieces[i].mass, i))
    remaining = sum(piece.mass for piece in pieces)
    heavy: set[int] = set()
    for i in order:
        left = bins - len(heavy)
        mass = pieces[i].mass
        if left <= 1 or mass <= 0 or mass < remaining / left or mass < significant:
            break
        heavy.add(i)
        remaining -= mass
    return heavy, bins - len(heavy)


def _quantiles(run: list[_Piece], target: float) -> list[tuple[int, int]]:
    """Cut adjoining pieces into bins of about `target` mass each; at least one bin, none empty of values."""
    if not run:
        return []
    low, end = run[0].low, run[-1].low + run[-1].width
    total = sum(piece.mass for piece in run)
    count = max(1, round(total / target)) if target > 0 else 1
    edges = np.array([*(piece.low for piece in run), end], dtype=np.float64)
    mass = np.concatenate([[0.0], np.cumsum([piece.mass for piece in run])])
    cuts = np.interp(np.arange(1, count) / count * total, mass, edges) if total > 0 else np.empty(0)
    inner = sorted({round(float(cut)) for cut in cuts} - {low, end})
    inner = [cut for cut in inner if low < cut < end]
    starts = [low, *inner]
    return [(start, stop - start) for start, stop in zip(starts, [*inner, end], strict=True)]
