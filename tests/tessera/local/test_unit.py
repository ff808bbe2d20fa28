"""From a table of visits to a model that protects patients: no patient's name is in anything that is left behind."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessera
from generator.privacy.owner import Owner
from provenance.errors import TableError
from provenance.table.schema import Schema
from provenance.table.unit import Unit
from tessera.errors import UsageError
from tessera.local.evaluating import evaluate
from tessera.local.owned import owned_rows

NAME = "Zweigelt"
QUICK: dict[str, Any] = {
    "family": "marginal", "seconds": 2, "settings": {"steps": 2, "batch": 32, "hiddenWidth": 16, "hiddenLayers": 1},
}  # fmt: skip


def write_table(path: Path, change: tuple[int, str] | None = None) -> Path:
    """200 patients of ten visits each, in no order."""
    random = np.random.default_rng(6)
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["age", "patient", "ward"])
        for number, patient in enumerate(random.permutation(np.repeat(np.arange(200), 10))):
            name = f"{NAME}-{patient:04}"
            if change is not None and change[0] == number + 1:
                name = change[1]
            rows.writerow([20 + patient % 50, name, "ABC"[random.integers(0, 3)]])
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "visits.csv")


def everything_kept(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_model_of_visits_protects_patients_and_names_none(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tessera.schema.infer(table, unit="patient", rows_per_person=3, epsilon=2.0)
    assert schema.unit == Unit("patient", 3)
    assert "patient" not in schema.cell_names
    assert schema.release is not None
    assert abs(schema.release.rows - 600) < 300, "the rows that are used, with noise"
    model = tessera.fit(table, schema, epsilon=3.0, **QUICK)
    assert model.privacy["unit"] == "one person, at most 3 rows of the contributor's table"
    model.save(tmp_path / "model.tsm")
    synthetic = model.sample(300, seed=1)
    report = evaluate(table, synthetic, schema).document()
    assert report["rows_real"] == 600, "so many rows of each as a fit uses"
    table.unlink()
    left = everything_kept(tmp_path) + everything_kept(Owner.of_environment().folder)
    assert NAME.encode() not in left + repr((schema, report)).encode()
    assert NAME not in "".join(capsys.readouterr())


def test_a_row_of_nobody_is_named_by_number_alone(tmp_path: Path) -> None:
    table = write_table(tmp_path / "visits.csv", (1234, " "))
    with pytest.raises(TableError, match=r"visits\.csv: row 1234, column 'patient'") as caught:
        tessera.schema.infer(table, unit="patient", rows_per_person=3)
    schema = Schema.parse(
        {
            "format": "tessera-schema/1", "name": "visits", "unit": {"column": "patient", "rows": 3},
            "columns": [{"name": "age", "type": "integer", "minimum": 20, "maximum": 69}],
        }
    )  # fmt: skip
    for read in (
        lambda: tessera.fit(table, schema, epsilon=1.0),
        lambda: evaluate(table, {"age": ["20"]}, schema),
    ):
        with pytest.raises(TableError, match=r"visits\.csv: row 1234, column 'patient'") as caught:
            read()
        assert NAME not in str(caught.value)


def test_a_table_has_one_ledger_with_and_without_the_unit(table: Path) -> None:
    schema = tessera.schema.infer(table, unit="patient", rows_per_person=3)
    plain = Schema.parse({key: each for key, each in schema.document().items() if key != "unit"})
    (persons, used), (rows, every) = (owned_rows(table, each) for each in (schema, plain))
    assert persons.fingerprint == rows.fingerprint
    assert (len(used.values), len(every.values)) == (600, 2000)
    again, _ = owned_rows(table, schema)
    assert again.fingerprint == persons.fingerprint


def test_the_same_rows_of_a_person_are_used_every_time(table: Path) -> None:
    schema = tessera.schema.infer(table, unit="patient", rows_per_person=3)
    first, second = (owned_rows(table, schema)[1].values for _ in range(2))
    assert np.array_equal(first, second)


def test_one_option_without_the_other_is_refused(table: Path) -> None:
    with pytest.raises(UsageError, match="found only one of unit and rows per person"):
        tessera.schema.infer(table, unit="patient")
