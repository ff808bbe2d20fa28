"""Row files against the text route: every type that a reader gets says the same as the CSV cell."""

from __future__ import annotations

import csv
import datetime
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from provenance.table.codec import decode_values
from tessera.errors import UsageError
from tessera.local.row_file import open_rows, write_rows
from tests.provenance.table.test_csv_rows import COLUMNS, random_values, schema_of

SCHEMA = schema_of(
    *COLUMNS,
    {"name": "at", "type": "string", "format": "time", "minimum": "00:00:00", "maximum": "23:59:59"},
    {"name": "number", "type": "string", "format": "key", "pattern": "1####"},
)
VALUES = random_values(SCHEMA, 700, 5)
READERS: dict[str, Callable[[str], object]] = {
    "age": int, "wealth": int, "ratio": float, "whole": float, "number": int,
    "born": datetime.date.fromisoformat, "seen": datetime.datetime.fromisoformat,
    "at": datetime.time.fromisoformat, "ill": lambda text: text == "true",
}  # fmt: skip
MISSING = {"ratio": "not measured, alas", "work": "", "seen": "?"}


def expected(first_row: int) -> dict[str, list[object]]:
    cells = decode_values(SCHEMA, VALUES, first_row=first_row)
    return {
        name: [None if text == MISSING.get(name) else READERS.get(name, str)(text) for text in texts]
        for name, texts in cells.items()
    }


def test_refuses_the_name_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"), open_rows(tmp_path, SCHEMA):
        pass


def test_a_file_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> Iterator[NDArray[np.int64]]:
        yield VALUES
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(tmp_path / "x.csv", SCHEMA, interrupted())
    assert list(tmp_path.iterdir()) == []


def test_parquet_and_arrow_hold_what_the_texts_say(tmp_path: Path) -> None:
    for name in ("x.parquet", "x.arrow"):
        assert write_rows(tmp_path / name, SCHEMA, [VALUES[:300], VALUES[300:300], VALUES[300:]], 9) == 700
    parquet = pq.ParquetFile(tmp_path / "x.parquet")
    assert [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)] == [300, 400]
    assert parquet.read().to_pydict() == expected(9)
    assert pa.ipc.open_file(tmp_path / "x.arrow").read_all().to_pydict() == expected(9)


def test_types_are_those_of_the_schema(tmp_path: Path) -> None:
    for name in ("x.parquet", "x.arrow"):
        write_rows(tmp_path / name, SCHEMA, [VALUES])
    found = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "x.parquet")}
    assert found == {
        "id": "string", "age": "int64", "wealth": "int64", "ratio": "double", "whole": "double",
        "work": "string", "seen": "timestamp[ms]", "born": "date32[day]", "ill": "bool",
        "at": "time32[ms]", "number": "int64",
    }  # fmt: skip
    arrow = pa.ipc.open_file(tmp_path / "x.arrow").schema
    assert str(arrow.field("work").type) == "dictionary<values=string, indices=int32, ordered=0>"
    assert str(arrow.field("seen").type) == "timestamp[s]"


def test_compressed_csv_is_the_same_text_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("x.csv", "x.csv.gz", "y.csv.gz"):
        write_rows(tmp_path / name, SCHEMA, [VALUES], 9)
    assert gzip.decompress((tmp_path / "x.csv.gz").read_bytes()) == (tmp_path / "x.csv").read_bytes()
    assert (tmp_path / "x.csv.gz").read_bytes() == (tmp_path / "y.csv.gz").read_bytes()
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == decode_values(SCHEMA, VALUES, first_row=9)["id"]
    assert np.all([len(row) == len(SCHEMA.cell_columns) for row in rows])
