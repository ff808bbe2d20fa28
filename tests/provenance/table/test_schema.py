from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import SchemaError, UnknownVersionError
from provenance.table.schema import Schema

DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "patients",
    "target": "ill",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 18, "maximum": 90, "inferred": ["minimum", "maximum"]},
        {
            "name": "ratio",
            "type": "number",
            "minimum": 0,
            "maximum": 1.5,
            "multipleOf": 0.01,
            "nullable": True,
        },
        {"name": "work", "type": "string", "enum": ["no", "yes"], "nullable": True, "missing": "?"},
        {
            "name": "born",
            "type": "string",
            "format": "date",
            "minimum": "2000-01-01",
            "maximum": "2000-12-31",
        },
        {"name": "ill", "type": "boolean"},
    ],
}


def changed(column: int, **fields: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["columns"][column] |= fields
    return document


def bare(schema: Schema) -> Schema:
    """The schema without remarks."""
    return Schema.parse(schema.document(with_remarks=False))


RELEASE: dict[str, Any] = {
    "id": "0x" + "5c" * 32,
    "epsilonMicro": 500_000,
    "deltaE12": 10_000_000,
    "rows": 1_012,
    "parts": [
        {"name": "rows", "noiseMultiplierMicro": 40_000_000},
        {
            "name": "values",
            "noiseMultiplierMicro": 9_000_000,
            "threshold": {"columns": 3, "least": 90, "stdMicro": 15_000_000},
        },
    ],
}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            changed(0, minimum=91),
            r"column 'age', field 'maximum': found 90, expected at least the minimum 91",
        ),
        (changed(0, minimum=1.5), r"column 'age', field 'minimum': found 1.5, expected an integer"),
        (changed(0, minimum="18"), r"column 'age', field 'minimum': found '18', expected an integer"),
        (changed(0, minimum=True), r"column 'age', field 'minimum'"),
        (changed(0, multipleOf=5), r"'maximum': found 90, expected minimum \+ k \* multipleOf; use 88 or 93"),
        (changed(0, multipleOf=0), r"field 'multipleOf': found 0, expected a number above 0"),
        (changed(0, maximum=2**33), r"found 8,589,934,575 grid points, expected at most 2\^32; use a larger"),
        (changed(0, type="float"), r"column 'age', field 'type': found 'float', expected integer, number"),
        (changed(0, type=[]), r"column 'age', field 'type': found \[\], expected integer, number"),
        (changed(0, type={}), r"column 'age', field 'type': found \{\}, expected integer, number"),
        (changed(0, enum=["a"]), r"column 'age': found the unknown field 'enum'"),
        (changed(0, inferred=["age"]), r"field 'inferred'"),
        (changed(0, released=["minimum"]), r"'released': found it without the schema's 'release'"),
        (changed(0, public=True), r"field 'public': found True, expected 1 to 128 characters of text"),
        (changed(0, public=""), r"field 'public': found '', expected 1 to 128 characters of text"),
        (changed(0, clip=1), r"field 'clip': found 1, expected true or false"),
        ({**DOCUMENT, "leastRows": 0}, r"field 'leastRows': found 0, expected an integer above 0"),
        ({**DOCUMENT, "release": {**RELEASE, "epsilonMicro": 0.5}}, r"'epsilonMicro': found 0.5, expected"),
        ({**DOCUMENT, "release": {**RELEASE, "id": "0x5c"}}, r"'release', field 'id': Digest"),
        ({**DOCUMENT, "release": {**RELEASE, "parts": []}}, r"field 'parts': found \[\], expected a list"),
        ({**DOCUMENT, "release": {**RELEASE, "free": 1}}, r"'release': found the unknown field 'free'"),
        (changed(0, nullable="yes"), r"field 'nullable': found 'yes', expected true or false"),
        (changed(1, multipleOf="0.0000000000001"), r"found 13 digits after the point, expected at most 12"),
        (changed(1, minimum="NaN"), r"column 'ratio', field 'minimum': found 'NaN', expected a number"),
        (changed(1, maximum=float("inf")), r"column 'ratio', field 'maximum'"),
        (changed(1, maximum="1e400"), r"column 'ratio', field 'maximum'"),
        (changed(2, enum=[]), r"column 'work', field 'enum': expected a list"),
        (changed(2, enum=["a", "a"]), r"'a' stands twice; remove one"),
        (changed(2, enum=["a", "?"]), r"'\?' is also the 'missing' text"),
        (changed(2, enum=["a", 1]), r"found 1, expected a string; put it in quotes"),
        (changed(2, enum=[" a"]), r"found ' a', expected no outer spaces"),
        (changed(2, missing=None), r"field 'missing': found None"),
        (changed(3, minimum="2000-02-30"), r"found '2000-02-30', expected a date"),
        (changed(3, format="uuid"), r"field 'format': found 'uuid', expected date, time, date-time, key"),
        (changed(4, name="age"), r"column 'age': the name stands twice"),
        (changed(4, name=""), r"column 5, field 'name'"),
        ({**DOCUMENT, "target": "sick"}, r"field 'target': found 'sick', expected null or one of age, ratio"),
        ({**DOCUMENT, "columns": []}, r"field 'columns': expected a list of 1 to 512"),
        ({**DOCUMENT, "colums": []}, r"unknown field 'colums'"),
        ([], r"found list, expected a JSON object"),
    ],
)
def test_says_column_field_found_and_expected(document: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.parse(document)


def test_refuses_an_unknown_format_version() -> None:
    with pytest.raises(UnknownVersionError, match='expected "tessera-schema/1"'):
        Schema.parse({**DOCUMENT, "format": "tessera-schema/2"})


def test_says_where_the_json_breaks_and_in_which_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"format": "tessera-schema/1",\n "name" "x"}')
    with pytest.raises(SchemaError, match=r"s\.json: schema: not JSON at line 2, column 9"):
        Schema.load(path)
    with pytest.raises(SchemaError, match="cannot be read"):
        Schema.load(tmp_path / "absent.json")


