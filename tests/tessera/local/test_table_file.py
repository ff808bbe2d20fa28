"""Tables in Parquet: refused with advice, or read as the CSV of the same cells."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from provenance.errors import TableError
from provenance.table.schema_infer import infer_schema
from provenance.table.table_csv import read_chunks
from tessera.local.table_file import read_table, table_chunks

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DAY = datetime.datetime(2020, 1, 2, 3, 4, 5)


def write(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_refuses_a_nested_column_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", a=[1], b=[[1, 2]])
    with pytest.raises(TableError, match=r"t\.parquet, column 'b': found the type list.* or drop it"):
        list(table_chunks(path))


def test_refuses_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="cannot be read as Parquet"):
        list(table_chunks(path))


def test_refuses_a_file_without_rows(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="found no rows"):
        list(table_chunks(write(tmp_path / "t.parquet", a=pa.array([], type=pa.int64()))))


def test_values_become_the_cells_of_a_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet",
        whole=[1, None],
        float=[39.0, float("nan")],
        price=[Decimal("1.50"), Decimal("2.00")],
        flag=[True, None],
        day=[DAY.date(), None],
        single=pa.array([39.0, 0.1], type=pa.float32()),
        exact=pa.array([1577934245123456789, None], type=pa.timestamp("ns")),
        seen=pa.array([DAY, DAY.replace(microsecond=5000)], type=pa.timestamp("us")),
        at=[DAY.time(), None],
        word=pa.array(["a", None]).dictionary_encode(),
    )
    assert list(table_chunks(path)) == [
        {
            "whole": ["1", ""],
            "float": ["39.0", "nan"],
            "price": ["1.50", "2.00"],
            "flag": ["True", ""],
            "day": ["2020-01-02", ""],
            "single": ["39.0", "0.1"],
            "exact": ["2020-01-02 03:04:05.123456", ""],
            "seen": ["2020-01-02 03:04:05", "2020-01-02 03:04:05.005000"],
            "at": ["03:04:05", ""],
            "word": ["a", ""],
        }
    ]


def test_a_parquet_table_encodes_as_the_csv_of_its_cells(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet",
        n=list(range(0, 10000, 2)),
        x=[i / 4 for i in range(5000)],
        w=["a", "b"] * 2500,
    )
    schema = infer_schema(table_chunks(path), "t")
    assert [column.kind for column in schema.cell_columns] == ["integer", "number", "category"]
    cells = list(table_chunks(path))
    csv = tmp_path / "t.csv"
    whole = {name: [cell for chunk in cells for cell in chunk[name]] for name in cells[0]}
    csv.write_text("\n".join([",".join(whole), *map(",".join, zip(*whole.values(), strict=True))]))
    assert [{name: list(column) for name, column in cells.items()} for cells in read_chunks(csv, 5000)] == [
        whole
    ]
    assert (read_table(path, schema).values == read_table(csv, schema).values).all()
