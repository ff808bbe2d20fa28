"""CSV tables: reading (plain or .gz) and writing by a schema. UTF-8, comma, RFC 4180 quotes, a header line.

Columns may stand in any order and further columns are ignored; the schema's columns must all be there.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from provenance.codec import Outside, Values, decode_values, encode_table
from provenance.errors import TableError
from provenance.schema import Schema

_WRITE_ROWS = 65_536


def read_csv(path: Path | str, schema: Schema, *, outside: Outside = "refuse") -> Values:
    """int64[rows, columns] of the table at `path`; TableError names file, row and column."""
    table = read_cells(path)
    try:
        return encode_table(schema, table, outside=outside)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error


def read_cells(path: Path | str) -> dict[str, list[str]]:
    """The cells of a CSV by column name, as text. TableError if it is no table or rows differ in length."""
    try:
        with _open(Path(path)) as stream:
            rows = list(csv.reader(stream, strict=True))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"{path}: cannot be read as CSV ({error}); expected UTF-8 text, plain or .gz"
        ) from error
    rows = [row for row in rows if row]
    if not rows:
        raise TableError(f"{path}: the file is empty, expected a header line and rows")
    header = [name.strip() for name in rows[0]]
    for name in header:
        if header.count(name) > 1:
            raise TableError(f"{path}: the header names {name!r} twice; rename one of the columns")
    body = rows[1:]
    if not body:
        raise TableError(f"{path}: found a header and no rows, expected at least one row")
    if set(map(len, body)) != {len(header)}:
        number = next(i for i, row in enumerate(body) if len(row) != len(header))
        raise TableError(
            f"{path}: row {number + 1} has {len(body[number])} cells, expected {len(header)} as in the "
            "header; look for a missing quote or comma"
        )
    return {name: list(cells) for name, cells in zip(header, zip(*body, strict=True), strict=True)}


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
    if header:
        destination.write(",".join(map(_quoted, schema.cell_names)) + "\n")
    for start in range(0, len(values), _WRITE_ROWS):
        for line in _lines(schema, values[start : start + _WRITE_ROWS], first_row + start):
            destination.write(line)


def _lines(schema: Schema, values: Values, first_row: int) -> Iterator[str]:
    columns = []
    for cells in decode_values(schema, values, first_row=first_row).values():
        quoted = {cell: _quoted(cell) for cell in set(cells)}
        columns.append([quoted[cell] for cell in cells])
    if len(columns) == 1:
        # a line with nothing on it is no row to most readers: an empty only cell is written as ""
        columns[0] = [cell or '""' for cell in columns[0]]
    yield "\n".join(map(",".join, zip(*columns, strict=True))) + "\n"


def _quoted(cell: str) -> str:
    if any(mark in cell for mark in ',"\r\n') or cell != cell.strip():
        return '"' + cell.replace('"', '""') + '"'
    return cell


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
