"""Cells to values and back: `values` is int64[rows, columns] of schema indices, a missing cell is the last
index.
 Cells are trimmed of outer spaces. In a nullable column a cell is missing if it equals the column's `missing`
text, or one of the usual marks ("", "?", "NA", "NaN", "nan") that is no category of the column. Each
different cell is parsed once, so a table costs one dictionary look-up a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.schema import Column, Schema

Outside = Literal["refuse", "clip"]
Values = NDArray[np.int64]

MISSING_MARKS = ("", "?", "NA", "NaN", "nan")


def encode_table(
    schema: Schema, table: Mapping[str, Sequence[str]], *, outside: Outside = "refuse"
) -> Values:
    """int64[rows, columns] of the cells in `table` (column name -> cells); other columns are ignored.

    outside="clip" moves numbers to the nearest grid point and unknown categories to missing where that exists
    (for hold-out tables). Raises TableError: missing column, or the first cell outside the schema by row
    (from 1).
    """
    absent = [name for name in schema.column_names if name not in table]
    if absent:
        raise TableError(
            f"the table has no column {', '.join(map(repr, absent))}; "
            f"found {', '.join(map(repr, table)) or 'none'}; add the column or remove it from the schema"
        )
    counts = {len(table[name]) for name in schema.column_names}
    if len(counts) != 1:
        raise TableError(f"columns of different lengths ({sorted(counts)} rows), expected one length")
    values = np.empty((counts.pop(), len(schema.columns)), dtype=np.int64)
    for position, column in enumerate(schema.columns):
        values[:, position] = _encode_column(column, table[column.name], outside)
    return values


def decode_values(schema: Schema, values: Values) -> dict[str, list[str]]:
    """Cell texts by column of int64[rows, columns]. Raises TableError on a value beyond a column's
    cardinality."""
    if values.ndim != 2 or values.shape[1] != len(schema.columns):
        raise TableError(f"found values of shape {values.shape}, expected (rows, {len(schema.columns)})")
    return {
        column.name: _decode_column(column, values[:, position])
        for position, column in enumerate(schema.columns)
    }


def cell_text(column: Column, value: int) -> str:
    """The text of one value of `column`."""
    if value == column.missing_index:
        return column.missing
    if not 0 <= value < column.grid_size:
        raise TableError(
            f"column {column.name!r}: found the value {value}, expected 0 to {column.cardinality - 1}; "
            "the values belong to another schema"
        )
    return column.grid.text(value) if column.grid is not None else column.categories[value]


def _encode_column(column: Column, cells: Sequence[str], outside: Outside) -> Values:
    lookup: dict[str, int] = {}
    bad: dict[str, str] = {}
    index_of = {category: i for i, category in enumerate(column.categories)}
    for cell in set(cells):
        try:
            lookup[cell] = _encode_cell(column, cell.strip(), index_of, outside)
        except TableError as error:
            bad[cell] = str(error)
    if bad:
        _refuse(column, cells, bad)
    return np.fromiter(map(lookup.__getitem__, cells), dtype=np.int64, count=len(cells))


def _encode_cell(column: Column, cell: str, index_of: Mapping[str, int], outside: Outside) -> int:
    if cell in index_of:
        return index_of[cell]
    is_missing = cell == column.missing or cell in MISSING_MARKS
    if is_missing and column.missing_index is not None:
        return column.missing_index
    if column.grid is not None:
        return column.grid.clipped_index(cell) if outside == "clip" else column.grid.index(cell)
    if column.is_boolean and cell.lower() in index_of:
        return index_of[cell.lower()]
    if outside == "clip" and column.missing_index is not None:
        return column.missing_index
    shown = ", ".join(map(repr, column.categories[:8])) + (", ..." if len(column.categories) > 8 else "")
    raise TableError(f"expected one of {shown}")


def _refuse(column: Column, cells: Sequence[str], bad: Mapping[str, str]) -> None:
    rows = [row for row, cell in enumerate(cells) if cell in bad]
    first = cells[rows[0]]
    more = f" ({len(rows) - 1:,} more rows of this column are outside too)" if len(rows) > 1 else ""
    advice = "correct the table or widen the schema"
    if not column.nullable and first.strip() in MISSING_MARKS:
        advice = 'fill the cell, or set "nullable": true in the schema'
    raise TableError(
        f"row {rows[0] + 1}, column {column.name!r}: found {first!r:.80}, {bad[first]}; {advice}{more}"
    )


def _decode_column(column: Column, values: Values) -> list[str]:
    if column.cardinality <= 4096:
        if values.size and (values.min() < 0 or values.max() >= column.cardinality):
            cell_text(column, int(values.min() if values.min() < 0 else values.max()))
        texts = [cell_text(column, value) for value in range(column.cardinality)]
        return [texts[value] for value in values.tolist()]
    different, inverse = np.unique(values, return_inverse=True)
    texts = [cell_text(column, value) for value in different.tolist()]
    return [texts[value] for value in inverse.tolist()]
