"""Rows to a file, batch by batch: CSV as the schema writes values, or Parquet or Arrow with its types.

The file appears under its name when it is complete, never before. In Parquet a batch is a row group, and
categories are plain strings to the reader; in Arrow (IPC file) they are dictionaries.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from provenance.files import publish
from tessera.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.table.schema import Schema

MAX_DICTIONARY = 2**16
"""Values of a column from which Parquet stores them plainly: looking for repeated ones would not pay."""


class RowWriter(Protocol):
    """Takes int64[n, C] of stored values, the rows of a data set in order."""

    def write(self, values: NDArray[np.int64]) -> None: ...


@contextmanager
def open_rows(path: Path, schema: Schema, first_row: int = 0) -> Iterator[RowWriter]:
    """A writer for `path`; the suffixes .parquet and .arrow choose these, anything else CSV (.gz compressed).
    first_row: the number in the data set of the first row written, from which keys are made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with _writer(path.suffix)(part, schema, first_row) as writer:
            yield writer
        publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_rows(path: Path, schema: Schema, batches: Iterable[NDArray[np.int64]], first_row: int = 0) -> int:
    """All batches to `path`; returns how many rows that were. first_row: as in `open_rows`."""
    rows = 0
    with open_rows(path, schema, first_row) as writer:
        for values in batches:
            writer.write(values)
            rows += len(values)
    return rows


Open = Callable[[Path, "Schema", int], AbstractContextManager[RowWriter]]


def _writer(suffix: str) -> Open:
    known: dict[str, Open] = {".parquet": _parquet, ".arrow": _arrow, ".gz": _csv_gz}
    return known.get(suffix, _csv)


class _CsvWriter:
    def __init__(self, stream: BinaryIO | gzip.GzipFile, schema: Schema, first_row: int) -> None:
        from provenance.table.csv_rows import CsvRows

        self._stream = stream
        self._rows = CsvRows(schema)
        self._next_row = first_row
        stream.write(self._rows.header())

    def write(self, values: NDArray[np.int64]) -> None:
        for lines in self._rows.lines(values, self._next_row):
            self._stream.write(lines)
        self._next_row += len(values)


@contextmanager
def _csv(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    with path.open("wb") as stream:
        yield _CsvWriter(stream, schema, first_row)


@contextmanager
def _csv_gz(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    # no file name and no time inside, so that equal rows are equal bytes
    with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
        yield _CsvWriter(stream, schema, first_row)


@contextmanager
def _parquet(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    from tessera.local.arrow_rows import ArrowRows

    rows = ArrowRows(schema)
    import pyarrow.parquet as pq

    from provenance.table.column import Column

    repeated = [
        column.name
        for column in schema.cell_columns
        if isinstance(column, Column) and column.cardinality <= MAX_DICTIONARY
    ]

    class ParquetWriter:
        next_row = first_row

        def write(self, values: NDArray[np.int64]) -> None:
            if len(values):
                table.write_batch(rows.batch(values, self.next_row), row_group_size=len(values))
            self.next_row += len(values)

    # without the stored Arrow schema, categories read back as strings
    with pq.ParquetWriter(path, rows.schema, use_dictionary=repeated or False, store_schema=False) as table:
        yield ParquetWriter()


@contextmanager
def _arrow(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    from tessera.local.arrow_rows import ArrowRows, require_pyarrow

    rows = ArrowRows(schema)

    class ArrowWriter:
        next_row = first_row

        def write(self, values: NDArray[np.int64]) -> None:
            file.write_batch(rows.batch(values, self.next_row))
            self.next_row += len(values)

    with path.open("wb") as stream, require_pyarrow().ipc.new_file(stream, rows.schema) as file:
        yield ArrowWriter()
