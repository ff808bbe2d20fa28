from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from generator.errors import FitError
from generator.fitting.fit import FitProgress
from generator.fitting.settings import FIT_OPTIONS, FitSettings
from provenance.errors import ConditionError, DocumentError, IntegrityError, TableError
from provenance.table.table_csv import read_csv
from tessera.errors import UsageError
from tessera.local.model import Model, fit, load


def toy_table(rows: int = 400) -> dict[str, list[object]]:
    chance = np.random.default_rng(5)
    a = chance.integers(0, 10, rows)
    return {
        "a": [None if hidden else int(x) for x, hidden in zip(a, chance.random(rows) < 0.1, strict=True)],
        "b": np.where(a > 4, "high", "low").tolist(),
    }


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(toy_table(), seed=1, settings={"decayPercent": 30})


def test_refuses_inferred_bounds_under_epsilon() -> None:
    with pytest.raises(FitError, match="which epsilon 1 does not cover"):
        fit(toy_table(), epsilon=1.0)


def test_refuses_a_table_that_the_schema_does_not_know(model: Model) -> None:
    with pytest.raises(TableError, match="row 2, column 'b': found 'other'"):
        fit({"a": [1, 2], "b": ["low", "other"]}, model.schema)


@pytest.mark.parametrize("seed", [-1, 2**256, b"short", True, "7"])
def test_refuses_other_seeds(model: Model, seed: object) -> None:
    with pytest.raises(UsageError, match="expected a number from 0"):
        model.sample(1, seed=seed)  # type: ignore[arg-type]


def test_refuses_what_is_no_model_file_and_one_that_was_changed(model: Model, tmp_path: Path) -> None:
    (tmp_path / "text.tsm").write_text("rows", encoding="utf-8")
    with pytest.raises(DocumentError, match="written by `tessera fit`"):
        load(tmp_path / "text.tsm")
    data = bytearray(model.container.encode())
    data[-1] ^= 1
    (tmp_path / "changed.tsm").write_bytes(data)
    with pytest.raises(IntegrityError):
        load(tmp_path / "changed.tsm")


def test_saved_model_makes_the_same_rows_and_any_range_of_them(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model.tsm")
    again = load(tmp_path / "model.tsm")
    whole = again.sample(50, seed=7)
    assert again.digest == model.digest
    assert whole == model.sample(50, seed=(7).to_bytes(32, "big"), threads=2)
    assert model.sample(20, seed=7, first_row=30) == {name: cells[30:] for name, cells in whole.items()}
    assert model.sample(50) != model.sample(50)


def test_rows_have_the_types_of_the_table_and_its_dependence(model: Model) -> None:
    rows = model.sample(500, seed=3)
    assert {type(cell) for cell in rows["a"]} == {int, type(None)}
    known = [(a, b) for a, b in zip(rows["a"], rows["b"], strict=True) if isinstance(a, int)]
    agreeing = sum((a > 4) == (b == "high") for a, b in known)
    assert agreeing / len(known) > 0.8  # columns drawn apart agree in half of the rows
    assert (model.family, model.size_class) == ("autoregressive", "fraud-provable")


def test_rows_meet_the_conditions_and_keep_their_numbers(model: Model) -> None:
    rows = model.sample(60, seed=3, where=["b=high"])
    assert set(rows["b"]) == {"high"}
    assert model.sample(10, seed=3, first_row=50, where=["b=high"])["a"] == rows["a"][50:]
    with pytest.raises(ConditionError, match="the columns are a, b"):
        model.sample(1, where=["c=1"])


def test_file_and_columns_by_name_give_the_same_schema(model: Model, tmp_path: Path) -> None:
    table = toy_table()
    lines = ["a,b", *(f"{'' if a is None else a},{b}" for a, b in zip(table["a"], table["b"], strict=True))]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    seen: list[FitProgress] = []
    fitted = fit(path, progress=seen.append, settings={"decayPercent": 30, "width": 8})
    assert fitted.schema == model.schema
    assert len(read_csv(path, fitted.schema)) == len(table["a"])
    assert seen[-1].fraction == 1.0


def test_options_are_the_settings_of_a_fit_with_the_same_defaults() -> None:
    options = {
        name: each.default
        for name, each in inspect.signature(fit).parameters.items()
        if each.kind == each.KEYWORD_ONLY and name != "progress"
    }
    assert options.pop("settings") is None, "an empty mapping"
    known = {field.name: field.default for field in dataclasses.fields(FitSettings)}
    assert known.pop("settings") is dataclasses.MISSING
    assert options == known


def test_help_shows_what_every_option_means() -> None:
    shown = " ".join((fit.__doc__ or "").split())
    for option in FIT_OPTIONS.values():
        assert f"{option.name}: {option.help}." in shown


def test_an_unknown_option_is_answered_with_the_known_ones(model: Model) -> None:
    with pytest.raises(TypeError, match=r"no option 'epsilom', did you mean 'epsilon'\?.*least_rows"):
        fit(toy_table(), epsilom=1.0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no option 'sed', did you mean 'seed'"):
        model.sample(1, sed=1)  # type: ignore[call-arg]


def test_one_condition_as_text_is_one_condition(model: Model) -> None:
    assert model.sample(20, seed=1, where="b=high") == model.sample(20, seed=1, where=["b=high"])


def test_what_is_shown_of_a_model_is_one_short_line(model: Model) -> None:
    assert len(repr(model)) < 120
    assert "2 columns, family autoregressive, epsilon none" in repr(model)
