from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError
from provenance.schema import Schema
from provenance.schema_infer import infer_from_cells, infer_schema
from provenance.table_csv import read_csv


def column(cells: list[str]) -> dict[str, JsonValue]:
    return infer_from_cells({"x": cells}, "t").columns[0].document()


def test_refuses_free_text_with_advice() -> None:
    cells = [f"patient number {i} says" for i in range(1_500)]
    with pytest.raises(
        SchemaError, match=r"column 'x': found 1,500 different texts .* drop the column or group it"
    ):
        column(cells)


def test_refuses_a_column_of_missing_cells_only() -> None:
    with pytest.raises(SchemaError, match="only missing cells"):
        column(["?", "", "NA"])


def test_refuses_integers_wider_than_any_grid() -> None:
    with pytest.raises(
        SchemaError, match=r"expected a range below 2\^32; drop the column or make it a key if"
    ):
        column(["1", "99999999999"])


def test_refuses_a_file_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n")
    with pytest.raises(TableError, match="a header and no rows"):
        infer_schema(path, "t")


def test_integers_become_a_grid_of_ones() -> None:
    assert column(["10", "20", "-5"]) == {
        "name": "x", "type": "integer", "minimum": -5, "maximum": 20, "multipleOf": 1,
        "nullable": False, "missing": "", "inferred": ["type", "minimum", "maximum", "nullable"],
    }  # fmt: skip


def test_decimals_take_the_finest_digits_seen() -> None:
    assert column(["0.5", "-1.25", "3", "1e-4", "NaN"]) == {
        "name": "x", "type": "number", "minimum": "-1.25", "maximum": "3", "multipleOf": "0.0001",
        "nullable": True, "missing": "NaN",
        "inferred": ["type", "minimum", "maximum", "multipleOf", "nullable"],
    }  # fmt: skip


def test_decimals_with_noise_digits_take_the_finest_grid_that_fits() -> None:
    found = column(["0.1234567890123456", "99.98765432109876"])
    assert (found["minimum"], found["maximum"], found["multipleOf"]) == (
        "0.1234568",
        "99.9876543",
        "0.0000001",
    )


def test_the_most_frequent_mark_becomes_the_missing_text() -> None:
    found = column(["a", "?", "?", "", "b"])
    assert (found["enum"], found["missing"], found["nullable"]) == (["a", "b"], "?", True)


def test_dates_and_booleans_are_recognised() -> None:
    assert column(["2001-02-03", "1999-12-31"])["format"] == "date"
    assert column(["True", "false"])["type"] == "boolean"


@pytest.mark.parametrize(
    "cells", [["01234", "04321"], ["2001-02-30", "2001-01-01"], ["1", "one"], ["1,5", "2"]]
)
def test_what_is_no_number_or_date_throughout_is_a_category(cells: list[str]) -> None:
    assert column(cells)["type"] == "string"


def test_a_last_column_of_few_values_is_the_target() -> None:
    numbers = [str(3 * i) for i in range(30)]
    assert infer_from_cells({"a": numbers, "b": ["x", "y", "z"] * 10}, "t").target == "b"
    assert infer_from_cells({"b": ["x", "y", "z"] * 10, "a": numbers}, "t").target is None
    assert infer_from_cells({"b": ["x", "y", "z"] * 10, "a": numbers}, "t", target="b").target == "b"


def test_a_table_fits_the_schema_inferred_from_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    text = "age, work ,ratio,income\n39, State-gov,0.50,<=50K\n50,?,-1.5,>50K\n 38,Private,,<=50K\n"
    path.write_bytes(gzip.compress(text.encode()))
    schema = infer_schema(path, "t")
    assert schema.column_names == ("age", "work", "ratio", "income")
    assert Schema.from_text(schema.pretty()) == schema
    assert read_csv(path, schema).tolist() == [[1, 1, 20, 0], [12, 2, 0, 1], [0, 0, 21, 0]]
