"""A table of cells against a schema, cell by cell: what is outside, what is missing, and the rows that can be judged.

Evaluation sees the columns that people see: constraints and keys are looked at here and nowhere after, so what
comes out is over a plain schema (`plain_schema`) with a value a cell. Nothing is refused for its cells; a row
with a cell that has no value at all is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from provenance.errors import TableError
from provenance.table.column import Column, category_index, cell_value
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BadCells:
    """Cells of one column that the schema does not allow: how many, the first of them, what was expected."""

    column: str
    cells: int
    example: str
    expected: str


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A constraint of the schema, by its columns, and how many rows break it."""

    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """values: int64[n, C] over the plain schema, of the rows that have a value in every column.

    rows: of the table. outside: columns with cells outside the schema; numbers off the grid or out of range
    go to the nearest point and stay, cells without any value take their row with them.
    """

    values: Values
    rows: int
    outside: tuple[BadCells, ...]
    broken: tuple[BrokenRule, ...]

    @property
    def left_out(self) -> int:
        """Rows that cannot be judged."""
        return self.rows - len(self.values)


def plain_schema(schema: Schema) -> Schema:
    """The schema's columns as people see them: no keys, no constraints."""
    columns = tuple(column for column in schema.cell_columns if not isinstance(column, KeyColumn))
    return Schema(schema.name, columns, schema.target)


def check_cells(table: Mapping[str, Sequence[str]], schema: Schema, what: str) -> CheckedTable:
    """Check cells by column name. EvaluationError, naming `what`, if a column of the schema is not there."""
    plain = plain_schema(schema)
    absent = [name for name in plain.cell_names if name not in table]
    if absent:
        raise EvaluationError(
            f"{what}: found the columns {', '.join(table):.200}, expected those of schema {schema.name!r}; "
            f"{', '.join(absent):.200} {'is' if len(absent) == 1 else 'are'} not there: give the schema that the "
            "table was made by"
        )
    rows = len(table[plain.cell_names[0]])
    values = np.empty((rows, len(plain.cell_names)), dtype=np.int64)
    usable = np.ones(rows, dtype=bool)
    outside: list[BadCells] = []
    for place, column in enumerate(plain.columns):
        found, strict = _column(column, table[column.name])
        values[:, place] = found
        usable &= found >= 0
        if strict is not None:
            outside.append(strict)
    return CheckedTable(values[usable], rows, tuple(outside), _broken(values[usable], plain, schema))


def _column(column: Column, cells: Sequence[str]) -> tuple[Values, BadCells | None]:
    """Values, -1 where a cell has none, and what was outside the schema."""
    index_of = category_index(column)
    known: dict[str, int] = {}
    bad: dict[str, str] = {}
    for cell in set(cells):
        try:
            known[cell] = cell_value(column, cell, "refuse", index_of)
        except TableError as error:
            bad[cell] = str(error)
            known[cell] = _nearest(column, cell, index_of)
    values = np.fromiter(map(known.__getitem__, cells), dtype=np.int64, count=len(cells))
    if not bad:
        return values, None
    first = next(cell for cell in cells if cell in bad)
    return values, BadCells(column.name, sum(cell in bad for cell in cells), first, bad[first])


def _nearest(column: Column, cell: str, index_of: Mapping[str, int]) -> int:
    try:
        return cell_value(column, cell, "clip", index_of)
    except TableError:
        return -1


def _broken(values: Values, plain: Schema, schema: Schema) -> tuple[BrokenRule, ...]:
    rules: list[BrokenRule] = []
    for constraint in schema.constraints:
        own = [values[:, plain.cell_names.index(name)] for name in constraint.names]
        encoded = constraint.encode(own)
        stored = encoded if isinstance(encoded, list) else [encoded]
        rows = int((np.minimum.reduce(stored) < 0).sum()) if len(values) else 0
        if rows:
            rules.append(BrokenRule(constraint.names, rows))
    return tuple(rules)
