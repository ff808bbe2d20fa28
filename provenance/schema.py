"""Schema documents `tessera-schema/1`: what columns a table has and which values each may take.
 Every column is discrete: a category, or a grid `minimum + k * multipleOf` of integers, decimals or dates. A
value is the column's index 0 .. cardinality - 1; the missing value of a nullable column is the last index.
The digest leaves out the `inferred` marks: they say where a bound came from, not what it is. Normative text:
docs/spec/schema.md. Reading and writing cells: `provenance.codec`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from provenance import canonical
from provenance.canonical import JsonValue
from provenance.errors import SchemaError, UnknownVersionError
from provenance.grid import CATEGORY_LIMIT, GRID_LIMIT, Grid, GridKind, canonical_decimal
from provenance.values import Digest, sha256

FORMAT = "tessera-schema/1"
MAX_COLUMNS = 512
INFERABLE = ("type", "format", "minimum", "maximum", "multipleOf", "enum", "nullable", "missing")
_NUMERIC_TYPES = {"integer": GridKind.INTEGER, "number": GridKind.NUMBER}
_COMMON = {"name", "type", "nullable", "missing", "inferred"}
_GRID_WORDS = {"minimum", "maximum", "multipleOf"}
_TYPES = "integer, number, string or boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Exactly one of `grid` (integer, number, date) and `categories` (string, boolean) is set."""

    name: str
    grid: Grid | None
    categories: tuple[str, ...]
    is_boolean: bool
    nullable: bool
    missing: str
    inferred: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        """Whether the values are points of a grid (integer, number, date), so that order means something."""
        return self.grid is not None

    @property
    def kind(self) -> str:
        """`integer`, `number`, `date`, `category` or `boolean`."""
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

    def document(self, *, with_inferred: bool = True) -> dict[str, JsonValue]:
        """The column as it stands in the canonical document."""
        result: dict[str, JsonValue] = {"name": self.name}
        if self.grid is not None:
            result |= self.grid.document()
        elif self.is_boolean:
            result["type"] = "boolean"
        else:
            result |= {"type": "string", "enum": list(self.categories)}
        result |= {"nullable": self.nullable, "missing": self.missing}
        if with_inferred and self.inferred:
            result["inferred"] = list(self.inferred)
        return result