def test_counts_the_values_of_every_column_with_missing_last() -> None:
    schema = Schema.parse(DOCUMENT)
    assert schema.cardinalities == (73, 152, 3, 366, 2)
    assert schema.value_widths == (1, 1, 1, 2, 1)
    assert [column.missing_index for column in schema.columns] == [None, 151, 2, None, None]
    assert [column.is_numeric for column in schema.columns] == [True, True, False, True, False]
    assert [column.kind for column in schema.columns] == ["integer", "number", "category", "date", "boolean"]
    assert schema.target_index == 4


def test_the_document_is_canonical_and_parses_to_the_same_schema() -> None:
    schema = Schema.parse(DOCUMENT)
    columns: Any = schema.document()["columns"]
    ratio = columns[1]
    assert ratio == {
        "name": "ratio",
        "type": "number",
        "minimum": "0",
        "maximum": "1.5",
        "multipleOf": "0.01",
        "nullable": True,
        "missing": "",
    }
    assert Schema.parse(schema.document()) == schema
    assert Schema.from_text(schema.pretty()) == schema
    assert Schema.from_text(json.dumps(DOCUMENT)) == schema


def test_the_digest_forgets_where_bounds_came_from_but_not_what_they_are() -> None:
    schema = Schema.parse(DOCUMENT)
    assert schema.inferred_fields() == (("age", "minimum"), ("age", "maximum"))
    assert bare(schema).inferred_fields() == ()
    assert bare(schema).digest == schema.digest
    assert Schema.parse(changed(0, minimum=17)).digest != schema.digest


def test_the_digest_forgets_every_remark() -> None:
    document = {
        **changed(0, released=["maximum"], public="a law", clip=True),
        "release": RELEASE,
        "leastRows": 2,
    }
    schema = Schema.parse(document)
    assert schema.document()["release"] == RELEASE
    assert schema.unvouched_fields() == ()
    assert schema.digest == Schema.parse(DOCUMENT).digest
    assert Schema.parse(schema.document()) == schema
    assert Schema.from_text(schema.pretty()) == schema


def test_the_digest_of_a_schema_made_before_remarks_is_what_it_was() -> None:
    known = "0x6bff45014e94d0ea8e4de8676f4cf4560f1e227b04d7e683bd0295cb577695ea"
    assert str(Schema.parse(DOCUMENT).digest) == known


