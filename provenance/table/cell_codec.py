"""One cell and its value: the text of a value, the value of a text.

Cells are trimmed of outer spaces. A cell that equals a category is that category; otherwise, in a nullable
column, it is missing if it equals the column's `missing` text or one of the usual marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from provenance.errors import TableError
from provenance.table.column import Column

Outside = Literal["refuse", "clip"]

MISSING_MARKS = ("", "?", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null")


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


def cell_value(
    column: Column, cell: str, outside: Outside = "refuse", index_of: Mapping[str, int] | None = None
) -> int:
    """The value of the text of one cell. index_of: the column's categories by text, to save building it.

    outside="clip" moves numbers to the nearest grid point and unknown categories to missing where that
    exists. Raises TableError that says what was expected.
    """
    cell = cell.strip()
    if index_of is None:
        index_of = category_index(column)
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


def category_index(column: Column) -> dict[str, int]:
    """Position of each category."""
    return {category: i for i, category in enumerate(column.categories)}
