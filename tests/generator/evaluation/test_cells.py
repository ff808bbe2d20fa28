"""Cells outside a schema are counted, and never stop an evaluation."""

import pytest

from generator.errors import EvaluationError
from generator.evaluation.cells import check_cells, plain_schema
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "orders",
        "target": "paid",
        "columns": [
            {"name": "age", "type": "integer", "minimum": 18, "maximum": 90},
            {"name": "city", "type": "string", "enum": ["Rome", "Oslo"]},
            {"name": "land", "type": "string", "enum": ["Italy", "Norway"]},
            {"name": "paid", "type": "boolean", "nullable": True},
        ],
        "constraints": [
            {
                "kind": "combination",
                "columns": ["city", "land"],
                "rows": [["Rome", "Italy"], ["Oslo", "Norway"]],
            }
        ],
    }
)


def table(**cells: list[str]) -> dict[str, list[str]]:
    whole = {"age": ["20", "30"], "city": ["Rome", "Oslo"], "land": ["Italy", "Norway"], "paid": ["true", ""]}
    return whole | cells


def test_refuses_a_table_of_another_schema_and_names_what_is_missing() -> None:
    with pytest.raises(EvaluationError, match=r"s\.csv: found the columns a, b, expected those.*age, city"):
        check_cells({"a": ["1"], "b": ["2"]}, SCHEMA, "s.csv")


def test_counts_cells_outside_and_leaves_out_rows_that_have_no_value() -> None:
    checked = check_cells(table(age=["17", "x"], city=["Rome", "Paris"]), SCHEMA, "s.csv")
    assert [(bad.column, bad.cells, bad.example) for bad in checked.outside] == [
        ("age", 2, "17"),
        ("city", 1, "Paris"),
    ]
    assert checked.left_out == 1
    assert checked.values.tolist() == [[0, 0, 0, 1]]


def test_counts_rows_that_break_a_constraint() -> None:
    checked = check_cells(table(land=["Norway", "Norway"]), SCHEMA, "s.csv")
    assert [(rule.columns, rule.rows) for rule in checked.broken] == [(("city", "land"), 1)]
    assert checked.left_out == 0


def test_a_table_within_the_schema_is_read_as_people_see_it() -> None:
    checked = check_cells(table(), SCHEMA, "s.csv")
    assert checked.outside == ()
    assert checked.broken == ()
    assert checked.values.tolist() == [[2, 0, 0, 1], [12, 1, 1, 2]]
    assert plain_schema(SCHEMA).column_names == ("age", "city", "land", "paid")
