from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import TableError
from provenance.table.codec import TableEncoder, cell_text, decode_values, encode_table
from provenance.table.schema import Schema

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


MOMENTS = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "t",
        "columns": [
            {"name": "at", "type": "string", "format": "date-time", "separator": " ",
             "minimum": "2020-01-01 00:00:00", "maximum": "2020-12-31 23:59:30", "multipleOf": 30},
            {"name": "time", "type": "string", "format": "time", "minimum": "00:00:00", "maximum": "23:59:59",
             "nullable": True},
            {"name": "one", "type": "integer", "minimum": 7, "maximum": 7},
            {"name": "id", "type": "string", "format": "key", "pattern": "@#"},
        ],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("at", "2020-01-01T00:00:00Z", "expected a date-time .* without time zone from 2020-01-01 00:00:00"),
        ("at", "2020-01-01 00:00:00+01:00", "without time zone"),
        ("at", "2020-01-01 00:00:10", "every 30 seconds"),
        ("at", "2020-02-30 00:00:00", "expected a date-time"),
        ("at", "2019-12-31 23:59:30", "expected a date-time"),
        ("time", "24:00:00", "expected a time hh:mm:ss without time zone from 00:00:00 to 23:59:59"),
        ("time", "12:60", "expected a time"),
        ("one", "8", "expected an integer from 7 to 7"),
    ],
)
def test_refuses_moments_off_the_grid(name: str, cell: str, message: str) -> None:
    good = {"at": ["2020-01-01"], "time": ["12:00"], "one": ["7"]}
    with pytest.raises(TableError, match=f"row 1, column '{name}': found '.*{message}"):
        encode_table(MOMENTS, {**good, name: [cell]})


def test_moments_are_read_in_any_usual_form_and_written_in_one() -> None:
    table = {
        "at": ["2020-01-01", "2020-01-01T00:01", "2020-12-31 23:59:30.75"],
        "time": ["00:00", "", "23:59:59.999"],
        "one": ["7", "7", "+7"],
    }
    values = encode_table(MOMENTS, table)
    assert values.tolist() == [[0, 0, 0], [2, 86_400, 0], [366 * 2880 - 1, 86_399, 0]]
    assert decode_values(MOMENTS, values, first_row=5) == {
        "at": ["2020-01-01 00:00:00", "2020-01-01 00:01:00", "2020-12-31 23:59:30"],
        "time": ["00:00:00", "", "23:59:59"],
        "one": ["7", "7", "7"],
        "id": decode_values(MOMENTS, np.zeros((8, 3), dtype=np.int64))["id"][5:],
    }


def test_number_cells_always_have_a_point() -> None:
    values = encode_table(SCHEMA, {**GOOD, "ratio": ["1", "-0.25"]})
    assert decode_values(SCHEMA, values)["ratio"] == ["1.0", "-0.25"]


@given(st.data())
def test_every_moment_survives(data: st.DataObject) -> None:
    row = [data.draw(st.integers(0, size - 1)) for size in MOMENTS.cardinalities]
    values = np.array([row], dtype=np.int64)
    assert (encode_table(MOMENTS, decode_values(MOMENTS, values)) == values).all()


def test_pieces_encode_as_the_whole_and_errors_count_all_rows() -> None:
    encoder = TableEncoder(SCHEMA)
    pieces = [encoder.encode({name: [cells[i]] for name, cells in GOOD.items()}, i) for i in range(2)]
    assert (np.concatenate(pieces) == encode_table(SCHEMA, GOOD)).all()
    with pytest.raises(TableError, match="row 8, column 'age'"):
        encoder.encode({**GOOD, "age": ["17", "0"]}, 6)
