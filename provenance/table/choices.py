"""From a condition on cells (`city`, "Bern"; `age`, "30..40") to stored values: which ones satisfy it.

A condition's text is a value as a cell has it; for numbers, dates and times also `low..high` (both included),
`>=x`, `<=x`, `>x`, `<x`; and `missing` (or any text that a cell reads as missing) in a nullable column. For
categories the text is always the category, whatever signs it holds.
"""

from __future__ import annotations

import math

import numpy as np

from provenance.errors import ConditionError, TableError
from provenance.table.column import Column, cell_value
from provenance.table.combination import Combination
from provenance.table.grid import Grid
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema

MISSING = "missing"
Ranges = list[tuple[int, int]]


def stored_choices(schema: Schema, column_name: str, text: str) -> tuple[int, Ranges]:
    """The stored column that decides the condition, and the values that satisfy it: half-open, ascending,
    disjoint ranges (low, end) of at least one value in all.

    Raises ConditionError: unknown column, a text that is no value or satisfied by none, a key, or a column
    that is stored as a distance.
    """
    if column_name not in schema.cell_names:
        raise ConditionError(
            f"found a condition on {column_name!r}, expected one of {', '.join(schema.cell_names):.300}"
        )
    index = schema.cell_names.index(column_name)
    column = schema.cell_columns[index]
    if isinstance(column, KeyColumn):
        raise ConditionError(f"column {column_name!r} is a key, made from the row number; drop the condition")
    storage = next(each for each in schema.storage if index in each.cells)
    member = storage.cells.index(index)
    ranges = column_choices(column, text)
    if isinstance(storage.constraint, Combination):
        return storage.places[0], _combinations(storage.constraint, member, ranges, text)
    if member > 0:
        first = schema.cell_columns[storage.cells[0]].name
        raise ConditionError(
            f"column {column_name!r} is stored as its distance to the column before it, so rows cannot be "
            f"chosen by it; put the condition on {first!r}, or take the column out of its constraint"
        )
    return storage.places[member], ranges


def column_choices(column: Column, text: str) -> Ranges:
    """The values of one column by itself that satisfy `text`; ConditionError as `stored_choices`."""
    text = text.strip()
    if text == MISSING and text not in column.categories:
        if column.missing_index is None:
            raise ConditionError(f"column {column.name!r}: no cell is missing, the schema does not allow it")
        return [(column.missing_index, column.missing_index + 1)]
    if column.grid is not None:
        bounds = _grid_bounds(column, column.grid, text)
        if bounds is not None:
            return [bounds]
    try:
        value = cell_value(column, text)
    except TableError as error:
        raise ConditionError(f"column {column.name!r}: found {text!r:.80}, {error}") from error
    return [(value, value + 1)]


def _combinations(constraint: Combination, member: int, ranges: Ranges, text: str) -> Ranges:
    values = constraint.table[:, member]
    chosen = np.zeros(len(values) + 2, dtype=np.int8)
    for low, end in ranges:
        chosen[1:-1] |= (values >= low) & (values < end)
    edges = np.flatnonzero(np.diff(chosen)).reshape(-1, 2)
    if not len(edges):
        raise ConditionError(
            f"column {constraint.names[member]!r}: found {text!r:.80}, which stands in no combination of "
            f"{', '.join(constraint.names)}; choose a value that does"
        )
    return [(int(low), int(end)) for low, end in edges]


def _grid_bounds(column: Column, grid: Grid, text: str) -> tuple[int, int] | None:
    """The grid points between the bounds in `text`; None if it is a single value."""
    low, end = 0, grid.size
    try:
        if ".." in text:
            first, last = text.split("..", 1)
            low, end = _up(grid, first), _down(grid, last) + 1
        elif text.startswith(">="):
            low = _up(grid, text[2:])
        elif text.startswith("<="):
            end = _down(grid, text[2:]) + 1
        elif text.startswith(">"):
            low = _down(grid, text[1:]) + 1
        elif text.startswith("<"):
            end = _up(grid, text[1:])
        else:
            return None
    except TableError as error:
        raise ConditionError(
            f"column {column.name!r}: found {text!r:.80}, {error}, or a range like "
            f"{grid.text(0)}..{grid.text(grid.size - 1)}"
        ) from error
    low, end = max(low, 0), min(end, grid.size)
    if low >= end:
        raise ConditionError(
            f"column {column.name!r}: found {text!r:.80}, which no value satisfies, expected "
            f"{grid.describe()}; widen it"
        )
    return low, end


def _up(grid: Grid, cell: str) -> int:
    return math.ceil(grid.steps_from_origin(cell.strip()))


def _down(grid: Grid, cell: str) -> int:
    return math.floor(grid.steps_from_origin(cell.strip()))
