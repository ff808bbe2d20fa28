"""Rows to a file, batch by batch: CSV as the schema writes values, or Parquet with the schema's types.

The file appears under its name when it is complete, never before.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scripts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.schema import Column, Schema


class RowWriter(Protocol):
    """Takes int64[n, C] of schema indices."""

    def write(self, values: NDArray[np.int64]) -> None: ...


@contextmanager
def open_rows(path: Path, schema: Schema) -> Iterator[RowWriter]:
    """A writer for `path`; the suffix .parquet chooses Parquet, anything else CSV."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with _parquet(part, schema) if path.suffix == ".parquet" else _csv(part, schema) as writer:
            yield writer
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_rows(path: Path, schema: Schema, batches: Iterable[NDArray[np.int64]]) -> int:
    """All batches to `path`; returns how many rows that were."""
    rows = 0
    with open_rows(path, schema) as writer:
        for values in batches:
            writer.write(values)
            rows += len(values)
    return rows


@contextmanager
def _csv(path: Path, schema: Schema) -> Iterator[RowWriter]:
    from provenance.table_csv import write_csv

    class CsvWriter:
        header = True

        def write(self, values: NDArray[np.int64]) -> None:
            write_csv(stream, schema, values, header=self.header)
            self.header = False

    with path.open("w", encoding="utf-8", newline="") as stream:
        yield CsvWriter()


@contextmanager
def _parquet(path: Path, schema: Schema) -> Iterator[RowWriter]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "writing Parquet needs pyarrow: install tessera-market[parquet], or give --out a name ending in .csv"
        ) from error
    from provenance.codec import decode_values

    arrow = pa.schema([(column.name, _arrow_type(pa, column)) for column in schema.columns])

    class ParquetWriter:
        def write(self, values: NDArray[np.int64]) -> None:
            text = decode_values(schema, values)
            arrays = [
                pa.array(_typed(column, text[column.name], values[:, i]), type=_arrow_type(pa, column))
                for i, column in enumerate(schema.columns)
            ]
            table.write_table(pa.Table.from_arrays(arrays, schema=arrow))

    with pq.ParquetWriter(path, arrow) as table:
        yield ParquetWriter()


def _arrow_type(pa: Any, column: Column) -> Any:
    kinds = {"integer": pa.int64(), "number": pa.float64(), "date": pa.date32(), "boolean": pa.bool_()}
    return kinds.get(column.kind, pa.string())


def _typed(column: Column, text: list[str], indices: NDArray[np.int64]) -> list[object]:
    readers: dict[str, Callable[[str], object]] = {
        "integer": int,
        "number": float,
        "date": datetime.date.fromisoformat,
        "boolean": lambda value: value == "true",
    }
    convert = readers.get(column.kind, str)
    missing = column.cardinality - 1 if column.nullable else -1
    return [None if index == missing else convert(value) for value, index in zip(text, indices, strict=True)]
