from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ConditionError
from provenance.table.choices import stored_choices
from provenance.table.codec import cell_values
from provenance.table.schema import Schema

DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "stays",
    "columns": [
        {"name": "id", "type": "string", "format": "key", "pattern": "P-####"},
        {"name": "age", "type": "integer", "minimum": 18, "maximum": 90, "multipleOf": 2, "nullable": True},
        {"name": "income", "type": "string", "enum": ["<=50K", ">50K", "1..2"], "nullable": True},
        {"name": "city", "type": "string", "enum": ["Bern", "Thun", "Wien"]},
        {"name": "from", "type": "string", "format": "date", "minimum": "2020-01-01", "maximum": "2020-12-31"},
        {"name": "land", "type": "string", "enum": ["AT", "CH"], "nullable": True},
        {"name": "to", "type": "string", "format": "date", "minimum": "2020-01-01", "maximum": "2021-01-31"},
        {"name": "paid", "type": "boolean"},
        {"name": "share", "type": "number", "minimum": "-1", "maximum": "1", "multipleOf": "0.25"},
    ],
    "constraints": [
        {"kind": "combination", "columns": ["land", "city"],
         "rows": [["CH", "Bern"], ["AT", "Wien"], ["CH", "Thun"], [None, "Bern"]]},
        {"kind": "increasing", "columns": ["from", "to"]},
    ],
}  # fmt: skip
SCHEMA = Schema.parse(DOCUMENT)


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("sex", "f", "found a condition on 'sex', expected one of id, age"),
        ("id", "P-0001", "column 'id' is a key, made from the row number"),
        ("to", "2020-05-01", "stored as its distance .* put the condition on 'from'"),
        ("age", "old", "found 'old', expected an integer from 18 to 90"),
        ("age", "31", "found '31', expected an integer from 18 to 90 in steps of 2"),
        ("age", "31..31", "which no value satisfies"),
        ("age", "40..30", "which no value satisfies"),
        ("age", ">90", "which no value satisfies"),
        ("age", "30..x", "or a range like 18..90"),
        ("income", "50K", "expected one of '<=50K'"),
        ("paid", "missing", "no cell is missing"),
        ("city", "Rom", "expected one of 'Bern'"),
    ],
)
def test_refuses_what_no_row_can_satisfy(column: str, text: str, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        stored_choices(SCHEMA, column, text)


def test_refuses_a_value_that_stands_in_no_combination() -> None:
    document = {**DOCUMENT, "constraints": [{**DOCUMENT["constraints"][0], "rows": [["CH", "Bern"]]}]}
    with pytest.raises(ConditionError, match="'Thun', which stands in no combination of land, city"):
        stored_choices(Schema.parse(document), "city", "Thun")


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ("age", "30..40", (0, [(6, 12)])),
        ("age", "31..39.0", (0, [(7, 11)])),
        ("age", ">=88", (0, [(35, 37)])),
        ("age", ">88", (0, [(36, 37)])),
        ("age", "<= 19", (0, [(0, 1)])),
        ("age", "<20", (0, [(0, 1)])),
        ("age", "0..1000", (0, [(0, 37)])),
        ("age", "20", (0, [(1, 2)])),
        ("age", "missing", (0, [(37, 38)])),
        ("age", "", (0, [(37, 38)])),
        ("income", ">50K", (1, [(1, 2)])),
        ("income", "1..2", (1, [(2, 3)])),
        ("income", "?", (1, [(3, 4)])),
        ("city", "Bern", (2, [(0, 1), (3, 4)])),
        ("land", "CH", (2, [(0, 1), (2, 3)])),
        ("land", "missing", (2, [(3, 4)])),
        ("from", "2020-02-01..2020-02-03", (3, [(31, 34)])),
        ("paid", "TRUE", (5, [(1, 2)])),
        ("share", "-0.3..0.3", (6, [(3, 6)])),
    ],
)
def test_a_condition_names_a_stored_column_and_ranges(
    column: str, text: str, expected: tuple[int, list[tuple[int, int]]]
) -> None:
    assert stored_choices(SCHEMA, column, text) == expected


@given(st.sampled_from(["Bern", "Thun", "Wien"]), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_the_ranges_hold_exactly_the_rows_whose_cell_is_the_one_asked_for(
    city: str, codes: list[int]
) -> None:
    place, ranges = stored_choices(SCHEMA, "city", city)
    values = np.zeros((len(codes), len(SCHEMA.columns)), dtype=np.int64)
    values[:, place] = codes
    inside = np.any([(values[:, place] >= low) & (values[:, place] < end) for low, end in ranges], axis=0)
    expected = cell_values(SCHEMA, values)["city"] == ["Bern", "Thun", "Wien"].index(city)
    assert (inside == expected).all()
