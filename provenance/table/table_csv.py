"""CSV tables: reading (plain or .gz) and writing by a schema. UTF-8, comma, RFC 4180 quotes, a header line.

Columns may stand in any order and further columns are ignored; the schema's columns must all be there.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.table.codec import Outside, TableEncoder, Values
from provenance.table.csv_rows import CsvRows
from provenance.table.schema import Schema

READ_ROWS = 2_048
"""So few that the cells of a piece stay in the processor's cache."""

IntegerT = TypeVar("IntegerT", bound=np.signedinteger[Any])
CompactValues: TypeAlias = NDArray[np.signedinteger[Any]]


def read_csv(path: Path | str, schema: Schema, *, outside: Outside = "refuse") -> Values:
    """int64[rows, columns] of the table at `path`; TableError names file, row and column."""
    return _encoded(path, read_chunks(path), TableEncoder(schema, outside), np.dtype(np.int64))


def read_compact(path: Path | str, schema: Schema) -> CompactValues:
    """As `read_csv`, in the narrowest signed integers that hold every column's values, for large tables.

    Memory: the result, up to a quarter more while it grows, and a few thousand rows as text.
    """
    return encode_chunks(path, read_chunks(path), schema)


def encode_chunks(
    source: Path | str, chunks: Iterable[Mapping[str, Sequence[str]]], schema: Schema
) -> CompactValues:
    """As `read_compact`, from pieces of a table by column name; errors name `source`."""
    return _encoded(source, chunks, TableEncoder(schema), compact_dtype(schema))


def _encoded(
    source: Path | str,
    chunks: Iterable[Mapping[str, Sequence[str]]],
    encoder: TableEncoder,
    dtype: np.dtype[IntegerT],
) -> NDArray[IntegerT]:
    rows = 0
    result = np.empty((READ_ROWS, encoder.columns), dtype=dtype)
    for chunk in chunks:
        try:
            values = encoder.encode(chunk, rows)
        except TableError as error:
            raise TableError(f"{source}: {error}") from error
        if rows + len(values) > len(result):
            # no view of it exists: the memory is moved or grown in place, never held twice
            result.resize((rows + len(values) + rows // 4, result.shape[1]), refcheck=False)
        result[rows : rows + len(values)] = values
        rows += len(values)
    result.resize((rows, result.shape[1]), refcheck=False)
    return result


def compact_dtype(schema: Schema) -> np.dtype[np.signedinteger[Any]]:
    """int16, int32 or int64: the narrowest that holds every value of the schema."""
    return np.dtype(np.result_type(np.int16, np.min_scalar_type(-max(schema.cardinalities))))


def read_chunks(path: Path | str, rows: int = READ_ROWS) -> Iterator[dict[str, tuple[str, ...]]]:
    """The cells of a CSV by column name, so many rows at a time; at least one row in all.

    Raises TableError if it is no table or rows differ in length.
    """
    try:
        with _open(Path(path)) as stream:
            lines = csv.reader(stream, strict=True)
            header = _header(path, next((row for row in lines if row), None))
            start = 0
            while body := [row for row in islice(lines, rows) if row] or _further(lines):
                _check_lengths(path, body, len(header), start)
                yield dict(zip(header, zip(*body, strict=True), strict=True))
                start += len(body)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"{path}: cannot be read as CSV ({error}); expected UTF-8 text, plain or .gz"
        ) from error
    if not start:
        raise TableError(f"{path}: found a header and no rows, expected at least one row")


def _further(lines: Iterator[list[str]]) -> list[list[str]]:
    """The next row that is not blank, if there is one."""
    return list(islice((row for row in lines if row), 1))


def _header(path: Path | str, row: list[str] | None) -> list[str]:
    if row is None:
        raise TableError(f"{path}: the file is empty, expected a header line and rows")
    header = [name.strip() for name in row]
    for name in header:
        if header.count(name) > 1:
            raise TableError(f"{path}: the header names {name!r} twice; rename one of the columns")
    return header


def _check_lengths(path: Path | str, body: list[list[str]], width: int, start: int) -> None:
    if set(map(len, body)) != {width}:
        number = next(i for i, row in enumerate(body) if len(row) != width)
        raise TableError(
            f"{path}: row {start + number + 1} has {len(body[number])} cells, expected {width} as in the "
            "header; look for a missing quote or comma"
        )


def write_csv(
    destination: Path | str | TextIO,
    schema: Schema,
    values: Values,
    header: bool = True,
    *,
    first_row: int = 0,
) -> None:
    """Writes int64[rows, columns] as CSV with `\\n` line ends to a path (.gz is compressed) or an open text
    stream. first_row: the number of the first row in its data set, for keys."""
    if isinstance(destination, str | Path):
        path = Path(destination)
        with io.TextIOWrapper(_create(path), encoding="utf-8", newline="") as stream:
            write_csv(stream, schema, values, header, first_row=first_row)
        return
    rows = CsvRows(schema)
    if header:
        destination.write(rows.header().decode())
    for lines in rows.lines(values, first_row):
        destination.write(lines.decode())


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        yield stream


def _create(path: Path) -> io.BufferedWriter:
    try:
        if path.suffix == ".gz":
            return io.BufferedWriter(gzip.GzipFile(path, "wb", compresslevel=6, mtime=0))
        return path.open("wb")
    except OSError as error:
        raise TableError(
            f"{path}: cannot be written ({error}); check the folder and its permissions"
        ) from error
