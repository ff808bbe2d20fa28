"""Rows as Arrow arrays, straight from stored values: dictionaries for categories, arithmetic
for numbers, dates and times; no text is made but that of keys. Needs pyarrow, which only this module
and `tessera.local.row_file` import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.table.codec import cell_values
from provenance.table.column import Column
from provenance.table.datetimes import DAY_SECONDS
from provenance.table.key_column import KeyColumn
from provenance.table.schema import CellColumn, Schema
from tessera.extras import needing

Values = NDArray[np.int64]

EPOCH_DAY = 719_163
"""1970-01-01 as a day of `provenance.table.datetimes`."""


def require_pyarrow() -> Any:
    """The module pyarrow. Raises MissingExtraError where it is not installed."""
    with needing("parquet", "writing Parquet or Arrow"):
        import pyarrow
    return pyarrow


class ArrowRows:
    """Makes record batches of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._pa = require_pyarrow()
        self._schema = schema
        self._words = {
            column.name: self._dictionary(column)
            for column in schema.cell_columns
            if isinstance(column, Column) and column.grid is None and not column.is_boolean
        }
        self.schema = self._pa.schema([(each.name, self._type(each)) for each in schema.cell_columns])

    def batch(self, values: Values, first_row: int) -> Any:
        """A record batch of int64[rows, columns]; null where a cell is missing. first_row: the number in the
        data set of the first of these rows, for keys. Raises TableError as `codec.decode_values`."""
        own = cell_values(self._schema, values)
        arrays = [
            self._keys(column, first_row, len(values))
            if isinstance(column, KeyColumn)
            else self._array(column, own[column.name])
            for column in self._schema.cell_columns
        ]
        return self._pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _type(self, column: CellColumn) -> Any:
        pa = self._pa
        if isinstance(column, KeyColumn):
            return pa.int64() if column.is_integer else pa.string()
        if column.name in self._words:
            return pa.dictionary(pa.int32(), pa.string())
        return {
            "integer": pa.int64(), "number": pa.float64(), "date": pa.date32(), "time": pa.time32("s"),
            "date-time": pa.timestamp("s"), "boolean": pa.bool_(),
        }[column.kind]  # fmt: skip

    def _dictionary(self, column: Column) -> Any:
        return self._pa.array(column.categories, type=self._pa.string())

    def _keys(self, column: KeyColumn, first_row: int, rows: int) -> Any:
        texts = column.texts(first_row, rows)
        return self._pa.array([int(text) for text in texts] if column.is_integer else texts)

    def _array(self, column: Column, values: Values) -> Any:
        pa = self._pa
        # without a mask pyarrow need not look for nulls
        mask = values == column.grid_size if column.nullable else None
        if column.name in self._words:
            indices = pa.array(values.astype(np.int32), mask=mask)
            return pa.DictionaryArray.from_arrays(indices, self._words[column.name])
        if column.grid is None:
            return pa.array(values == 1, mask=mask)
        grid = column.grid
        scaled = grid.origin + (values if mask is None else np.where(mask, 0, values)) * grid.step
        if column.kind == "number":
            # a division of two integers below 2^53 is the double nearest to the decimal
            return pa.array(scaled / 10**grid.scale, mask=mask)
        epoch = {"date": EPOCH_DAY, "date-time": EPOCH_DAY * DAY_SECONDS}.get(column.kind, 0)
        wide = column.kind in ("integer", "date-time")
        return pa.array(scaled - epoch if wide else (scaled - epoch).astype(np.int32), mask=mask).cast(
            self._type(column)
        )