@dataclass(frozen=True)
class Schema:
    """An ordered list of columns, a name, and optionally the column that learners should predict."""

    name: str
    columns: tuple[Column, ...]
    target: str | None = None

    @classmethod
    def parse(cls, value: object) -> Schema:
        """The schema of a JSON object. Raises SchemaError (column, field, found, expected, what to do)."""
        document = _object(value, "schema")
        found = document.get("format")
        if found != FORMAT:
            raise UnknownVersionError(
                f'schema: found format {found!r}, expected "{FORMAT}"; convert the document'
            )
        _no_extra(document, {"format", "name", "target", "columns"}, "schema")
        name = _text(document, "name", "schema")
        raw = document.get("columns")
        if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= MAX_COLUMNS:
            raise SchemaError(f"schema, field 'columns': expected a list of 1 to {MAX_COLUMNS} columns")
        columns = tuple(_parse_column(item, i) for i, item in enumerate(raw))
        names = [column.name for column in columns]
        for each in names:
            if names.count(each) > 1:
                raise SchemaError(f"column {each!r}: the name stands twice; rename one of the columns")
        target = document.get("target")
        if target is not None and target not in names:
            raise SchemaError(
                f"schema, field 'target': found {target!r}, expected null or one of {', '.join(names):.300}"
            )
        return cls(name=name, columns=columns, target=None if target is None else str(target))

    @classmethod
    def from_text(cls, text: str) -> Schema:
        """The schema in JSON text as people edit it (white space and key order are free)."""
        try:
            return cls.parse(json.loads(text, parse_float=Decimal))
        except json.JSONDecodeError as error:
            raise SchemaError(
                f"schema: not JSON at line {error.lineno}, column {error.colno}: {error.msg}; "
                "look for a missing comma or quote just before that place"
            ) from error

    @classmethod
    def load(cls, path: Path | str) -> Schema:
        """The schema in the file at `path`; errors name the file."""
        try:
            return cls.from_text(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(f"schema file {path}: cannot be read ({error}); check the path") from error
        except UnknownVersionError as error:
            raise UnknownVersionError(f"{path}: {error}") from error
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from error

    def document(self, *, with_inferred: bool = True) -> dict[str, JsonValue]:
        """The canonical document; `Schema.parse(schema.document()) == schema`."""
        columns: list[JsonValue] = [c.document(with_inferred=with_inferred) for c in self.columns]
        return {"format": FORMAT, "name": self.name, "target": self.target, "columns": columns}

    def pretty(self) -> str:
        """JSON text for people to edit: one column a line."""
        head = {key: item for key, item in self.document().items() if key != "columns"}
        lines = [
            f"  {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}," for key, item in head.items()
        ]
        rows = ["    " + json.dumps(c.document(), ensure_ascii=False) for c in self.columns]
        return "\n".join(["{", *lines, '  "columns": [', ",\n".join(rows), "  ]", "}", ""])

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the canonical document without the `inferred` marks."""
        return sha256(canonical.encode(self.document(with_inferred=False)))

    @property
    def target_index(self) -> int | None:
        """Position of the target column, or None."""
        return None if self.target is None else self.column_names.index(self.target)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def value_widths(self) -> tuple[int, ...]:
        """Bytes of each column's value in a row."""
        return tuple(column.value_width for column in self.columns)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of values of each column."""
        return tuple(column.cardinality for column in self.columns)

    def inferred_fields(self) -> tuple[tuple[str, str], ...]:
        """(column, field) pairs that were taken from data and not declared by a person."""
        return tuple((column.name, field) for column in self.columns for field in column.inferred)

    def declared(self) -> Schema:
        """The same schema with no field marked as inferred: the caller vouches that it is public."""
        return replace(self, columns=tuple(replace(column, inferred=()) for column in self.columns))


def _parse_column(value: object, position: int) -> Column:
    place = f"column {position + 1}"
    document = _object(value, place)
    name = _text(document, "name", place)
    place = f"column {name!r}"
    kind = document.get("type")
    nullable = _flag(document, "nullable", place)
    missing = document.get("missing", "")
    if not isinstance(missing, str) or missing != missing.strip() or any(ord(c) < 32 for c in missing):
        raise SchemaError(f"{place}, field 'missing': found {missing!r}, expected text without outer spaces")
    grid: Grid | None = None
    categories: tuple[str, ...] = ()
    if kind in _NUMERIC_TYPES or (kind == "string" and "format" in document):
        grid = _parse_grid(document, str(kind), place)
    elif kind == "string":
        _no_extra(document, _COMMON | {"enum"}, place)
        categories = _parse_enum(document.get("enum"), missing if nullable else None, place)
    elif kind == "boolean":
        _no_extra(document, _COMMON, place)
        categories = ("false", "true")
    else:
        raise SchemaError(f"{place}, field 'type': found {kind!r}, expected {_TYPES}")
    column = Column(
        name, grid, categories, kind == "boolean", nullable, missing, _parse_inferred(document, place)
    )
    if column.cardinality > GRID_LIMIT:
        raise SchemaError(
            f"{place}: found {column.cardinality:,} grid points, expected at most 2^32; "
            "use a larger 'multipleOf' or narrower bounds"
        )
    return column


def _parse_grid(document: Mapping[str, object], kind: str, place: str) -> Grid:
    if kind == "string":
        found = document.get("format")
        if found != "date":
            raise SchemaError(f"{place}, field 'format': found {found!r}, expected \"date\" or no format")
        _no_extra(document, _COMMON | _GRID_WORDS | {"format"}, place)
        return Grid.parse(GridKind.DATE, document, place)
    _no_extra(document, _COMMON | _GRID_WORDS, place)
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


def _parse_inferred(document: Mapping[str, object], place: str) -> tuple[str, ...]:
    value = document.get("inferred", [])
    if not isinstance(value, list | tuple) or any(item not in INFERABLE for item in value):
        raise SchemaError(
            f"{place}, field 'inferred': found {value!r}, expected a list of {', '.join(INFERABLE)}"
        )
    return tuple(word for word in INFERABLE if word in value)


def _object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{place}: found {type(value).__name__}, expected a JSON object")
    return {str(key): item for key, item in value.items()}


def _no_extra(document: Mapping[str, object], known: set[str], place: str) -> None:
    extra: Iterator[str] = (key for key in document if key not in known)
    for key in extra:
        raise SchemaError(
            f"{place}: found the unknown field {key!r}, expected only {', '.join(sorted(known))}"
        )


def _text(document: Mapping[str, object], key: str, place: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or value != value.strip():
        raise SchemaError(f"{place}, field {key!r}: found {value!r}, expected 1 to 128 characters of text")
    if any(ord(c) < 32 for c in value):
        raise SchemaError(f"{place}, field {key!r}: found control characters, expected plain text")
    return value


def _flag(document: Mapping[str, object], key: str, place: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise SchemaError(f"{place}, field {key!r}: found {value!r}, expected true or false")
    return value


__all__ = ["FORMAT", "INFERABLE", "MAX_COLUMNS", "Column", "Schema", "canonical_decimal"]
