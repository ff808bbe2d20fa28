from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import generator
from generator.errors import FitError
from generator.fitted import FitOptions, FittedGenerator
from generator.fitting.fit import FitProgress
from generator.fitting.settings import FitSettings
from provenance.errors import ConditionError, DocumentError, IntegrityError, TableError
from provenance.table.table_csv import read_csv


def toy_table(rows: int = 400) -> dict[str, list[object]]:
    chance = np.random.default_rng(5)
    a = chance.integers(0, 10, rows)
    return {
        "a": [None if hidden else int(x) for x, hidden in zip(a, chance.random(rows) < 0.1, strict=True)],
        "b": np.where(a > 4, "high", "low").tolist(),
    }


@pytest.fixture(scope="module")
def model() -> FittedGenerator:
    return generator.fit(toy_table(), seed=1, settings={"decayPercent": 30})


def test_refuses_inferred_bounds_under_epsilon() -> None:
    with pytest.raises(FitError, match="which epsilon 1 does not cover"):
        generator.fit(toy_table(), epsilon=1.0)


def test_refuses_a_table_that_the_schema_does_not_know(model: FittedGenerator) -> None:
    with pytest.raises(TableError, match="row 2, column 'b': found 'other'"):
        generator.fit({"a": [1, 2], "b": ["low", "other"]}, model.schema)


@pytest.mark.parametrize("seed", [-1, 2**256, b"short", True, "7"])
def test_refuses_other_seeds(model: FittedGenerator, seed: object) -> None:
    with pytest.raises(FitError, match="expected a number from 0"):
        model.sample(1, seed=seed)  # type: ignore[arg-type]


def test_refuses_what_is_no_model_file_and_one_that_was_changed(
    model: FittedGenerator, tmp_path: Path
) -> None:
    (tmp_path / "text.tsm").write_text("rows", encoding="utf-8")
    with pytest.raises(DocumentError, match="written by `tessera fit`"):
        FittedGenerator.load(tmp_path / "text.tsm")
    data = bytearray(model.container.encode())
    data[-1] ^= 1
    (tmp_path / "changed.tsm").write_bytes(data)
    with pytest.raises(IntegrityError):
        FittedGenerator.load(tmp_path / "changed.tsm")


def test_saved_model_makes_the_same_rows_and_any_range_of_them(
    model: FittedGenerator, tmp_path: Path
) -> None:
    model.save(tmp_path / "model.tsm")
    again = FittedGenerator.load(tmp_path / "model.tsm")
    whole = again.sample(50, seed=7)
    assert again.digest == model.digest
    assert whole == model.sample(50, seed=(7).to_bytes(32, "big"), threads=2)
    assert model.sample(20, seed=7, first_row=30) == {name: cells[30:] for name, cells in whole.items()}
    assert model.sample(50) != model.sample(50)


def test_rows_have_the_types_of_the_table_and_its_dependence(model: FittedGenerator) -> None:
    rows = model.sample(500, seed=3)
    assert {type(cell) for cell in rows["a"]} == {int, type(None)}
    known = [(a, b) for a, b in zip(rows["a"], rows["b"], strict=True) if isinstance(a, int)]
    agreeing = sum((a > 4) == (b == "high") for a, b in known)
    assert agreeing / len(known) > 0.8  # columns drawn apart agree in half of the rows
    assert (model.family, model.size_class) == ("autoregressive", "fraud-provable")


def test_rows_meet_the_conditions_and_keep_their_numbers(model: FittedGenerator) -> None:
    rows = model.sample(60, seed=3, where=["b=high"])
    assert set(rows["b"]) == {"high"}
    assert model.sample(10, seed=3, first_row=50, where=["b=high"])["a"] == rows["a"][50:]
    with pytest.raises(ConditionError, match="the columns are a, b"):
        model.sample(1, where=["c=1"])


def test_file_and_columns_by_name_give_the_same_schema(model: FittedGenerator, tmp_path: Path) -> None:
    table = toy_table()
    lines = ["a,b", *(f"{'' if a is None else a},{b}" for a, b in zip(table["a"], table["b"], strict=True))]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    seen: list[FitProgress] = []
    fitted = generator.fit(path, progress=seen.append, settings={"decayPercent": 30, "width": 8})
    assert fitted.schema == model.schema
    assert len(read_csv(path, fitted.schema)) == len(table["a"])
    assert seen[-1].fraction == 1.0


def test_options_are_the_settings_of_a_fit() -> None:
    assert FitOptions.__annotations__.keys() == {field.name for field in dataclasses.fields(FitSettings)}


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, generator; assert 'torch' not in sys.modules; generator.fit; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
