from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import TableError
from provenance.table.schema import Schema
from provenance.table.table_csv import read_chunks, read_compact, read_csv, write_csv
from tests.work import calls_of

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "t",
        "columns": [
            {"name": "n", "type": "integer", "minimum": 0, "maximum": 99_999},
            {"name": 'say "it", please', "type": "string", "enum": ["a", 'b, "c"', ""], "nullable": False},
        ],
    }
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("n\n", "found a header and no rows"),
        ("n,n\n1,2\n", "the header names 'n' twice"),
        ('n,"say ""it"", please"\n1,a\n2\n', "row 2 has 1 cells, expected 2 as in the header"),
        ("n,other\n1,a\n", "t.csv: the table has no column 'say \"it\", please'; found 'n', 'other'"),
        ('n,"say ""it"", please"\n1,a\n2,z\n', r"t.csv: row 2, column .*: found 'z', expected one of 'a'"),
        ('n,"x\n1,a\n', "cannot be read as CSV"),
    ],
)
def test_says_what_is_wrong_with_the_file(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_csv(path, SCHEMA)


def test_refuses_what_is_no_text_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"n\n\xff\n")
    (tmp_path / "t.csv.gz").write_bytes(b"n\n1\n")
    for name in ("t.csv", "t.csv.gz", "absent.csv"):
        with pytest.raises(TableError, match="cannot be read as CSV"):
            list(read_chunks(tmp_path / name))


def test_refuses_to_write_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be written"):
        write_csv(tmp_path / "absent" / "t.csv", SCHEMA, np.zeros((1, 2), dtype=np.int64))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_what_was_written_reads_back(name: str, tmp_path: Path) -> None:
    values = np.array([[0, 0], [99_999, 1], [5, 2]], dtype=np.int64)
    write_csv(tmp_path / name, SCHEMA, values)
    assert (read_csv(tmp_path / name, SCHEMA) == values).all()


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffother,"say ""it"", please",n\r\n?,a,7\r\n\r\n'.encode())
    assert read_csv(path, SCHEMA).tolist() == [[7, 0]]


def test_a_single_empty_cell_is_still_a_row(tmp_path: Path) -> None:
    schema = Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": [
        {"name": "x", "type": "string", "enum": ["a"], "nullable": True}]})  # fmt: skip
    values = np.array([[1], [0], [1]], dtype=np.int64)
    write_csv(tmp_path / "t.csv", schema, values)
    assert (read_csv(tmp_path / "t.csv", schema) == values).all()


def test_pieces_without_header_make_the_same_file() -> None:
    values = np.stack([np.arange(70_000) % 100_000, np.arange(70_000) % 3], axis=1)
    whole, pieces = io.StringIO(), io.StringIO()
    write_csv(whole, SCHEMA, values)
    write_csv(pieces, SCHEMA, values[:7])
    write_csv(pieces, SCHEMA, values[7:], header=False)
    assert whole.getvalue() == pieces.getvalue()


@given(rows=st.lists(st.tuples(st.integers(0, 99_999), st.integers(0, 2)), min_size=1, max_size=30))
def test_any_values_survive_a_file(
    rows: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    values = np.array(rows, dtype=np.int64)
    write_csv(path, SCHEMA, values)
    assert (read_csv(path, SCHEMA) == values).all()


def test_a_table_of_half_a_million_cells_takes_a_few_calls_a_cell(tmp_path: Path) -> None:
    columns = [{"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": 10**i} for i in range(1, 7)] * 3
    columns = [{**column, "name": f"c{i}"} for i, column in enumerate(columns[:15])]
    schema = Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": columns})
    values = np.random.default_rng(1).integers(0, schema.cardinalities, (32_000, 15))
    found: list[np.ndarray] = []
    written = calls_of(lambda: write_csv(tmp_path / "t.csv", schema, values))
    read = calls_of(lambda: found.append(read_csv(tmp_path / "t.csv", schema)))
    assert (found[0] == values).all()
    assert written < values.size, "texts are made once a value, not once a cell"
    assert read < 4 * values.size


def test_a_long_table_is_read_in_pieces_and_rows_are_counted_through(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1\n" * 5 + "\n" * 7 + "2\n" * 4)
    assert [len(chunk["a"]) for chunk in read_chunks(path, rows=3)] == [3, 2, 1, 3]
    path.write_text("a,b\n" + "1,1\n" * 5 + "2\n")
    with pytest.raises(TableError, match="row 6 has 1 cells, expected 2"):
        list(read_chunks(path, rows=2))


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(2**15 - 1, np.int16), (2**15, np.int32), (2**31 - 1, np.int32), (2**32 - 1, np.int64)],
)
def test_values_are_kept_in_the_narrowest_integers_that_hold_them(
    tmp_path: Path, largest: int, dtype: type[np.signedinteger[Any]]
) -> None:
    column = {"name": "x", "type": "integer", "minimum": 0, "maximum": largest}
    schema = Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": [column]})
    path = tmp_path / "t.csv"
    path.write_text(f"x\n{largest}\n0\n")
    values = read_compact(path, schema)
    assert values.dtype == dtype
    assert values.tolist() == [[largest], [0]]
    assert read_csv(path, schema).dtype == np.int64


def test_keys_go_on_where_the_first_row_says(tmp_path: Path) -> None:
    columns = [
        {"name": "id", "type": "string", "format": "key", "pattern": "###"},
        {"name": "x", "type": "boolean"},
    ]
    schema = Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": columns})
    values = np.zeros((7, 1), dtype=np.int64)
    write_csv(tmp_path / "all.csv", schema, values)
    write_csv(tmp_path / "end.csv", schema, values[4:], header=False, first_row=4)
    whole = (tmp_path / "all.csv").read_text().splitlines()
    assert (tmp_path / "end.csv").read_text().splitlines() == whole[5:]
    assert (read_csv(tmp_path / "all.csv", schema) == values).all()
