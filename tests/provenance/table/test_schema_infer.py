from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provenance.errors import SchemaError, TableError
from provenance.table.codec import encode_table
from provenance.table.column_tally import COUNTED_CELLS, ColumnTally, NumberSummary
from provenance.table.schema import Schema
from provenance.table.schema_infer import infer_schema
from provenance.table.table_csv import read_chunks, read_csv


def infer_from_cells(table: dict[str, Sequence[str]], name: str, target: str | None = None) -> Schema:
    return infer_schema([table], name, target, least_rows=1)


def column(cells: list[str]) -> dict[str, Any]:
    return dict(infer_from_cells({"x": cells}, "t").columns[0].document())


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
        infer_schema(read_chunks(path), "t")


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
    schema = infer_schema(read_chunks(path), "t", least_rows=1)
    assert schema.column_names == ("age", "work", "ratio", "income")
    assert Schema.from_text(schema.pretty()) == schema
    assert read_csv(path, schema).tolist() == [[1, 1, 20, 0], [12, 2, 0, 1], [0, 0, 21, 0]]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00"], "with a time zone, expected none; convert"),
        (["12:00:00Z"], "with a time zone"),
        ([f"{day}/{month}/2020" for day in range(1, 29) for month in range(1, 13)], "dates that are not ISO"),
        ([f"{chr(97 + i % 26)}-name {i}" for i in range(60)], "declare a key, like"),
        ([f"c{i}" for i in range(70_000)] * 2, "found 70,000 different texts"),
    ],
)
def test_refuses_with_advice_what_no_column_can_hold(cells: list[str], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        column(cells)


def test_refuses_to_leave_out_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SchemaError, match="found no column 'c' to leave out, expected one of a, b"):
        infer_schema(read_chunks(path), "t", without=["c"])
    with pytest.raises(SchemaError, match="expected at least one; leave out fewer"):
        infer_schema(read_chunks(path), "t", without=["a", "b"])
    assert infer_schema(read_chunks(path), "t", without=["a"], least_rows=1).cell_names == ("b",)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["2020-01-01 10:00:00", "2020-01-02 11:30:05"], ("date-time", "2020-01-01 10:00:00", 1)),
        (["2020-01-01T10:00", "2020-01-02T11:30"], ("date-time", "2020-01-01T10:00:00", 60)),
        (["2020-01-01 00:00:00", "2020-01-03 00:00:00"], ("date-time", "2020-01-01 00:00:00", 86400)),
        (["2020-01-02", "2020-01-01 10:00:00"], ("date-time", "2020-01-01 10:00:00", 3600)),
        (["23:59:59", "01:00"], ("time", "01:00:00", 1)),
    ],
)
def test_moments_take_the_coarsest_step_and_their_separator(
    cells: list[str], words: tuple[str, str, int]
) -> None:
    found = column(cells)
    assert (found["format"], found["minimum"], found["multipleOf"]) == words
    assert found.get("separator", "T") == ("T" if "T" in cells[0] else " ") or found["format"] == "time"


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        ([f"P-{i:04}" for i in range(0, 900, 9)], "P-####"),
        ([f"{chr(65 + i % 26)}{i % 10}-{i:03}" for i in range(200)], "@#-###"),
        ([str(i) for i in range(1, 200)], "1####"),
        ([str(i) for i in range(50)], "1###"),
        ([f"{i * 7:025}" for i in range(100)], "0000000" + "#" * 18),
    ],
)
def test_what_is_all_different_and_of_one_shape_is_a_key(cells: list[str], pattern: str) -> None:
    schema = infer_from_cells({"x": cells, "y": ["a"] * len(cells)}, "t")
    assert schema.cell_columns[0].document() == {
        "name": "x", "type": "string", "format": "key", "pattern": pattern, "inferred": ["type", "pattern"],
    }  # fmt: skip


def test_integers_are_a_key_only_by_name_or_when_they_number_the_rows() -> None:
    cells = [str(1000 + 17 * i) for i in range(200)]
    assert infer_from_cells({"balance": cells}, "t").columns[0].kind == "integer"
    for name in ("id", "customer_id", "customerID", "Serial No"):
        schema = infer_from_cells({name: cells, "x": ["a", "b"] * 100}, "t")
        assert schema.cell_columns[0].document()["pattern"] == "1####"
    # the same name, but a value comes twice
    assert infer_from_cells({"id": [*cells[:-1], cells[0]]}, "t").columns[0].kind == "integer"


