"""The fast way to CSV bytes against the plain one: each cell's text, quoted and joined."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.table import csv_rows
from provenance.table.codec import decode_values
from provenance.table.csv_rows import CsvRows, decimal_digits, quoted
from provenance.table.grid import Grid, GridKind
from provenance.table.schema import Schema

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "string", "format": "key", "pattern": "A,##-@@@@"},
    {"name": "age", "type": "integer", "minimum": -3, "maximum": 90},
    {"name": "wealth", "type": "integer", "minimum": -(10**9), "maximum": 10**9, "multipleOf": 8000},
    {
        "name": "ratio", "type": "number", "minimum": "-999.95", "maximum": "10000", "multipleOf": "0.05",
        "nullable": True, "missing": "not measured, alas",
    },
    {"name": "whole", "type": "number", "minimum": "-20000000", "maximum": "20000000", "multipleOf": "200"},
    {"name": "work", "type": "string", "enum": ["no", 'say "so"', "a,b", "für"], "nullable": True},
    {
        "name": "seen", "type": "string", "format": "date-time", "minimum": "1999-12-31T00:00:00",
        "maximum": "2020-01-01T00:00:00", "nullable": True, "missing": "?",
    },
    {"name": "born", "type": "string", "format": "date", "minimum": "1900-01-01", "maximum": "2020-01-01"},
    {"name": "ill", "type": "boolean"},
]  # fmt: skip


def schema_of(*columns: dict[str, Any]) -> Schema:
    return Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": list(columns)})


SCHEMA = schema_of(*COLUMNS)


def plain(schema: Schema, values: NDArray[np.int64], first_row: int = 0) -> bytes:
    """The same lines cell by cell."""
    columns = decode_values(schema, values, first_row=first_row).values()
    lines = [",".join(map(quoted, cells)) or '""' for cells in zip(*columns, strict=True)]
    return "".join(line + "\n" for line in lines).encode()


def random_values(schema: Schema, rows: int, tag: int) -> NDArray[np.int64]:
    return np.random.default_rng(tag).integers(0, schema.cardinalities, (rows, len(schema.columns)))


@pytest.mark.parametrize("bad", [-1, 94])
def test_refuses_a_value_beyond_its_column(bad: int) -> None:
    values = random_values(SCHEMA, 3, 1)
    values[2, 0] = bad
    with pytest.raises(TableError, match="'age': found the value"):
        list(CsvRows(SCHEMA).lines(values))


def test_refuses_rows_beyond_the_last_key() -> None:
    with pytest.raises(TableError, match="has keys"):
        list(
            CsvRows(schema_of(*COLUMNS[:1], COLUMNS[1])).lines(np.zeros((2, 1), dtype=np.int64), 100 * 26**4)
        )


@pytest.mark.parametrize("bytes_of_a_lookup", [0, 2**24])
def test_all_kinds_of_columns_are_written_as_their_texts(
    bytes_of_a_lookup: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "_LOOKUP_BYTES", bytes_of_a_lookup)
    values = random_values(SCHEMA, 3000, 2)
    values[:2] = 0
    values[2:4] = np.array(SCHEMA.cardinalities) - 1
    rows = CsvRows(SCHEMA)
    for _ in range(2):
        assert b"".join(rows.lines(values, 77)) == plain(SCHEMA, values, 77)
    assert rows.header() == b"id,age,wealth,ratio,whole,work,seen,born,ill\n"


@settings(deadline=None)
@given(
    st.sampled_from([GridKind.INTEGER, GridKind.NUMBER]),
    st.integers(0, 12),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.integers(1, 10**6),
    st.data(),
)
def test_any_number_is_written_digit_by_digit_as_its_text(
    kind: GridKind, scale: int, origin: int, step: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, min(2**32, (2**53 - 1 - origin) // step + 1)))
    grid = Grid(kind, origin, step, size, scale if kind is GridKind.NUMBER else 0)
    indices = [0, size - 1, *data.draw(st.lists(st.integers(0, size - 1), max_size=5))]
    # zero and the numbers around it are where signs and leading zeros go wrong
    indices += [k for k in range(-origin // step - 1, -origin // step + 3) if 0 <= k < size]
    scaled = origin + np.array(indices, dtype=np.int64) * step
    found = [bytes(line).replace(b"\0", b"").decode() for line in decimal_digits(scaled, grid)]
    assert found == [grid.text(index) for index in indices]
    assert [Decimal(text) for text in found] == [Decimal(int(s)).scaleb(-grid.scale) for s in scaled]


def test_an_only_column_writes_an_empty_cell_in_quotes() -> None:
    schema = schema_of({"name": "x", "type": "string", "enum": ["a"], "nullable": True})
    assert b"".join(CsvRows(schema).lines(np.array([[1], [0]]))) == b'""\na\n'


def test_long_cells_go_in_smaller_blocks() -> None:
    schema = schema_of({"name": "x", "type": "string", "enum": ["a" * 50_000, "b"]}, COLUMNS[1])
    values = random_values(schema, 1500, 3)
    blocks = list(CsvRows(schema).lines(values))
    assert len(blocks) > 2
    assert b"".join(blocks) == plain(schema, values)
