"""Nothing that is one row's alone is in what `tessera fit` and `tessera sample` write or say."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.families.settings import FAMILIES
from provenance.errors import TableError
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.table_csv import read_csv
from tests.canaries import HEADER, LOWEST, NAMES, SCHEMA, found_in, found_in_model, found_in_rows, write_table
from tests.tessera.conftest import Run

SEED = "0x" + "5e" * 32


@pytest.fixture
def schema_file(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(SCHEMA.pretty(), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (f"{LOWEST + 1},x,A,true", "'account'"),
        ("9999999999999999,x,A,true", "'account'"),
        (f"{LOWEST},x,{NAMES[0]},true", "'town'"),
        (f"{LOWEST},x,A,perhaps", "'closed'"),
    ],
)
def test_a_value_outside_the_schema_is_refused_and_leaves_no_model(
    tessera: Run, schema_file: Path, tmp_path: Path, line: str, word: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"{HEADER}\n{LOWEST},x,A,true\n{line}\n", encoding="utf-8")
    run = tessera("fit", table, "--schema", schema_file, "--out", tmp_path / "m.tsm")
    assert run.status == 2
    assert "row 2" in run.err
    assert word in run.err
    assert not (tmp_path / "m.tsm").exists()
    with pytest.raises(TableError):
        read_csv(table, SCHEMA)
    if word != "'closed'":  # a column without a missing value has nowhere to clip to
        assert len(read_csv(table, SCHEMA, outside="clip")) == 2


@pytest.mark.parametrize("epsilon", [None, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_planted_values_are_in_no_file_and_no_word_of_a_fit(
    tessera: Run, schema_file: Path, tmp_path: Path, family: str, epsilon: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    table = write_table(tmp_path / "t.csv")
    assert len(found_in(table.read_bytes())) == 2 * len(NAMES), "the search finds them where they are"
    scratch, results = tmp_path / "scratch", tmp_path / "results"
    scratch.mkdir()
    results.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    model, rows = results / "m.tsm", results / "rows.csv"
    privacy = () if epsilon is None else ("--epsilon", epsilon)
    words = ("--schema", schema_file, "--out", model, "--family", family, "--seconds", 4)
    fitted = tessera("fit", table, *words, *privacy)
    sampled = tessera("sample", model, "--rows", 600, "--seed", SEED, "--out", rows)
    assert (fitted.status, sampled.status) == (0, 0), fitted.err + sampled.err
    assert not list(scratch.glob("tessera-*")), "the private table's folder is gone"
    assert {path.name for path in results.iterdir()} == {"m.tsm", "rows.csv"}
    for data in (fitted.out, fitted.err, sampled.out, sampled.err):
        assert found_in(data.encode()) == []
    for path in (*results.iterdir(), *scratch.rglob("*")):
        assert path.is_dir() or found_in(path.read_bytes()) == []
    container = Container.parse(model.read_bytes())
    for part in container.parts:
        assert found_in_model(part.model_bytes) == []
    assert found_in_rows(ContainerSampler(container, b"\x5e" * 32).values(0, 600)) == []
