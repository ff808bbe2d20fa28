"""Tables of Python values: cell texts of what a program holds, and Python values of what a generator made.

A table is anything with `keys()` and columns by name (a dict of lists, a data frame). None and not-a-number are
missing; whole floats are written without a point, as data frames turn integers with gaps into floats. Nothing
is rounded here: whether a cell fits its column is the codec's to say.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.table.codec import decode_values
from provenance.table.column import Column
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema

Cell = str | int | float | bool | datetime.date | datetime.time | datetime.datetime | None


class TableLike(Protocol):
    """Columns by name, all of one length."""

    def keys(self) -> Iterable[str]: ...

    def __getitem__(self, name: str, /) -> Any: ...


def cell_texts(table: TableLike) -> dict[str, list[str]]:
    """The cells of `table` as a CSV would hold them. Raises TableError for a cell of no known type."""
    return {str(name): [_text(str(name), cell) for cell in table[name]] for name in table.keys()}  # noqa: SIM118


def python_values(schema: Schema, values: NDArray[np.int64], *, first_row: int = 0) -> dict[str, list[Cell]]:
    """Columns of Python values, None where missing, of stored values int64[rows, columns].

    integer: int; number: float; boolean: bool; date, time, date-time: those of `datetime`; category and key:
    str. first_row: the number in the data set of the first row, from which keys are made.
    """
    texts = decode_values(schema, values, first_row=first_row)
    return {column.name: _typed(column, texts[column.name]) for column in schema.cell_columns}


def _text(name: str, cell: object) -> str:
    # not-a-number differs from itself; the missing mark of data frames cannot be compared at all
    if cell is None or type(cell).__name__ == "NAType" or cell != cell:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating):
        return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, int | np.integer) or type(cell).__name__ == "Decimal":
        return str(cell)
    raise TableError(
        f"column {name!r}: found a cell of type {type(cell).__name__}, expected text, a number, a boolean, a "
        "date or a time; convert the column first"
    )


def _typed(column: Column | KeyColumn, texts: Sequence[str]) -> list[Cell]:
    if isinstance(column, KeyColumn):
        return list(texts)
    readers: dict[str, Callable[[str], Cell]] = {
        "integer": int,
        "number": float,
        "boolean": lambda text: text.lower() == "true",
        "date": datetime.date.fromisoformat,
        "time": datetime.time.fromisoformat,
        "date-time": datetime.datetime.fromisoformat,
    }
    read = readers.get(column.kind, str)
    # no category and no number is written like the missing mark, so the text alone tells
    missing = column.missing if column.nullable else None
    known: dict[str, Cell] = {text: None if text == missing else read(text) for text in set(texts)}
    return [known[text] for text in texts]
