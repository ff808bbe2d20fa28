from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import TableError
from provenance.table.codec import encode_table
from provenance.table.python_cells import cell_texts, python_values
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "all kinds",
        "target": None,
        "columns": [
            {"name": "id", "type": "string", "format": "key", "pattern": "P-###"},
            {"name": "age", "type": "integer", "minimum": -5, "maximum": 5, "nullable": True, "missing": "none"},
            {"name": "ratio", "type": "number", "minimum": "0", "maximum": "3", "multipleOf": "0.25"},
            {"name": "ill", "type": "boolean", "nullable": True},
            {"name": "kind", "type": "string", "enum": ["7", "x, y"], "nullable": True, "missing": "?"},
            {"name": "born", "type": "string", "format": "date", "minimum": "2000-02-28", "maximum": "2000-03-02"},
            {"name": "at", "type": "string", "format": "time", "minimum": "00:00:00", "maximum": "23:59:59"},
            {
                "name": "seen", "type": "string", "format": "date-time", "separator": " ",
                "minimum": "1999-12-31 23:59:00", "maximum": "2000-01-01 00:01:00",
            },
        ],
    }
)  # fmt: skip


class Missing:
    """Like the missing mark of data frames, comparing it is an error."""

    def __ne__(self, other: object) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


Missing.__name__ = "NAType"


@pytest.mark.parametrize("cell", [b"bytes", [1], object(), 1j])
def test_refuses_a_cell_of_no_known_type_and_names_its_column(cell: object) -> None:
    with pytest.raises(TableError, match=r"column 'a': found a cell of type .*, expected text, a number"):
        cell_texts({"a": [1, cell]})


def test_cells_of_a_program_are_written_as_a_csv_would_hold_them() -> None:
    cells = [
        None, float("nan"), np.float64("nan"), Missing(), "text", " spaced ", True, np.bool_(False), 39.0,
        0.1, np.float32(0.5), np.int16(-3), 2**40, Decimal("1.50"), datetime.date(2000, 2, 29), datetime.time(7, 5),
        datetime.datetime(2000, 1, 1, 0, 0, 30),
    ]  # fmt: skip
    assert cell_texts({"a": cells})["a"] == [
        "", "", "", "", "text", " spaced ", "true", "false", "39", "0.1", "0.5",
        "-3", "1099511627776", "1.50", "2000-02-29", "07:05:00", "2000-01-01 00:00:30",
    ]  # fmt: skip


@given(st.data())
def test_python_values_encode_back_to_the_stored_values(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 8))
    columns = [
        data.draw(st.lists(st.integers(0, column.cardinality - 1), min_size=rows, max_size=rows))
        for column in SCHEMA.columns
    ]
    values = np.array(columns, dtype=np.int64).T
    found = python_values(SCHEMA, values, first_row=3)
    assert np.array_equal(encode_table(SCHEMA, cell_texts(found)), values)


def test_every_kind_has_its_python_type_and_missing_is_none() -> None:
    last = np.array([[column.cardinality - 1 for column in SCHEMA.columns]], dtype=np.int64)
    present = np.zeros_like(last)
    found = python_values(SCHEMA, np.concatenate([present, last]), first_row=0)
    assert found["age"] == [-5, None]
    assert found["ratio"] == [0.0, 3.0]
    assert found["ill"] == [False, None]
    assert found["kind"] == ["7", None]
    assert found["born"] == [datetime.date(2000, 2, 28), datetime.date(2000, 3, 2)]
    assert found["at"] == [datetime.time(0, 0), datetime.time(23, 59, 59)]
    assert found["seen"] == [datetime.datetime(1999, 12, 31, 23, 59), datetime.datetime(2000, 1, 1, 0, 1)]
    assert [type(cell) for cell in found["age"]] == [int, type(None)]
    assert all(isinstance(key, str) and key.startswith("P-") for key in found["id"])
