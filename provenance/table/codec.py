"""Tables to values and back: `values` is int64[rows, columns] of stored values as in `provenance.table.schema`.

Each different cell is parsed once, so a table costs one dictionary look-up a cell. Constraints are checked on
the way in, and hold by construction on the way out. The cells of key columns are never read; they are made
from the row's number in the data set when a table is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.table.column import MISSING_MARKS, Column, Outside, category_index, cell_text, cell_value
from provenance.table.combination import Combination
from provenance.table.increasing import Increasing
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema, Storage

Values = NDArray[np.int64]

_KEPT_CELLS = 1 << 17


def encode_table(
    schema: Schema, table: Mapping[str, Sequence[str]], *, outside: Outside = "refuse"
) -> Values:
    """int64[rows, columns] of the cells in `table` (column name -> cells); other columns are ignored.

    outside="clip" moves numbers to the nearest grid point, unknown categories to missing where that exists,
    and rows that break a constraint to one that does not (for hold-out tables). Raises TableError: missing
    column, or the first cell outside the schema by row (from 1), or the first row that breaks a constraint.
    """
    return TableEncoder(schema, outside).encode(table)


class TableEncoder:
    """Encodes a table piece by piece; what it learns about cells serves the next piece."""

    def __init__(self, schema: Schema, outside: Outside = "refuse") -> None:
        self._schema = schema
        self._outside = outside
        self._columns = tuple(
            None if isinstance(column, KeyColumn) else _CellEncoder(column, outside)
            for column in schema.cell_columns
        )

    @property
    def columns(self) -> int:
        """Number of stored columns."""
        return len(self._schema.columns)

    def encode(self, table: Mapping[str, Sequence[str]], first_row: int = 0) -> Values:
        """As `encode_table`, for rows that errors count from first_row + 1."""
        names = [each.column.name for each in self._columns if each is not None]
        absent = [name for name in names if name not in table]
        if absent:
            raise TableError(
                f"the table has no column {', '.join(map(repr, absent))}; "
                f"found {', '.join(map(repr, table)) or 'none'}; add the column or remove it from the schema"
            )
        counts = {len(table[name]) for name in names}
        if len(counts) != 1:
            raise TableError(f"columns of different lengths ({sorted(counts)} rows), expected one length")
        values = np.empty((counts.pop(), len(self._schema.columns)), dtype=np.int64)
        for storage in self._schema.storage:
            own = [self._cell_values(table, cell, first_row) for cell in storage.cells]
            stored = self._store(storage, table, own, first_row)
            for place, column in zip(storage.places, stored, strict=True):
                values[:, place] = column
        return values

    def _cell_values(self, table: Mapping[str, Sequence[str]], cell: int, first_row: int) -> Values:
        encoder = self._columns[cell]
        assert encoder is not None, "keys are not stored"
        return encoder.encode(table[encoder.column.name], first_row)

    def _store(
        self, storage: Storage, table: Mapping[str, Sequence[str]], own: list[Values], first_row: int
    ) -> list[Values]:
        constraint = storage.constraint
        if constraint is None:
            return own
        clip = self._outside == "clip"
        if isinstance(constraint, Combination):
            stored = [constraint.nearest(own) if clip else constraint.encode(own)]
        else:
            stored = constraint.encode(own)
            if clip:
                stored = [np.maximum(column, 0) for column in stored]
        broken = np.minimum.reduce(stored) < 0
        if broken.any():
            _refuse_row(constraint, table, int(np.argmax(broken)), int(broken.sum()), first_row)
        return stored


class _CellEncoder:
    """Values of the cells of one column."""

    def __init__(self, column: Column, outside: Outside) -> None:
        self.column = column
        self._outside = outside
        self._index_of = category_index(column)
        self._lookup: dict[str, int] = {}

    def encode(self, cells: Sequence[str], first_row: int) -> Values:
        bad: dict[str, str] = {}
        if len(self._lookup) > _KEPT_CELLS:
            self._lookup.clear()
        for cell in set(cells).difference(self._lookup):
            try:
                self._lookup[cell] = cell_value(self.column, cell, self._outside, self._index_of)
            except TableError as error:
                bad[cell] = str(error)
        if bad:
            _refuse_cell(self.column, cells, bad, first_row)
        return np.fromiter(map(self._lookup.__getitem__, cells), dtype=np.int64, count=len(cells))


def decode_values(schema: Schema, values: Values, *, first_row: int = 0) -> dict[str, list[str]]:
    """Cell texts by column of int64[rows, columns], the columns as a CSV has them.

    first_row: the number in the data set of the first of these rows; the cells of key columns are made from
    it. Raises TableError on a value beyond a column's cardinality or a row beyond the last key.
    """
    own = cell_values(schema, values)
    return {
        column.name: column.texts(first_row, len(values))
        if isinstance(column, KeyColumn)
        else column_texts(column, own[column.name])
        for column in schema.cell_columns
    }


def cell_values(schema: Schema, values: Values) -> dict[str, Values]:
    """The cell columns' own values, int64[rows] by name, of stored values; keys have none.

    The value of a combination's or inequality's member is the index that its column would have alone.
    """
    if values.ndim != 2 or values.shape[1] != len(schema.columns):
        raise TableError(f"found values of shape {values.shape}, expected (rows, {len(schema.columns)})")
    result: dict[str, Values] = {}
    for storage in schema.storage:
        stored = [
            _checked(schema.columns[place], values[:, place].astype(np.int64, copy=False))
            for place in storage.places
        ]
        own = _members(storage, stored)
        result |= zip((schema.cell_columns[cell].name for cell in storage.cells), own, strict=True)
    return result


def column_texts(column: Column, values: Values) -> list[str]:
    """The texts of int64[n] values of one cell column. Raises TableError beyond its cardinality."""
    _checked(column, values)
    if column.cardinality <= 4096:
        texts = [cell_text(column, value) for value in range(column.cardinality)]
        return [texts[value] for value in values.tolist()]
    different, inverse = np.unique(values, return_inverse=True)
    texts = [cell_text(column, value) for value in different.tolist()]
    return [texts[value] for value in inverse.tolist()]


def _members(storage: Storage, stored: list[Values]) -> list[Values]:
    constraint = storage.constraint
    if constraint is None:
        return stored
    return constraint.decode(stored[0]) if isinstance(constraint, Combination) else constraint.decode(stored)


def _checked(column: Column, values: Values) -> Values:
    if values.size and (values.min() < 0 or values.max() >= column.cardinality):
        cell_text(column, int(values.min() if values.min() < 0 else values.max()))
    return values


def _refuse_cell(column: Column, cells: Sequence[str], bad: Mapping[str, str], first_row: int) -> None:
    rows = [row for row, cell in enumerate(cells) if cell in bad]
    first = cells[rows[0]]
    more = f" ({len(rows) - 1:,} of the rows read after it are outside too)" if len(rows) > 1 else ""
    advice = "correct the table or widen the schema"
    if not column.nullable and first.strip() in MISSING_MARKS:
        advice = 'fill the cell, or set "nullable": true in the schema'
    raise TableError(
        f"row {first_row + rows[0] + 1}, column {column.name!r}: found {first!r:.80}, {bad[first]}; "
        f"{advice}{more}"
    )


def _refuse_row(
    constraint: Combination | Increasing,
    table: Mapping[str, Sequence[str]],
    row: int,
    rows: int,
    first_row: int,
) -> None:
    cells = ", ".join(f"{name} = {table[name][row]!r:.40}" for name in constraint.names)
    if isinstance(constraint, Combination):
        expected = "one of the combinations that the schema lists; correct the row or add the combination"
    else:
        rule = "above" if constraint.strict else "at least"
        expected = f"each {rule} the one before it; correct the row or drop the constraint"
    more = f" ({rows - 1:,} of the rows read after it break it too)" if rows > 1 else ""
    raise TableError(f"row {first_row + row + 1}: found {cells}, expected {expected}{more}")


__all__ = [
    "MISSING_MARKS", "Outside", "TableEncoder", "Values", "cell_text", "cell_values", "column_texts",
    "decode_values", "encode_table",
]  # fmt: skip
