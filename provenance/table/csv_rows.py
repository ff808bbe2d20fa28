"""Rows as CSV bytes, whole columns at a time: the same cells as `codec.decode_values`, several times faster.

A column becomes a table of bytes, one line a row, padded with zero bytes that no cell can hold; the columns
stand side by side and the padding is squeezed out. Small columns look their cells up, numbers are written digit
by digit, all else once a different value. UTF-8, comma, RFC 4180 quotes, `\\n` line ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.table.codec import Values, cell_values
from provenance.table.column import Column, cell_text
from provenance.table.grid import Grid, GridKind
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema

Cells = NDArray[np.uint8]

_BLOCK_BYTES = 2**23
_BLOCK_ROWS = 2**16
_LOOKUP_VALUES = 2**16
_LOOKUP_BYTES = 2**24
_PADDING = b"\0"


class CsvRows:
    """Writes rows of one schema; keeps the look-ups between calls."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._alone = len(schema.cell_columns) == 1
        self._columns = [
            None if isinstance(column, KeyColumn) else _ColumnCells(column, alone=self._alone)
            for column in schema.cell_columns
        ]

    def header(self) -> bytes:
        """The line of names."""
        return (",".join(map(quoted, self._schema.cell_names)) + "\n").encode()

    def lines(self, values: Values, first_row: int = 0) -> Iterator[bytes]:
        """The lines of int64[rows, columns] in blocks. first_row: the number in the data set of the first of these
        rows, for keys. Raises TableError on a value beyond a column's cardinality or a row beyond the last key."""
        start, rows = 0, 1024
        while start < len(values):
            block = values[start : start + rows]
            table = self._table(block, first_row + start)
            yield table.tobytes().translate(None, _PADDING)
            start += len(block)
            # wide rows in smaller blocks, so that memory stays flat
            rows = min(_BLOCK_ROWS, max(1, _BLOCK_BYTES // table.shape[1]))

    def _table(self, values: Values, first_row: int) -> Cells:
        own = cell_values(self._schema, values)
        parts: list[Cells] = []
        for column, cells in zip(self._schema.cell_columns, self._columns, strict=True):
            if cells is not None:
                parts.append(cells.of(own[column.name]))
            elif isinstance(column, KeyColumn):
                parts.append(padded([quoted(text) for text in column.texts(first_row, len(values))]))
        width = sum(part.shape[1] + 1 for part in parts)
        table = np.empty((len(values), width), dtype=np.uint8)
        place = 0
        for part in parts:
            table[:, place : place + part.shape[1]] = part
            place += part.shape[1] + 1
            table[:, place - 1] = ord(",")
        table[:, -1] = ord("\n")
        return table


class _ColumnCells:
    """The cells of one column; an only column writes an empty cell as `""`, since most readers skip a line
    with nothing on it."""

    def __init__(self, column: Column, *, alone: bool) -> None:
        self._column = column
        self._alone = alone
        self._lookup: Cells | None = None
        self._small = column.cardinality <= _LOOKUP_VALUES
        self._missing = padded([self._text(column.missing)])[0]

    def of(self, values: Values) -> Cells:
        """uint8[rows, width] of int64[rows], known to be in range."""
        column = self._column
        if self._lookup is not None:
            return self._lookup.take(values, axis=0)
        if self._small:
            lookup = self._texts(range(column.cardinality))
            self._small = lookup.size <= _LOOKUP_BYTES
            if self._small:
                self._lookup = lookup
                return lookup.take(values, axis=0)
        elif column.grid is not None and column.grid.kind in (GridKind.INTEGER, GridKind.NUMBER):
            return self._numbers(column.grid, values)
        different, places = np.unique(values, return_inverse=True)
        return self._texts(different.tolist()).take(places, axis=0)

    def _numbers(self, grid: Grid, values: Values) -> Cells:
        missing = values == self._column.missing_index
        cells = decimal_digits(grid.origin + np.where(missing, 0, values) * grid.step, grid)
        if not self._column.nullable:
            return cells
        wide = np.zeros((len(values), max(cells.shape[1], len(self._missing))), dtype=np.uint8)
        wide[:, : cells.shape[1]] = cells
        wide[missing] = 0
        wide[missing, : len(self._missing)] = self._missing
        return wide

    def _texts(self, values: Sequence[int]) -> Cells:
        return padded([self._text(cell_text(self._column, value)) for value in values])

    def _text(self, cell: str) -> str:
        return '""' if self._alone and not cell else quoted(cell)


def decimal_digits(scaled: Values, grid: Grid) -> Cells:
    """uint8[n, width]: int64[n] / 10^scale as `Grid.text` writes them, zero bytes where there is no character.

    An integer has no point; a number has at least one digit after it and no further trailing zeros.
    """
    fraction = max(grid.scale, 1) if grid.kind is GridKind.NUMBER else 0
    largest = max(abs(grid.origin), abs(grid.origin + (grid.size - 1) * grid.step))
    whole = max(len(str(largest)) - grid.scale, 1)
    cells = np.zeros((len(scaled), 1 + whole + (1 + fraction if fraction else 0)), dtype=np.uint8)
    cells[scaled < 0, 0] = ord("-")
    left: NDArray[np.unsignedinteger] = np.abs(scaled).astype(np.uint32 if largest < 2**32 else np.uint64)
    seen = np.zeros(len(scaled), dtype=np.bool_)
    for place in range(fraction):
        digit = np.zeros(len(scaled), dtype=np.uint8)
        if grid.scale:
            left, digit = _last_digit(left)
        seen |= digit > 0
        # the first digit after the point stays whatever it is
        shown = seen if place < fraction - 1 else np.True_
        cells[:, -1 - place] = np.where(shown, digit + ord("0"), 0)
    if fraction:
        cells[:, 1 + whole] = ord(".")
    for place in range(whole):
        shown = left > 0 if place else np.True_
        left, digit = _last_digit(left)
        cells[:, whole - place] = np.where(shown, digit + ord("0"), 0)
    return cells


def _last_digit(numbers: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.unsignedinteger], Cells]:
    tenths = numbers // 10
    return tenths, (numbers - tenths * 10).astype(np.uint8)


def padded(texts: Sequence[str]) -> Cells:
    """uint8[n, width] of texts in UTF-8, filled up with zero bytes on the right."""
    encoded = [text.encode() for text in texts]
    width = max(1, max(map(len, encoded), default=1))
    return np.array(encoded, dtype=f"S{width}").view(np.uint8).reshape(len(encoded), width)


def quoted(cell: str) -> str:
    """The cell in quotes where RFC 4180 or an outer space asks for them."""
    if any(mark in cell for mark in ',"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell
