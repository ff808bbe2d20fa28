from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import SchemaError, TableError
from provenance.table.codec import cell_values, decode_values, encode_table
from provenance.table.schema import Schema

ROWS: list[Any] = [["Bern", "CH", 3000], ["Wien", "AT", "1010"], ["Bern", "CH", 3001], ["Wien", None, 1010]]
COLUMNS: list[dict[str, Any]] = [
    {"name": "land", "type": "string", "enum": ["AT", "CH"], "nullable": True, "missing": "?"},
    {"name": "age", "type": "integer", "minimum": 0, "maximum": 9},
    {"name": "city", "type": "string", "enum": ["Bern", "Wien"]},
    {"name": "post", "type": "integer", "minimum": 1000, "maximum": 9999},
]


def schema(rows: Any = ROWS, columns: Any = ("city", "land", "post"), **extra: Any) -> Schema:
    constraint = {"kind": "combination", "columns": list(columns), "rows": rows, **extra}
    return Schema.parse(
        {"format": "tessera-schema/1", "name": "t", "columns": COLUMNS, "constraints": [constraint]}
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "constraint 1, field 'rows': expected a list of 1 to 65,535"),
        ([["Bern", "CH"]], "constraint 1, row 1: found .* expected a list of 3 cells"),
        ([["Rom", "CH", 3000]], "row 1, column 'city': found 'Rom', expected one of 'Bern', 'Wien'; correct"),
        ([["Bern", "CH", 999]], "row 1, column 'post': found '999', expected an integer from 1000 to 9999"),
        ([[None, "CH", 3000]], "row 1: found null, but column 'city' is not nullable"),
        ([["Bern", "CH", 3000], ["Bern", "CH", "3000"]], "row 2: it stands in row 1 too; remove one"),
        ([["Bern", ["CH"], 3000]], "column 'land': found .'CH'., expected text, or null"),
    ],
)
def test_refuses_rows_that_are_no_rows_of_the_columns(rows: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema(rows)


def test_refuses_members_it_does_not_know() -> None:
    with pytest.raises(SchemaError, match="constraint 1: found the unknown field 'strict'"):
        schema(strict=True)


def test_refuses_a_table_row_that_is_not_listed() -> None:
    table = {"land": ["CH", "CH", "CH"], "age": ["1"] * 3, "city": ["Bern", "Wien", "Wien"]}
    with pytest.raises(
        TableError,
        match=r"row 2: found city = 'Wien', land = 'CH', post = '3001', expected one of the combinations .*"
        r"add the combination \(1 of the rows read after it break it too\)",
    ):
        encode_table(schema(), {**table, "post": ["3000", "3001", "3000"]})


def test_the_columns_become_one_category_where_the_first_of_them_stands() -> None:
    made = schema()
    assert [column.name for column in made.columns] == ["city + land + post", "age"]
    assert made.columns[0].categories == (
        "Bern | CH | 3000", "Wien | AT | 1010", "Bern | CH | 3001", "Wien | ? | 1010",
    )  # fmt: skip
    table = {"land": ["NA", "CH"], "age": ["1", "2"], "city": ["Wien", "Bern"], "post": ["1010", "3001"]}
    values = encode_table(made, table)
    assert values.tolist() == [[3, 1], [2, 2]]
    assert decode_values(made, values) == {**table, "land": ["?", "CH"]}


def test_the_document_comes_back_with_texts_and_null() -> None:
    document = schema().document()
    assert document["constraints"] == [
        {
            "kind": "combination",
            "columns": ["city", "land", "post"],
            "rows": [["Bern", "CH", "3000"], ["Wien", "AT", "1010"], ["Bern", "CH", "3001"], ["Wien", None, "1010"]],
        }
    ]  # fmt: skip
    assert Schema.parse(document) == schema()
    assert Schema.from_text(schema().pretty()) == schema()
    assert schema().digest != schema(ROWS[:3]).digest


def test_clipping_takes_the_listed_row_that_agrees_most() -> None:
    table = {"land": ["CH", ""], "age": ["1", "2"], "city": ["Wien", "Bern"], "post": ["1010", "3001"]}
    assert encode_table(schema(), table, outside="clip")[:, 0].tolist() == [1, 2]


@given(st.data())
def test_any_listed_rows_survive_and_any_other_is_refused(data: st.DataObject) -> None:
    cells = st.tuples(
        st.sampled_from(["Bern", "Wien"]), st.sampled_from(["AT", "CH", None]), st.integers(1000, 1003)
    )
    listed = data.draw(st.lists(cells, min_size=1, max_size=12, unique=True))
    made = schema([list(row) for row in listed])
    row = data.draw(cells)
    table = {"city": [row[0]], "land": [row[1] or "?"], "post": [str(row[2])], "age": ["0"]}
    if row in listed:
        values = encode_table(made, table)
        assert values[0, 0] == listed.index(row)
        assert decode_values(made, values) == table
    else:
        with pytest.raises(TableError, match="row 1: found city"):
            encode_table(made, table)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=30))
def test_whatever_is_stored_is_a_listed_row(rows: list[tuple[int, int]]) -> None:
    made = schema()
    values = np.array(rows, dtype=np.int64)
    own = cell_values(made, values)
    listed = {(0, 1, 2000), (1, 0, 10), (0, 1, 2001), (1, 2, 10)}
    assert set(zip(own["city"].tolist(), own["land"].tolist(), own["post"].tolist(), strict=True)) <= listed
    assert (encode_table(made, decode_values(made, values)) == values).all()
