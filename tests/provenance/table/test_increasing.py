from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import SchemaError, TableError
from provenance.table.codec import cell_values, decode_values, encode_table
from provenance.table.column import Column
from provenance.table.schema import Schema


def integer(name: str, low: int, high: int, nullable: bool = False, step: int = 1) -> dict[str, Any]:
    bounds = {"minimum": low, "maximum": high, "multipleOf": step}
    return {"name": name, "type": "integer", **bounds, "nullable": nullable}


def schema(*columns: dict[str, Any], strict: bool = False, names: Any = None) -> Schema:
    names = names or [column["name"] for column in columns]
    constraint = {"kind": "increasing", "columns": names, "strict": strict}
    document = {"format": "tessera-schema/1", "name": "t", "columns": columns, "constraints": [constraint]}
    return Schema.parse(document)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([{"name": "a", "type": "boolean"}, integer("b", 0, 9)], "column 'a' has the type boolean, expected"),
        ([integer("a", 0, 9), integer("b", 0, 10, step=2)], "'a' and 'b' differ in type or 'multipleOf'"),
        (
            [integer("a", 0, 10, step=2), integer("b", 1, 11, step=2)],
            "minimum of 'b' lies between the steps of 'a'",
        ),
        ([integer("a", 0, 10), integer("b", 0, 9)], "maximum of 'b' is not at least the maximum of 'a'"),
        ([integer("a", 0, 2**31), integer("b", 2**32, 2**33 - 2)], "'b' has .* distances, expected at most"),
    ],
)
def test_refuses_columns_that_cannot_be_a_chain(columns: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema(*columns)


def test_refuses_a_strict_chain_whose_bounds_leave_no_room() -> None:
    schema(integer("a", 0, 9), integer("b", 0, 9))
    with pytest.raises(SchemaError, match="maximum of 'b' is not above the maximum of 'a'"):
        schema(integer("a", 0, 9), integer("b", 0, 9), strict=True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a"], "expected a list of at least two names"),
        (["a", "c"], "found 'c', expected the name of a column"),
        (["a", "a"], "'a' stands twice"),
    ],
)
def test_refuses_names_that_are_no_two_columns(columns: list[str], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema(integer("a", 0, 9), integer("b", 0, 9), names=columns)


@pytest.mark.parametrize(
    ("strict", "row", "rule"), [(False, ["5", "4"], "at least"), (True, ["5", "5"], "above")]
)
def test_refuses_a_table_row_that_breaks_the_chain(strict: bool, row: list[str], rule: str) -> None:
    made = schema(integer("a", 0, 9), integer("b", 0, 10), strict=strict)
    with pytest.raises(
        TableError, match=f"row 2: found a = '{row[0]}', b = '{row[1]}', expected each {rule} the one before"
    ):
        encode_table(made, {"a": ["1", row[0]], "b": ["3", row[1]]})


def test_a_later_column_is_stored_as_its_distance() -> None:
    day = {"type": "string", "format": "date", "minimum": "2020-01-01", "maximum": "2020-12-31"}
    made = schema({"name": "out", **day}, {"name": "in", **day}, names=["in", "out"])
    assert [(column.name, column.kind) for column in made.columns] == [
        ("out - in", "integer"),
        ("in", "date"),
    ]
    table = {"out": ["2020-03-05", "2020-01-01"], "in": ["2020-03-01", "2020-01-01"]}
    values = encode_table(made, table)
    assert values.tolist() == [[4, 60], [0, 0]]
    assert decode_values(made, values) == table
    assert decode_values(made, np.array([[300, 200]]))["out"] == ["2020-12-31"]


def test_missing_cells_satisfy_every_inequality() -> None:
    made = schema(integer("a", 0, 9, True), integer("b", 5, 20, True), integer("c", 6, 30), strict=True)
    table = {"a": ["", "9", "", "3"], "b": ["5", "", "", "8"], "c": ["6", "10", "6", "9"]}
    assert decode_values(made, encode_table(made, table)) == table


def test_distances_start_where_the_bounds_let_them() -> None:
    made = schema(integer("born", 1900, 1950), integer("died", 2000, 2020))
    assert made.columns[1].document() | {"name": ""} == {
        "name": "", "type": "integer", "minimum": 50, "maximum": 120, "multipleOf": 1,
        "nullable": False, "missing": "",
    }  # fmt: skip


def test_clipping_moves_a_broken_row_to_the_smallest_distance() -> None:
    made = schema(integer("a", 0, 9), integer("b", 0, 10), strict=True)
    values = encode_table(made, {"a": ["5", "9"], "b": ["2", "10"]}, outside="clip")
    assert decode_values(made, values) == {"a": ["5", "9"], "b": ["6", "10"]}


@st.composite
def chains(draw: st.DrawFn) -> Schema:
    strict = draw(st.booleans())
    is_number = draw(st.booleans())
    step = draw(st.integers(1, 5))
    columns: list[dict[str, Any]] = []
    high = draw(st.integers(-10, 10))
    for name in "abcd"[: draw(st.integers(2, 4))]:
        low = high - draw(st.integers(0, 12))
        scale = "e-1" if is_number else ""
        bounds = [f"{step * low}{scale}", f"{step * high}{scale}", f"{step}{scale}"]
        words = bounds if is_number else [int(bound) for bound in bounds]
        column = dict(zip(("minimum", "maximum", "multipleOf"), words, strict=True))
        kind = "number" if is_number else "integer"
        columns.append({"name": name, "type": kind, **column, "nullable": draw(st.booleans())})
        high += draw(st.integers(strict, 8))
    order = draw(st.permutations(columns))
    return schema(*order, strict=strict, names=[column["name"] for column in columns])


def _present(made: Schema, values: np.ndarray[Any, Any]) -> list[list[float]]:
    cells = decode_values(made, values)
    return [
        [float(cell) for cell in row if cell]
        for row in zip(*(cells[name] for name in made.constraints[0].names), strict=True)
    ]


def is_strict(made: Schema) -> bool:
    constraints: Any = made.document()["constraints"]
    return bool(constraints[0]["strict"])


@given(chains(), st.data())
def test_whatever_is_stored_satisfies_the_chain_and_reads_back(made: Schema, data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(*(st.integers(0, size - 1) for size in made.cardinalities)), min_size=1, max_size=20
        )
    )
    values = np.array(rows, dtype=np.int64)
    strict = is_strict(made)
    for row in _present(made, values):
        assert all(a < b or (a == b and not strict) for a, b in pairwise(row))
    cells = decode_values(made, values)
    again = encode_table(made, cells)
    assert decode_values(made, again) == cells


@given(chains(), st.data())
def test_a_row_reads_back_exactly_when_it_satisfies_the_chain(made: Schema, data: st.DataObject) -> None:
    own: dict[str, int] = {}
    for column in made.cell_columns:
        assert isinstance(column, Column)
        own[column.name] = data.draw(st.integers(0, column.cardinality - 1), label=column.name)
    plain = Schema.parse({**made.document(), "constraints": []})
    cells = decode_values(plain, np.array([[own[name] for name in made.cell_names]], dtype=np.int64))
    row = [float(cells[name][0]) for name in made.constraints[0].names if cells[name][0]]
    strict = is_strict(made)
    if all(a < b or (a == b and not strict) for a, b in pairwise(row)):
        values = encode_table(made, cells)
        assert {name: int(column[0]) for name, column in cell_values(made, values).items()} == own
    else:
        with pytest.raises(TableError, match="row 1: found a = "):
            encode_table(made, cells)
