"""A table on disk as cells, a piece at a time: CSV, plain or .gz, or Parquet by the suffix .parquet.

A Parquet value becomes the text that a CSV would hold: null is an empty cell, a float keeps its point, a
datetime is ISO. Nested and binary columns are refused when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from provenance.errors import TableError
from provenance.table.persons import Rows, read_rows, used_cells
from provenance.table.python_cells import TableLike, cell_texts
from provenance.table.table_csv import READ_ROWS, read_chunks
from provenance.table.unit import Unit
from tessera.extras import needing

if TYPE_CHECKING:
    from generator.fitting.private_schema import PrivateDraft
    from provenance.table.schema import Schema

Cells = Mapping[str, Sequence[str]]


class Persons(NamedTuple):
    """What a draft protects, and the owner's key of the digests of persons."""

    unit: Unit
    key: bytes


def read_table(table: Path | str | TableLike, schema: Schema, key: bytes = b"") -> Rows:
    """Stored values [rows, columns] of a file or of columns by name; TableError names (file,) row and column.

    key: of the digests of persons, where the schema's unit is one; the owner's, or none where only values are wanted.
    """
    return read_rows(_source(table), _pieces(table), schema, key)


def inferred(
    table: Path | str | TableLike,
    name: str | None = None,
    target: str | None = None,
    without: Collection[str] = (),
    *,
    least_rows: int = 2,
    keep: Collection[str] = (),
    persons: Persons | None = None,
) -> Schema:
    """The schema that a table fits. name: None for the file's, or "table"."""
    from provenance.table.schema_infer import infer_schema

    named = name or _name(table)
    unit = None if persons is None else persons.unit
    pieces = _used_pieces(table, persons)()
    return infer_schema(pieces, named, target, without, least_rows=least_rows, keep=keep, unit=unit)


def privately_inferred(
    table: Path | str | TableLike,
    name: str | None,
    target: str | None,
    without: Collection[str],
    epsilon: float,
    delta: float,
    persons: Persons | None = None,
) -> PrivateDraft:
    """A schema of the table under differential privacy."""
    with needing("generator", "a schema under epsilon"):
        from generator.fitting.private_schema import PrivateRequest, private_schema

    unit = None if persons is None else persons.unit
    request = PrivateRequest(name or _name(table), epsilon, delta, target, without, unit)
    return private_schema(_used_pieces(table, persons), request)


def _used_pieces(table: Path | str | TableLike, persons: Persons | None) -> Callable[[], Iterable[Cells]]:
    """The cells of all rows, or of so many of each person as the unit says."""
    if persons is None:
        return lambda: _pieces(table)
    try:
        return used_cells(lambda: _pieces(table), persons.unit, persons.key)
    except TableError as error:
        raise TableError(f"{_source(table)}: {error}") from error


def _source(table: Path | str | TableLike) -> Path | str:
    return table if isinstance(table, Path | str) else "a table in memory"


def _name(table: Path | str | TableLike) -> str:
    return Path(table).name.split(".")[0] if isinstance(table, Path | str) else "table"


def _pieces(table: Path | str | TableLike) -> Iterable[Cells]:
    return table_chunks(table) if isinstance(table, Path | str) else [cell_texts(table)]


def table_chunks(path: Path | str) -> Iterator[Cells]:
    """The cells of the table at `path` by column name, some thousand rows at a time."""
    return _parquet_chunks(Path(path)) if Path(path).suffix == ".parquet" else read_chunks(path)


def _parquet_chunks(path: Path) -> Iterator[Cells]:
    with needing("parquet", f"reading {path.name}"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        with pq.ParquetFile(path) as file:
            if not file.metadata.num_rows:
                raise TableError(f"{path}: found no rows, expected at least one")
            text_of = {field.name: _writer(pa, field, path) for field in file.schema_arrow}
            for batch in file.iter_batches(READ_ROWS):
                yield {
                    name: _texts(pa, column, text_of[name])
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: cannot be read as Parquet ({error}); check the file") from error


def _texts(pa: Any, column: Any, text_of: Callable[[Any], str]) -> list[str]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's datetimes end at microseconds
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return ["" if value is None else text_of(value) for value in column.to_pylist()]


def _writer(pa: Any, field: Any, path: Path) -> Callable[[Any], str]:
    kind, types = field.type, pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_float32(kind):
        return lambda value: str(np.float32(value))
    known = (
        types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_string,
        types.is_large_string, types.is_date, types.is_time, types.is_timestamp, types.is_null,
    )  # fmt: skip
    if not any(matches(kind) for matches in known):
        raise TableError(
            f"{path}, column {field.name!r}: found the type {kind}, expected numbers, text, booleans, dates or "
            "times; write it as one of those or drop it"
        )
    return str
