"""Rows to a file, batch by batch: CSV as the schema writes values, or Parquet with the schema's types.

The file appears under its name when it is complete, never before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from provenance.key_column import KeyColumn
from provenance.moments import DAY_SECONDS
from scripts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.column import Column
    from provenance.schema import CellColumn, Schema

EPOCH_DAY = 719_163
"""1970-01-01 as a day of `provenance.moments`."""


class RowWriter(Protocol):
    """Takes int64[n, C] of stored values, the rows of a data set in order."""

    def write(self, values: NDArray[np.int64]) -> None: ...


@contextmanager
def open_rows(path: Path, schema: Schema, first_row: int = 0) -> Iterator[RowWriter]:
    """A writer for `path`; the suffix .parquet chooses Parquet, anything else CSV. first_row: the number in the
    data set of the first row written, from which keys are made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, expected the name of a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        make = _parquet if path.suffix == ".parquet" else _csv
        with make(part, schema, first_row) as writer:
            yield writer
        part.replace(path)
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


@contextmanager
def _csv(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    from provenance.table_csv import write_csv

    class CsvWriter:
        next_row = first_row

        def write(self, values: NDArray[np.int64]) -> None:
            header = self.next_row == first_row
            write_csv(stream, schema, values, header=header, first_row=self.next_row)
            self.next_row += len(values)

    with path.open("w", encoding="utf-8", newline="") as stream:
        yield CsvWriter()


@contextmanager
def _parquet(path: Path, schema: Schema, first_row: int) -> Iterator[RowWriter]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError(
            "writing Parquet needs pyarrow: install tessera-market[parquet], or give --out a name ending in .csv"
        ) from error
    from provenance.codec import cell_values

    arrow = pa.schema([(column.name, _arrow_type(pa, column)) for column in schema.cell_columns])

    class ParquetWriter:
        next_row = first_row

        def write(self, values: NDArray[np.int64]) -> None:
            own = cell_values(schema, values)
            arrays = [
                pa.array(_keys(column, self.next_row, len(values)), type=_arrow_type(pa, column))
                if isinstance(column, KeyColumn)
                else _typed(pa, column, own[column.name])
                for column in schema.cell_columns
            ]
            table.write_table(pa.Table.from_arrays(arrays, schema=arrow))
            self.next_row += len(values)

    with pq.ParquetWriter(path, arrow) as table:
        yield ParquetWriter()


def _arrow_type(pa: Any, column: CellColumn) -> Any:
    if isinstance(column, KeyColumn):
        return pa.int64() if column.is_integer else pa.string()
    kinds = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "date": pa.date32(),
        "time": pa.time32("s"),
        "date-time": pa.timestamp("s"),
        "boolean": pa.bool_(),
    }
    return kinds.get(column.kind, pa.string())


def _keys(column: KeyColumn, first_row: int, rows: int) -> list[str] | list[int]:
    texts = column.texts(first_row, rows)
    return [int(text) for text in texts] if column.is_integer else texts


def _typed(pa: Any, column: Column, values: NDArray[np.int64]) -> Any:
    """An Arrow array of the column's type, null where the cell is missing."""
    import numpy as np

    mask = values == column.grid_size
    kind = _arrow_type(pa, column)
    if column.grid is None:
        texts = [column.plain_text(i) for i in range(column.grid_size)]
        words = pa.array([text == "true" for text in texts] if column.is_boolean else texts, type=kind)
        return words.take(pa.array(np.where(mask, 0, values), mask=mask))
    grid = column.grid
    scaled = grid.origin + np.where(mask, 0, values) * grid.step
    if column.kind == "number":
        # a division of two integers below 2^53 is the double nearest to the decimal
        return pa.array(scaled / 10**grid.scale, mask=mask, type=kind)
    epoch = {"date": EPOCH_DAY, "date-time": EPOCH_DAY * DAY_SECONDS}.get(column.kind, 0)
    narrow = scaled - epoch if column.kind in ("integer", "date-time") else (scaled - epoch).astype(np.int32)
    return pa.array(narrow, mask=mask).cast(kind)
