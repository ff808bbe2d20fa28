"""Infers a schema from a CSV and marks every field that was taken from the data as `inferred`.
 The result is a draft for a person: bounds and categories come from private rows, so fitting under
differential privacy refuses inferred fields unless they are declared public. Identifiers and free text have
no place in a synthetic table; free text is refused, identifiers of digits look like integers and are the
person's to remove.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from provenance.canonical import JsonValue
from provenance.codec import MISSING_MARKS
from provenance.errors import SchemaError
from provenance.grid import (
    GRID_LIMIT,
    MAX_SCALE,
    canonical_decimal,
    decimal_places,
    parse_decimal,
)
from provenance.moments import parse_date
from provenance.schema import FORMAT, Schema
from provenance.table_csv import read_cells

MAX_TARGET_CATEGORIES = 20
MAX_FREE_CATEGORIES = 1_000
_INTEGER = re.compile(r"(?:0|-?[1-9]\d{0,14})\Z")


def infer_schema(path: Path | str, name: str, target: str | None = None) -> Schema:
    """The schema that the CSV at `path` fits. `target` defaults to the last column if it has at most 20
    categories.

    Raises TableError for an unreadable file, SchemaError for a column that cannot be a grid or categories.
    """
    return infer_from_cells(read_cells(path), name, target)


def infer_from_cells(table: Mapping[str, Sequence[str]], name: str, target: str | None = None) -> Schema:
    """As `infer_schema`, from cells by column name."""
    columns: list[JsonValue] = [_infer_column(each, cells) for each, cells in table.items()]
    schema = Schema.parse({"format": FORMAT, "name": name, "target": target, "columns": columns})
    last = schema.columns[-1]
    different = len({cell.strip() for cell in table[last.name]})
    if target is None and different <= MAX_TARGET_CATEGORIES and len(schema.columns) > 1:
        return Schema(schema.name, schema.cell_columns, last.name)
    return schema


def _infer_column(name: str, cells: Sequence[str]) -> JsonValue:
    counts = Counter(cell.strip() for cell in cells)
    marks = {cell: counts.pop(cell) for cell in MISSING_MARKS if cell in counts}
    if not counts:
        raise SchemaError(f"column {name!r}: found only missing cells, expected a value; drop the column")
    fields = _first_that_fits(name, counts)
    missing = max(marks, key=lambda mark: marks[mark]) if marks else ""
    inferred: list[JsonValue] = [word for word in fields if word not in ("type", "format")]
    if fields["type"] == "integer":
        inferred.remove("multipleOf")  # always 1: not taken from the data
    inferred = ["type", *inferred, "nullable"]
    return {"name": name, **fields, "nullable": bool(marks), "missing": missing, "inferred": inferred}


def _first_that_fits(name: str, counts: Counter[str]) -> dict[str, JsonValue]:
    attempts: list[Callable[[str, Counter[str]], dict[str, JsonValue] | None]] = [
        _as_boolean, _as_integer, _as_number, _as_date, _as_category,
    ]  # fmt: skip
    for attempt in attempts:
        fields = attempt(name, counts)
        if fields is not None:
            return fields
    raise SchemaError(f"column {name!r}: no type fits")


def _as_boolean(_name: str, counts: Counter[str]) -> dict[str, JsonValue] | None:
    return {"type": "boolean"} if all(cell.lower() in ("true", "false") for cell in counts) else None


def _as_integer(name: str, counts: Counter[str]) -> dict[str, JsonValue] | None:
    if not all(map(_INTEGER.match, counts)):
        return None
    numbers = [int(cell) for cell in counts]
    low, high = min(numbers), max(numbers)
    if high - low + 2 > GRID_LIMIT:
        raise SchemaError(
            f"column {name!r}: found integers from {low} to {high}, expected a range below 2^32; "
            "drop the column if it is an identifier, or write it in a coarser unit"
        )
    return {"type": "integer", "minimum": low, "maximum": high, "multipleOf": 1}


def _as_number(name: str, counts: Counter[str]) -> dict[str, JsonValue] | None:
    # leading zeros ("01234") are codes, not numbers
    if any(re.match(r"[+-]?0\d", cell) for cell in counts):
        return None
    parsed = [parse_decimal(cell) for cell in counts]
    numbers = [number for number in parsed if number is not None]
    if len(numbers) != len(parsed):
        return None
    low, high = min(numbers), max(numbers)
    wanted = min(max(map(decimal_places, numbers)), MAX_SCALE)
    for scale in range(wanted, -1, -1):
        unit = Decimal(1).scaleb(-scale)
        bottom, top = low.quantize(unit), high.quantize(unit)
        if (top - bottom) / unit + 2 <= GRID_LIMIT and max(abs(bottom), abs(top)).scaleb(scale) < 2**53:
            return {
                "type": "number",
                "minimum": canonical_decimal(bottom),
                "maximum": canonical_decimal(top),
                "multipleOf": canonical_decimal(unit),
            }
    raise SchemaError(
        f"column {name!r}: found numbers from {low} to {high}, expected a range below 2^32 units; "
        "write the column in a coarser unit (thousands, logarithms) or drop it"
    )


def _as_date(_name: str, counts: Counter[str]) -> dict[str, JsonValue] | None:
    if any(parse_date(cell) is None for cell in counts):
        return None
    return {
        "type": "string",
        "format": "date",
        "minimum": min(counts),
        "maximum": max(counts),
        "multipleOf": 1,
    }


def _as_category(name: str, counts: Counter[str]) -> dict[str, JsonValue]:
    rows = counts.total()
    if len(counts) > MAX_FREE_CATEGORIES and 2 * len(counts) > rows:
        raise SchemaError(
            f"column {name!r}: found {len(counts):,} different texts in {rows:,} rows, which is free text or "
            "an identifier, expected categories; drop the column or group it into categories"
        )
    return {"type": "string", "enum": [str(cell) for cell in sorted(counts)]}