YEAR = [f"2000-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 28)]
DAY = [f"{hour:02}:{minute:02}:00" for hour in range(9, 18) for minute in range(60)]


def rows_of(cells: Sequence[str], least_rows: int = 2, keep: Sequence[str] = ()) -> dict[str, Any]:
    """The document of one column in which a value is shown if so many rows hold it."""
    schema = infer_schema([{"x": cells}], "t", least_rows=least_rows, keep=keep)
    assert schema.least_rows == least_rows
    return dict(schema.columns[0].document())


@pytest.mark.parametrize(
    ("cells", "bounds"),
    [
        (["17", "17", *map(str, range(20, 70)), "70", "70", "99"], (17, 70)),
        (["17", *map(str, range(20, 71)), "71", "99"], (19, 72)),
        (["3", *map(str, range(1_000, 90_000, 7)), "90000", "9000000"], (900, 90_100)),
        ([*["5"] * 9, "6"], (5, 5)),
        (["0", "1", "2"], (0, 3)),
    ],
)
def test_no_bound_of_integers_is_one_row_s_value(cells: list[str], bounds: tuple[int, int]) -> None:
    found = rows_of(cells)
    assert (found["minimum"], found["maximum"]) == bounds
    assert all(cells.count(str(bound)) != 1 for bound in bounds if bound)
    kept = rows_of(cells, keep=["x"])
    assert (kept["minimum"], kept["maximum"]) == (min(map(int, cells)), max(map(int, cells)))
    assert "clip" not in kept
    assert ("clip" in found) == any(not bounds[0] <= int(cell) <= bounds[1] for cell in cells)


def test_a_text_of_one_row_is_no_category_and_is_read_as_missing(tmp_path: Path) -> None:
    cells = ["flu"] * 5 + ["cold"] * 3 + ["Zqx disease"]
    found = rows_of(cells)
    assert (found["enum"], found["nullable"], found["clip"]) == (["cold", "flu"], True, True)
    assert rows_of(cells, least_rows=4)["enum"] == ["flu"]
    assert rows_of(cells, keep=["x"])["enum"] == ["Zqx disease", "cold", "flu"]
    schema = infer_schema([{"x": cells}], "t")
    assert encode_table(schema, {"x": cells})[:, 0].tolist() == [1] * 5 + [0] * 3 + [2]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1.5", *[f"{i}.25" for i in range(2, 40)], "777.5"], ("2.2", "39.3")),
        (["1900-01-01", *YEAR, "9999-12-30", "9999-12-31"], ("1999-09-03", "9999-12-31")),
        (["00:00:07", *DAY, "23:59:59"], ("08:59:00", "18:00:00")),
    ],
)  # fmt: skip
def test_no_bound_of_decimals_and_times_is_one_row_s_value(cells: list[str], words: tuple[str, str]) -> None:
    found = rows_of(cells)
    assert (found["minimum"], found["maximum"]) == words
    assert found["clip"] is True


def test_bounds_of_too_many_different_numbers_to_count_are_no_single_row_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = [str(i) for i in range(1_000, 2_000)] + ["1000", "1999", "5", "77777"]
    few = rows_of(cells)
    monkeypatch.setattr("provenance.table.column_tally.COUNTED_CELLS", 50)
    pieces = [{"x": cells[start : start + 40]} for start in range(0, len(cells), 40)]
    many = infer_schema(pieces, "t").columns[0].document()
    assert (many["minimum"], many["maximum"]) == (few["minimum"], few["maximum"]) == (1000, 1999)


def test_refuses_a_draft_of_fewer_rows_than_it_takes_to_hide_one() -> None:
    with pytest.raises(
        SchemaError, match=r"'x': found 2 rows with a value, expected 3 .*keep the column whole"
    ):
        rows_of(["1", "2"])
    with pytest.raises(SchemaError, match="'x': found no text that 2 rows hold"):
        rows_of(["a", "b", "c"])
    with pytest.raises(SchemaError, match="found no column 'y' to keep whole, expected one of x"):
        rows_of(["1", "2", "3"], keep=["y"])
    with pytest.raises(SchemaError, match="least rows: found 0, expected at least 1"):
        rows_of(["1"], least_rows=0)


def test_high_cardinality_categories_are_categories() -> None:
    cells = [f"shop {i % 5000}" for i in range(8000)]
    found = column(cells)
    assert len(found["enum"]) == 5000


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["39", "40"], "integer"),
        (["+5", "-0", "3"], "integer"),
        (["39.0", "40"], "number"),
        (["1e5", "2"], "number"),
        (["007", "123"], "category"),
        (["TRUE", "False", "true"], "boolean"),
        (["tRUE", "false"], "category"),
        (["5", "5"], "integer"),
        (["5", "N/A", "NULL"], "integer"),
        (["12 000", "13 000"], "category"),
    ],
)
def test_types_are_those_that_a_guessing_reader_sees(cells: list[str], kind: str) -> None:
    assert infer_from_cells({"x": cells}, "t").columns[0].kind == kind


def test_wide_integers_of_a_round_unit_keep_it() -> None:
    assert column(["5000", "4000000000000"])["multipleOf"] == 1000
    assert "multipleOf" in column(["5000", "4000000000000"])["inferred"]


def test_a_column_of_too_many_different_numbers_to_count_is_still_a_grid() -> None:
    cells = [f"{i}.5" for i in range(COUNTED_CELLS + 10)]
    tally = ColumnTally("x", {"number": NumberSummary()})
    for start in range(0, len(cells), 20_000):
        tally.see(cells[start : start + 20_000])
    assert tally.counts is None
    assert tally.rows == len(cells)
    summary = tally.summaries["number"]
    assert isinstance(summary, NumberSummary)
    assert (str(summary.low), str(summary.high), summary.places) == ("0.5", cells[-1], 1)