def test_decimals_written_in_several_ways_are_one_schema() -> None:
    texts: list[dict[str, Any]] = [
        {"maximum": "1.50", "multipleOf": "1e-2"},
        {"maximum": 1.5, "multipleOf": "0.010"},
        {"minimum": "-0.0"},
    ]
    assert {Schema.parse(changed(1, **fields)).digest for fields in texts} == {Schema.parse(DOCUMENT).digest}


def test_a_grid_of_2_to_the_32_points_is_the_largest() -> None:
    assert Schema.parse(changed(0, minimum=0, maximum=2**32 - 1)).columns[0].value_width == 4
    with pytest.raises(SchemaError, match="grid points"):
        Schema.parse(changed(0, minimum=0, maximum=2**32 - 1, nullable=True))


KEY = {"name": "id", "type": "string", "format": "key", "pattern": "P-###"}
PAIR = {"kind": "combination", "columns": ["work", "ill"], "rows": [["no", False], [None, "true"]]}
CHAIN = {"kind": "increasing", "columns": ["born", "died"]}
DIED = {**DOCUMENT["columns"][3], "name": "died"}


def constrained(*constraints: Any, **members: Any) -> dict[str, Any]:
    columns = [KEY, *copy.deepcopy(DOCUMENT["columns"]), DIED]
    return {**DOCUMENT, "target": None, "columns": columns, "constraints": list(constraints), **members}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (constrained(constraints={}), "field 'constraints': found dict, expected a list"),
        (constrained({"kind": "equal", "columns": ["age"]}), "constraint 1, field 'kind': found 'equal'"),
        (constrained(PAIR, CHAIN | {"columns": ["age", "id"]}), "constraint 2: column 'id' is a key"),
        (constrained(CHAIN, CHAIN), "constraint 2: column 'born' stands in constraint 1 already"),
        (constrained(CHAIN, target="died"), "'died' is a key or stored through a constraint"),
        (constrained(PAIR, target="ill"), "'ill' is a key or stored through a constraint"),
        (constrained(target="id"), "'id' is a key or stored through a constraint"),
        (constrained(columns=[KEY]), "found only keys, expected at least one column to learn"),
        (changed(3, format="date-time", minimum="2000-01-01T00:00:00Z"), "date-time .* without time zone"),
        (changed(3, separator="T"), "column 'born': found the unknown field 'separator'"),
        (changed(3, format="date-time", separator="_"), "field 'separator': found '_', expected \"T\" or a"),
        (changed(3, format="time", minimum="24:00:00"), "found '24:00:00', expected a time hh:mm:ss"),
    ],
)
def test_refuses_keys_moments_and_constraints_that_make_no_sense(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.parse(document)


def test_stored_columns_are_not_the_columns_of_the_table() -> None:
    schema = Schema.parse(constrained(CHAIN, PAIR, target="born"))
    assert schema.cell_names == ("id", "age", "ratio", "work", "born", "ill", "died")
    assert schema.column_names == ("age", "ratio", "work + ill", "born", "died - born")
    assert schema.target_index == 3
    assert schema.max_rows == 1000
    assert Schema.parse(constrained()).column_names == ("age", "ratio", "work", "born", "ill", "died")
    assert Schema.parse(DOCUMENT).max_rows is None


def test_a_constrained_document_is_its_own_canonical_form() -> None:
    schema = Schema.parse(constrained(CHAIN, PAIR))
    assert Schema.parse(schema.document()) == schema
    assert Schema.from_text(schema.pretty()) == schema
    assert bare(schema).digest == schema.digest
    assert schema.digest != Schema.parse(constrained(PAIR, CHAIN)).digest
    assert "constraints" not in Schema.parse(constrained()).document()


def test_a_key_marked_as_inferred_is_told() -> None:
    schema = Schema.parse({**DOCUMENT, "columns": [{**KEY, "inferred": ["pattern"]}, *DOCUMENT["columns"]]})
    assert ("id", "pattern") in schema.inferred_fields()
    assert bare(schema).inferred_fields() == ()
