from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from provenance.errors import ConditionError
from provenance.table.codec import cell_values
from provenance.table.column import Column
from provenance.table.conditions import Conditions, Ranges
from provenance.table.conditions_text import balanced_conditions, conditions_on_all, counted_conditions
from provenance.table.schema import Schema

DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "people",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 17, "maximum": 90},
        {"name": "income", "type": "string", "enum": ["<=50K", ">50K"]},
        {"name": "income kind", "type": "string", "enum": ["a|b", "a", "c"], "nullable": True, "missing": "?"},
        {"name": "city", "type": "string", "enum": ["Bern", "Thun", "Wien"]},
        {"name": "land", "type": "string", "enum": ["AT", "CH", "DE"]},
        {"name": "id", "type": "string", "format": "key", "pattern": "P-####"},
    ],
    "constraints": [
        {"kind": "combination", "columns": ["land", "city"],
         "rows": [["CH", "Bern"], ["AT", "Wien"], ["CH", "Thun"]]},
    ],
}  # fmt: skip
SCHEMA = Schema.parse(DOCUMENT)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["age"], "expected a column and its values, like 'age=30..40'"),
        (["wage=3"], "the columns are age, income"),
        (["=3"], "expected a column and its values"),
        (["age=12"], "found '12', expected an integer from 17 to 90"),
        (["age=30..40|old"], "found 'old'"),
        (["id=P-0001"], "is a key"),
        (["age<=30", "age>=40"], "the conditions on 'age' leave no value"),
        (["city=Wien", "land=CH"], "leave no value"),
        (["age=missing"], "no cell is missing|expected an integer"),
    ],
)
def test_refuses_what_names_no_rows(where: list[str], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        conditions_on_all(SCHEMA, 10, where)


@pytest.mark.parametrize("text", ["income=>50K", ":5", "income=>50K:0", "income=>50K:x", "income=>50K:-5"])
def test_refuses_a_count_without_a_condition_or_a_number(text: str) -> None:
    with pytest.raises(ConditionError, match="expected a condition, a colon and a number"):
        counted_conditions(SCHEMA, [text], [])


def test_refuses_a_balance_that_has_no_or_too_many_classes() -> None:
    with pytest.raises(ConditionError, match="the columns are"):
        balanced_conditions(SCHEMA, 10, "wage", [])
    with pytest.raises(ConditionError, match="found 2 classes for 1 rows"):
        balanced_conditions(SCHEMA, 1, "income", [])
    with pytest.raises(ConditionError, match=r"stands in no combination|leave no value"):
        balanced_conditions(SCHEMA, 10, "land", ["city=Wien", "age=30", "land=CH|AT", "land=CH"])
    wide = Schema.parse(
        {"format": "tessera-schema/1", "name": "w", "columns": [
            {"name": "n", "type": "integer", "minimum": 0, "maximum": 5000}]}
    )  # fmt: skip
    with pytest.raises(ConditionError, match="state counts of ranges"):
        balanced_conditions(wide, 10_000, "n", [])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ([], {}),
        (["age=30..40"], {0: ((13, 23),)}),
        (["age>=89"], {0: ((72, 73),)}),
        (["age=>=89"], {0: ((72, 73),)}),
        (["age < 19"], {0: ((0, 1),)}),
        (["age=17|90|30..32|33"], {0: ((0, 0), (13, 16), (73, 73))}),
        (["age>=30", "age<=40"], {0: ((13, 23),)}),
        (["income=>50K"], {1: ((1, 1),)}),
        (["income=<=50K|>50K"], {}),
        (["income kind=a"], {2: ((1, 1),)}),
        (["income kind=a|b"], {2: ((0, 0),)}),
        (["income kind=a|c"], {2: ((1, 2),)}),
        (["income kind="], {2: ((3, 3),)}),
        (["income kind=missing|c"], {2: ((2, 3),)}),
        (["land=CH", "city=Bern|Wien"], {3: ((0, 0),)}),
        (["land=CH", "age=17"], {0: ((0, 0),), 3: ((0, 0), (2, 2))}),
    ],
)
def test_texts_name_stored_values(where: list[str], expected: dict[int, Ranges]) -> None:
    found = conditions_on_all(SCHEMA, 10, where)
    assert [(each.rows, dict(each.allowed)) for each in found.segments] == [(10, expected)]
    assert Conditions.parse(found.document(), SCHEMA) == found


def test_a_balance_gives_the_rest_to_the_first_classes() -> None:
    found = balanced_conditions(SCHEMA, 11, "income kind", ["age<=30"])
    assert [each.rows for each in found.segments] == [4, 4, 3]
    assert [each.allowed[2] for each in found.segments] == [((0, 0),), ((1, 1),), ((2, 2),)]
    assert all(each.allowed[0] == ((0, 13),) for each in found.segments)


def test_a_balance_leaves_out_classes_that_no_row_can_be() -> None:
    # no combination holds the land DE
    found = balanced_conditions(SCHEMA, 10, "land", [])
    assert [each.allowed[3] for each in found.segments] == [((1, 1),), ((0, 0), (2, 2))]
    assert len(balanced_conditions(SCHEMA, 10, "income", ["income=>50K"]).segments) == 1


def test_counts_add_up_and_hold_beside_the_conditions_on_all() -> None:
    found = counted_conditions(SCHEMA, ["income=>50K:5", "land=CH & age>=65:7"], ["age>=20"])
    assert [(each.rows, dict(each.allowed)) for each in found.segments] == [
        (5, {0: ((3, 73),), 1: ((1, 1),)}),
        (7, {0: ((48, 73),), 3: ((0, 0), (2, 2))}),
    ]


def test_the_values_named_are_those_whose_cells_satisfy_the_text() -> None:
    found = conditions_on_all(SCHEMA, 1, ["land=CH"]).segments[0].allowed[3]
    stored = np.zeros((3, len(SCHEMA.columns)), dtype=np.int64)
    stored[:, 3] = np.arange(3)
    lands = cell_values(SCHEMA, stored)["land"]
    allowed = [any(low <= value <= high for low, high in found) for value in range(3)]
    column = SCHEMA.cell_columns[4]
    assert isinstance(column, Column)
    assert allowed == [column.categories[land] == "CH" for land in lands]
