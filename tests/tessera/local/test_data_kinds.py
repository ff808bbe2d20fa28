"""A small table of every kind of column, from its CSV to synthetic rows in CSV and Parquet.

The promises: every cell within the schema, every constraint in every row, keys unique, missing rates and the
types that a guessing reader (pandas) sees preserved.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.fitting.fit import fit_csv
from generator.fitting.settings import FitSettings
from provenance.errors import TableError
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.schema import Schema
from provenance.table.schema_infer import infer_schema
from provenance.table.table_csv import read_chunks, read_csv
from tessera.local.row_file import write_rows

SETTINGS: dict[str, dict[str, int]] = {
    "marginal": {"steps": 60, "batch": 64, "latentBytes": 16, "hiddenWidth": 32, "hiddenLayers": 1},
    "autoregressive": {"rounds": 30, "roundRows": 200, "decayPercent": 10, "width": 8, "neurons": 8},
}
CONSTRAINTS: list[dict[str, Any]] = [
    {
        "kind": "combination",
        "columns": ["city", "state"],
        "rows": [["Bern", "BE"], ["Thun", "BE"], ["Chur", "GR"], ["Zug", None]],
    },
    {"kind": "increasing", "columns": ["admitted", "discharged"], "strict": False},
]
ROWS, SYNTHETIC = 400, 1000
_PANDAS_MISSING = {"", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None"}
_INTEGER = re.compile(r"[+-]?\d+\Z")


def read_cells(path: Path) -> dict[str, list[str]]:
    (cells,) = read_chunks(path, SYNTHETIC)
    return {name: list(column) for name, column in cells.items()}


def guessed_type(cells: Sequence[str]) -> str:
    """The dtype that pandas.read_csv gives a column of these cells (checked against pandas 3.1 by hand)."""
    present = [cell for cell in cells if cell not in _PANDAS_MISSING]
    is_whole = len(present) == len(cells)
    if all(map(_INTEGER.match, present)):
        return "int64" if is_whole else "float64"
    try:
        [float(cell) for cell in present]
        return "float64"
    except ValueError:
        pass
    if all(cell in ("True", "TRUE", "true", "False", "FALSE", "false") for cell in present):
        return "bool" if is_whole else "object of bool"
    return "str"


def real_table(path: Path) -> None:
    random = np.random.default_rng(5)
    places = [("Bern", "BE"), ("Thun", "BE"), ("Chur", "GR"), ("Zug", "")]

    def sparse(cells: Sequence[object]) -> list[str]:
        return [
            "" if gone else str(cell) for cell, gone in zip(cells, random.random(ROWS) < 0.3, strict=True)
        ]

    start = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in random.integers(0, 700, ROWS)]
    end = [
        day + datetime.timedelta(int(d)) for day, d in zip(start, random.exponential(5, ROWS), strict=True)
    ]
    seen = [
        datetime.datetime(2021, 1, 1) + datetime.timedelta(seconds=int(s))
        for s in random.integers(0, 10**7, ROWS)
    ]
    place = [places[i] for i in random.integers(0, 4, ROWS)]
    columns: dict[str, Sequence[object]] = {
        "id": [f"P-{7 * i:05}" for i in range(ROWS)],
        "admitted": sparse(start),
        "discharged": sparse(end),
        "seen": seen,
        "at": [f"{minute // 60:02}:{minute % 60:02}:00" for minute in random.integers(0, 1440, ROWS)],
        "city": [city for city, _ in place],
        "state": [state for _, state in place],
        "age": sparse(random.integers(18, 90, ROWS).tolist()),
        "score": random.integers(1, 4, ROWS).tolist(),
        "weight": [f"{kilos:.1f}" for kilos in random.normal(70, 10, ROWS)],
        "dose": sparse([f"{dose}.0" for dose in random.integers(1, 5, ROWS)]),
        "code": [f"{code:03}" for code in random.integers(0, 9, ROWS)],
        "smoker": sparse([str(flag) for flag in random.random(ROWS) < 0.3]),
        "insured": [str(flag).upper() for flag in random.random(ROWS) < 0.8],
        "country": ["CH"] * ROWS,
        "ill": random.choice(["no", "yes"], ROWS).tolist(),
    }  # fmt: skip
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinds") / "real.csv"
    real_table(path)
    return path


@pytest.fixture(scope="module")
def schema(table: Path) -> Schema:
    inferred = infer_schema(read_chunks(table), "stays")
    return Schema.parse({**inferred.document(), "constraints": CONSTRAINTS})


@pytest.fixture(scope="module", params=["autoregressive", "marginal"])
def fitted(request: pytest.FixtureRequest, table: Path, schema: Schema) -> Container:
    settings = FitSettings(family=request.param, seed=1, settings=SETTINGS[request.param])
    return Container.parse(fit_csv(table, schema, settings).encode())


@pytest.fixture
def synthetic(fitted: Container, tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    write_rows(path, fitted.schema, ContainerSampler(fitted, bytes(32)).batches(0, SYNTHETIC, 300))
    return path


def test_a_row_that_breaks_a_constraint_is_refused_with_its_number(
    table: Path, schema: Schema, tmp_path: Path
) -> None:
    cells = read_cells(table)
    row = next(i for i in range(5, ROWS) if cells["admitted"][i] and cells["discharged"][i])
    lines = table.read_text().splitlines()
    dates = f"{cells['admitted'][row]},{cells['discharged'][row]}"
    later = max(filter(None, cells["admitted"]))
    lines[row + 1] = lines[row + 1].replace(dates, f"{later},{min(filter(None, cells['discharged']))}")
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join(lines))
    with pytest.raises(
        TableError, match=f"row {row + 1}: found admitted = '{later}', discharged = .* at least"
    ):
        read_csv(broken, schema)


def test_the_inferred_types_are_those_of_the_table(schema: Schema) -> None:
    assert {column.name: column.kind for column in schema.cell_columns} == {
        "id": "key", "admitted": "date", "discharged": "date", "seen": "date-time", "at": "time",
        "city": "category", "state": "category", "age": "integer", "score": "integer", "weight": "number",
        "dose": "number", "code": "category", "smoker": "boolean", "insured": "boolean",
        "country": "category", "ill": "category",
    }  # fmt: skip


def test_every_cell_is_within_the_schema_and_every_constraint_holds(synthetic: Path, schema: Schema) -> None:
    assert len(read_csv(synthetic, schema)) == SYNTHETIC
    cells = read_cells(synthetic)
    listed = {(city, state or "") for city, state in CONSTRAINTS[0]["rows"]}
    assert set(zip(cells["city"], cells["state"], strict=True)) <= listed
    both = [pair for pair in zip(cells["admitted"], cells["discharged"], strict=True) if all(pair)]
    assert len(both) > SYNTHETIC / 4
    assert all(start <= end for start, end in both)
    assert len(set(cells["id"])) == SYNTHETIC
    assert all(re.fullmatch(r"P-\d{5}", key) for key in cells["id"])
    assert set(cells["country"]) == {"CH"}


def test_a_guessing_reader_sees_the_types_of_the_real_table(synthetic: Path, table: Path) -> None:
    real, made = read_cells(table), read_cells(synthetic)
    assert list(real) == list(made)
    assert {name: guessed_type(cells) for name, cells in made.items()} == {
        name: guessed_type(cells) for name, cells in real.items()
    }


def test_missing_rates_are_preserved(synthetic: Path, table: Path) -> None:
    real, made = read_cells(table), read_cells(synthetic)
    for name in real:
        wanted = real[name].count("") / ROWS
        assert abs(made[name].count("") / SYNTHETIC - wanted) < (0.1 if wanted else 1e-9), name


def test_parquet_has_the_columns_own_types_and_the_same_cells(
    fitted: Container, synthetic: Path, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    write_rows(path, fitted.schema, ContainerSampler(fitted, bytes(32)).batches(0, SYNTHETIC, 300))
    found = parquet.read_table(path)
    types = {field.name: str(getattr(field.type, "value_type", field.type)) for field in found.schema}
    assert types == {
        "id": "string", "admitted": "date32[day]", "discharged": "date32[day]", "seen": "timestamp[ms]",
        "at": "time32[ms]", "city": "string", "state": "string", "age": "int64", "score": "int64",
        "weight": "double", "dose": "double", "code": "string", "smoker": "bool", "insured": "bool",
        "country": "string", "ill": "string",
    }  # fmt: skip
    cells = read_cells(synthetic)
    for name, column in zip(found.column_names, found.to_pydict().values(), strict=True):
        assert [_text(value) for value in column] == cells[name], name


def test_rows_from_the_middle_have_the_keys_of_their_numbers(
    fitted: Container, synthetic: Path, tmp_path: Path
) -> None:
    path = tmp_path / "middle.csv"
    write_rows(path, fitted.schema, ContainerSampler(fitted, bytes(32)).batches(400, 50), first_row=400)
    assert path.read_text().splitlines()[1:] == synthetic.read_text().splitlines()[401:451]


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
