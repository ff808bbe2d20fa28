"""The schema's `unit`, and which rows of a person are used."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from provenance.errors import SchemaError, TableError
from provenance.table.persons import Rows, kept_rows, numbered, read_rows, used_cells
from provenance.table.schema import Schema
from provenance.table.schema_infer import infer_schema
from provenance.table.unit import Unit

DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "visits",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 0, "maximum": 99},
        {"name": "ill", "type": "boolean"},
    ],
}
UNIT = {"column": "patient", "rows": 3}
SCHEMA = Schema.parse({**DOCUMENT, "unit": UNIT})
KEY = b"k" * 32


def table(persons: int = 20, rows: int = 7) -> dict[str, list[str]]:
    """Each of so many persons with as many rows, mixed; the ages say whose they are."""
    random = np.random.default_rng(3)
    owners = random.permutation(np.repeat(np.arange(persons), rows))
    return {
        "patient": [f"Person {owner}" for owner in owners],
        "age": [str(owner) for owner in owners],
        "ill": [("true", "false")[choice] for choice in random.integers(0, 2, len(owners))],
    }


def used(cells: dict[str, list[str]], key: bytes = KEY) -> Rows:
    return read_rows("visits.csv", [cells], SCHEMA, key).used(SCHEMA, key)


def sorted_rows(rows: Rows) -> list[list[int]]:
    return sorted(rows.values.tolist())


def test_a_schema_without_the_member_has_the_bytes_and_the_digest_of_before() -> None:
    plain = Schema.parse(DOCUMENT)
    assert "unit" not in plain.document()
    assert str(plain.digest) == "0x9ad5e1edf3e6eadaf29fbc70d3f7f0e46718cbdfcf60b6d055f4cbaf10b2e593"
    assert plain.unit_rows == 1


def test_the_member_is_in_the_document_and_in_the_digest() -> None:
    assert Schema.parse(SCHEMA.document()) == SCHEMA == Schema.from_text(SCHEMA.pretty())
    assert SCHEMA.unit == Unit("patient", 3)
    others = [
        Schema.parse({**DOCUMENT, "unit": unit}) for unit in (UNIT | {"rows": 4}, UNIT | {"column": "p"})
    ]
    assert len({each.digest for each in (Schema.parse(DOCUMENT), SCHEMA, *others)}) == 4
    assert "patient" not in SCHEMA.column_names


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ({"column": "patient"}, "rows: found None"),
        ({"column": "patient", "rows": 0}, "rows: found 0"),
        ({"column": "patient", "rows": True}, "rows: found True"),
        ({"column": "patient", "rows": 2_000_000}, "1 to 1,000,000"),
        ({"column": "", "rows": 3}, "field 'column'"),
        ({"column": "age", "rows": 3}, "among the columns too"),
        ({"column": "patient", "rows": 3, "name": "x"}, "unknown field 'name'"),
        ("patient", "expected a JSON object"),
    ],
)
def test_refuses_a_unit_that_is_none(unit: object, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        Schema.parse({**DOCUMENT, "unit": unit})


def test_a_draft_that_was_released_for_another_unit_is_refused() -> None:
    document = copy.deepcopy(DOCUMENT)
    release = {
        "id": "0x" + "5c" * 32, "epsilonMicro": 1, "deltaE12": 1, "rows": 60,
        "parts": [{"name": "rows", "noiseMultiplierMicro": 1}],
    }  # fmt: skip
    document |= {"release": release | {"unit": UNIT}, "unit": UNIT}
    assert Schema.parse(Schema.parse(document).document()).release.unit == Unit("patient", 3)  # type: ignore[union-attr]
    wrong: list[dict[str, Any]] = [
        {"unit": UNIT | {"rows": 4}}, {"unit": UNIT | {"column": "p"}}, {"release": release},
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises(SchemaError, match="infer the schema again"):
            Schema.parse(document | change)
    del document["unit"]
    with pytest.raises(SchemaError, match="infer the schema again"):
        Schema.parse(document)


def test_at_most_so_many_rows_of_each_person_are_used() -> None:
    rows = used(table(20, 7))
    assert np.bincount(rows.values[:, 0]).tolist() == [3] * 20
    assert rows.persons is not None
    assert np.bincount(numbered(rows.persons)).tolist() == [3] * 20
    few = used(table(20, 2))
    assert len(few.values) == 40


def test_the_choice_is_the_same_in_another_order_and_another_under_another_key() -> None:
    cells = table()
    back = {name: own[::-1] for name, own in cells.items()}
    assert sorted_rows(used(cells)) == sorted_rows(used(back))
    others = [sorted_rows(used(cells, bytes([n]) * 32)) for n in range(8)]
    assert any(other != sorted_rows(used(cells)) for other in others)


def test_equal_rows_of_a_person_are_told_apart() -> None:
    values = np.zeros((9, 2), dtype=np.int64)
    persons = np.repeat(np.array([[1, 1], [2, 2]]), [7, 2], axis=0)
    kept = kept_rows(values, persons, 3, KEY)
    assert (kept[:7].sum(), kept[7:].sum()) == (3, 2)


def test_without_a_person_the_others_have_the_same_rows() -> None:
    cells = table()
    without = {
        name: [cell for cell, who in zip(own, cells["patient"], strict=True) if who != "Person 4"]
        for name, own in cells.items()
    }
    rest = [row for row in sorted_rows(used(cells)) if row[0] != 4]
    assert sorted_rows(used(without)) == rest


@pytest.mark.parametrize("missing", ["", "  ", "NA", "?"])
def test_a_row_of_nobody_is_named_by_its_number(missing: str) -> None:
    cells = table()
    cells["patient"][4] = missing
    with pytest.raises(TableError, match="row 5, column 'patient': found no value") as caught:
        used(cells)
    assert "Person" not in str(caught.value)
    with pytest.raises(TableError, match=r"visits\.csv: row 105, column 'patient'"):
        read_rows("visits.csv", [table(10, 10), cells], SCHEMA, KEY)
    with pytest.raises(TableError, match="has no column 'patient', which the schema's unit names"):
        used({name: own for name, own in cells.items() if name != "patient"})


def test_drafts_see_the_used_rows_and_never_the_column() -> None:
    cells = table()
    pieces = [
        {name: own[:50] for name, own in cells.items()},
        {name: own[50:] for name, own in cells.items()},
    ]
    chunks = used_cells(lambda: iter(pieces), Unit("patient", 3), KEY)
    for _ in range(2):  # as often as they are asked for
        seen = list(chunks())
        ages = [age for piece in seen for age in piece["age"]]
        assert {name for piece in seen for name in piece} == {"age", "ill"}
        assert [ages.count(str(person)) for person in range(20)] == [3] * 20


def test_a_draft_without_privacy_shows_what_several_persons_hold_for_certain() -> None:
    """A value in three rows may be one person's, one in four rows is two persons'."""
    colours = ["blue"] * 30 + ["red"] * 3 + ["green"] * 4
    schema = infer_schema([{"colour": colours}], "t", least_rows=2, unit=Unit("patient", 3))
    assert schema.least_rows == 4
    assert schema.unit == Unit("patient", 3)
    assert schema.cell_columns[0].document()["enum"] == ["blue", "green"]
