"""Columns of a schema: which values a column may take, how it stands in the document, and the text of a cell.

A column is discrete: a category, or a grid `minimum + k * multipleOf` of integers, decimals, dates, times or
date-times. A value is its index 0 .. cardinality - 1; the missing value of a nullable column is the last
index. Keys, whose cells are made and not stored, are `provenance.table.key_column`.

Cells are trimmed of outer spaces. A cell that equals a category is that category; otherwise, in a nullable
column, it is missing if it equals the column's `missing` text or one of the usual marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError
from provenance.table.grid import CATEGORY_LIMIT, GRID_LIMIT, Grid, GridKind
from provenance.table.remarks import NO_REMARKS, REMARKS, Remarks
from provenance.table.schema_words import flag_member, no_extra

MISSING_MARKS = ("", "?", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null")
Outside = Literal["refuse", "clip"]
"""What to do with a cell outside of its column: refuse it, or take the nearest grid point or missing."""
_NUMERIC_TYPES = {"integer": GridKind.INTEGER, "number": GridKind.NUMBER}
_FORMATS = {kind.value: kind for kind in (GridKind.DATE, GridKind.TIME, GridKind.DATE_TIME)}
_COMMON = {"name", "type", "nullable", "missing", *REMARKS}
_GRID_WORDS = {"minimum", "maximum", "multipleOf"}
_TYPES = "integer, number, string or boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Exactly one of `grid` (numbers, dates and times) and `categories` (string, boolean) is set."""

    name: str
    grid: Grid | None
    categories: tuple[str, ...]
    is_boolean: bool
    nullable: bool
    missing: str
    remarks: Remarks = NO_REMARKS

    @property
    def is_numeric(self) -> bool:
        """Whether the values are points of a grid (numbers, dates and times), so that order means something."""
        return self.grid is not None

    @property
    def kind(self) -> str:
        """`integer`, `number`, `date`, `time`, `date-time`, `category` or `boolean`."""
        if self.grid is not None:
            return self.grid.kind.value
        return "boolean" if self.is_boolean else "category"

    @property
    def grid_size(self) -> int:
        """Number of values that are not the missing one."""
        return self.grid.size if self.grid is not None else len(self.categories)

    @property
    def cardinality(self) -> int:
        """Number of values, the missing one included; at most 2^32."""
        return self.grid_size + self.nullable

    @property
    def missing_index(self) -> int | None:
        """The last index if the column is nullable, else None."""
        return self.grid_size if self.nullable else None

    @property
    def value_width(self) -> int:
        """Bytes of one value in a row, 1 to 4: as few as hold cardinality - 1."""
        return max(1, ((self.cardinality - 1).bit_length() + 7) // 8)

    def plain_text(self, value: int) -> str:
        """The text of a value that is not the missing one, as the schema's own bounds are written."""
        if self.grid is None:
            return self.categories[value]
        return self.grid.text_of_scaled(self.grid.origin + value * self.grid.step)

    def document(self, *, with_remarks: bool = True) -> dict[str, JsonValue]:
        """The column as it stands in the canonical document."""
        result: dict[str, JsonValue] = {"name": self.name}
        if self.grid is not None:
            result |= self.grid.document()
        elif self.is_boolean:
            result["type"] = "boolean"
        else:
            result |= {"type": "string", "enum": list(self.categories)}
        result |= {"nullable": self.nullable, "missing": self.missing}
        return result | (self.remarks.document() if with_remarks else {})


def parse_column(document: Mapping[str, object], name: str) -> Column:
    """The column of a JSON object whose name was read already. Raises SchemaError."""
    place = f"column {name!r}"
    kind = document.get("type")
    nullable = flag_member(document, "nullable", place)
    missing = document.get("missing", "")
    if not isinstance(missing, str) or missing != missing.strip() or any(ord(c) < 32 for c in missing):
        raise SchemaError(f"{place}, field 'missing': found {missing!r}, expected text without outer spaces")
    grid: Grid | None = None
    categories: tuple[str, ...] = ()
    if not isinstance(kind, str):
        raise SchemaError(f"{place}, field 'type': found {kind!r:.80}, expected {_TYPES}")
    if kind in _NUMERIC_TYPES or (kind == "string" and "format" in document):
        grid = _parse_grid(document, kind, place)
    elif kind == "string":
        no_extra(document, _COMMON | {"enum"}, place)
        categories = _parse_enum(document.get("enum"), missing if nullable else None, place)
    elif kind == "boolean":
        no_extra(document, _COMMON, place)
        categories = ("false", "true")
    else:
        raise SchemaError(f"{place}, field 'type': found {kind!r}, expected {_TYPES}")
    remarks = Remarks.parse(document, place)
    column = Column(name, grid, categories, kind == "boolean", nullable, missing, remarks)
    if column.cardinality > GRID_LIMIT:
        raise SchemaError(
            f"{place}: found {column.cardinality:,} grid points, expected at most 2^32; "
            "use a larger 'multipleOf' or narrower bounds"
        )
    return column


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

    outside="clip", or the column's remark `clip`, moves numbers to the nearest grid point and all else that is
    unknown to missing where that exists. Raises TableError that says what was expected.
    """
    clips = outside == "clip" or column.remarks.clip
    cell = cell.strip()
    if index_of is None:
        index_of = category_index(column)
    if cell in index_of:
        return index_of[cell]
    is_missing = cell == column.missing or cell in MISSING_MARKS
    if is_missing and column.missing_index is not None:
        return column.missing_index
    if column.grid is not None:
        return _clipped(column, column.grid, cell) if clips else column.grid.index(cell)
    if column.is_boolean and cell.lower() in index_of:
        return index_of[cell.lower()]
    if clips and column.missing_index is not None:
        return column.missing_index
    shown = ", ".join(map(repr, column.categories[:8])) + (", ..." if len(column.categories) > 8 else "")
    raise TableError(f"expected one of {shown}")


def _clipped(column: Column, grid: Grid, cell: str) -> int:
    """The nearest grid point; missing for text that is no value of this kind, where there is a missing value."""
    try:
        return grid.clipped_index(cell)
    except TableError:
        if column.missing_index is None:
            raise
        return column.missing_index


def category_index(column: Column) -> dict[str, int]:
    """Position of each category."""
    return {category: i for i, category in enumerate(column.categories)}


def _parse_grid(document: Mapping[str, object], kind: str, place: str) -> Grid:
    if kind == "string":
        found = document.get("format")
        datetime_kind = _FORMATS.get(found) if isinstance(found, str) else None
        if datetime_kind is None:
            raise SchemaError(
                f"{place}, field 'format': found {found!r}, expected date, time, date-time, key or no format"
            )
        words = _GRID_WORDS | {"format"} | ({"separator"} if datetime_kind is GridKind.DATE_TIME else set())
        no_extra(document, _COMMON | words, place)
        return Grid.parse(datetime_kind, document, place)
    no_extra(document, _COMMON | _GRID_WORDS, place)
    return Grid.parse(_NUMERIC_TYPES[kind], document, place)


def _parse_enum(value: object, missing: str | None, place: str) -> tuple[str, ...]:
    place = f"{place}, field 'enum'"
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= CATEGORY_LIMIT:
        raise SchemaError(
            f"{place}: expected a list of 1 to {CATEGORY_LIMIT:,} different strings; list the categories"
        )
    seen: set[str] = set()
    for item in value:
        if not isinstance(item, str):
            raise SchemaError(f"{place}: found {item!r}, expected a string; put it in quotes")
        if item != item.strip() or any(ord(c) < 32 for c in item):
            raise SchemaError(f"{place}: found {item!r}, expected no outer spaces and no control characters")
        if item in seen:
            raise SchemaError(f"{place}: {item!r} stands twice; remove one")
        if item == missing:
            raise SchemaError(
                f"{place}: {item!r} is also the 'missing' text; remove it here or set another 'missing'"
            )
        seen.add(item)
    return tuple(value)
