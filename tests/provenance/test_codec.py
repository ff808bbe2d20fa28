from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.codec import cell_text, decode_values, encode_table
from provenance.errors import TableError
from provenance.schema import Schema

COLUMNS: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "minimum": 17, "maximum": 90},
    {
        "name": "ratio",
        "type": "number",
        "minimum": "-1",
        "maximum": "1",
        "multipleOf": "0.25",
        "nullable": True,
    },
    {"name": "work", "type": "string", "enum": ["no", "NA"], "nullable": True, "missing": "?"},
    {
        "name": "born",
        "type": "string",
        "format": "date",
        "minimum": "2000-01-01",
        "maximum": "2000-01-31",
        "multipleOf": 5,
    },
    {"name": "ill", "type": "boolean"},
]
SCHEMA = Schema.parse({"format": "tessera-schema/1", "name": "t", "target": None, "columns": COLUMNS})
GOOD = {
    "age": ["17", "90"],
    "ratio": ["0.5", ""],
    "work": ["NA", "?"],
    "born": ["2000-01-06"] * 2,
    "ill": ["true"] * 2,
}


@pytest.mark.parametrize(
    ("name", "cells", "message"),
    [
        (
            "age",
            ["17", "200"],
            "row 2, column 'age': found '200', expected an integer from 17 to 90 in steps of 1; ",
        ),
        (
            "age",
            ["x", "y"],
            r"row 1, column 'age': found 'x'.* \(1 of the rows read after it are outside too\)",
        ),
        ("age", ["17.5", "17"], "row 1, column 'age': found '17.5'"),
        ("age", ["", "17"], 'fill the cell, or set "nullable": true'),
        (
            "ratio",
            ["0.5", "1.2"],
            "row 2, column 'ratio': found '1.2', expected a number from -1 to 1 in steps of 0.25",
        ),
        ("ratio", ["1e999999999", "0"], "column 'ratio'"),
        ("work", ["yes", "no"], "row 1, column 'work': found 'yes', expected one of 'no', 'NA'"),
        (
            "born",
            ["2000-01-07", "2000-01-01"],
            "expected a date YYYY-MM-DD from 2000-01-01 to 2000-01-31 every 5 days",
        ),
        ("ill", ["maybe", "true"], "expected one of 'false', 'true'"),
    ],
)
def test_names_row_column_and_what_was_expected(name: str, cells: list[str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        encode_table(SCHEMA, {**GOOD, name: cells})


def test_refuses_a_table_without_a_column() -> None:
    table = {name: cells for name, cells in GOOD.items() if name != "age"}
    with pytest.raises(TableError, match="no column 'age'; found 'ratio'"):
        encode_table(SCHEMA, table)


def test_refuses_columns_of_different_lengths() -> None:
    with pytest.raises(TableError, match="different lengths"):
        encode_table(SCHEMA, {**GOOD, "age": ["17"]})


@pytest.mark.parametrize("value", [-1, 74])
def test_refuses_to_write_a_value_beyond_the_column(value: int) -> None:
    values = np.array([[value, 0, 0, 0, 0]], dtype=np.int64)
    with pytest.raises(TableError, match=f"column 'age': found the value {value}, expected 0 to 73"):
        decode_values(SCHEMA, values)


def test_cells_become_indices_with_missing_last() -> None:
    values = encode_table(SCHEMA, GOOD)
    # "NA" is a category of `work`, so it is no missing mark there
    assert values.tolist() == [[0, 6, 1, 1, 1], [73, 9, 2, 1, 1]]


def test_numbers_round_to_the_nearest_point_and_ties_to_even() -> None:
    cells = ["0.1", "0.125", "0.375", "-0.99", "2.5e-1"]
    table = {**{name: [column[0]] * 5 for name, column in GOOD.items()}, "ratio": cells}
    assert encode_table(SCHEMA, table)[:, 1].tolist() == [4, 4, 6, 0, 5]


def test_clipping_moves_a_hold_out_table_into_the_schema() -> None:
    table = {
        "age": ["200", "3"],
        "ratio": ["9", "-9"],
        "work": ["new", "no"],
        "born": ["2000-01-07", "1990-01-01"],
        "ill": ["TRUE", "False"],
    }
    assert encode_table(SCHEMA, table, outside="clip").tolist() == [[73, 8, 2, 1, 1], [0, 0, 0, 0, 0]]


@given(st.data())
def test_every_value_survives_text_and_back(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(*(st.integers(0, size - 1) for size in SCHEMA.cardinalities)), min_size=1, max_size=20
        )
    )
    values = np.array(rows, dtype=np.int64)
    assert (encode_table(SCHEMA, decode_values(SCHEMA, values)) == values).all()


@given(
    st.integers(-(10**6), 10**6),
    st.integers(0, 6),
    st.integers(1, 999),
    st.integers(1, 10**6),
    st.booleans(),
    st.data(),
)
def test_every_point_of_any_decimal_grid_survives(
    low: int, scale: int, step: int, size: int, nullable: bool, data: st.DataObject
) -> None:
    def text(scaled: int) -> str:
        return f"{scaled}e-{scale}"

    column = {
        "name": "x",
        "type": "number",
        "minimum": text(low),
        "maximum": text(low + step * (size - 1)),
        "multipleOf": text(step),
        "nullable": nullable,
    }
    schema = Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": [column]})
    assert schema.columns[0].grid_size == size
    assert Schema.parse(schema.document()) == schema
    value = data.draw(st.integers(0, size - 1 + nullable))
    cell = cell_text(schema.columns[0], value)
    assert encode_table(schema, {"x": [cell]}).tolist() == [[value]]
