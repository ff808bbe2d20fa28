"""`tessera audit`: refusals first, then what is shown, saved and said with which exit status."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.evaluation.canaries import EpsilonBound
from generator.fitting import audit as audits
from provenance.table.schema import Schema
from provenance.table.table_csv import write_csv
from tessera.local import auditing

DICE = {
    "format": "tessera-schema/1",
    "name": "dice",
    "columns": [{"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": 7} for i in range(6)],
}
MARGINAL = {"steps": 40, "batch": 64, "latentBytes": 32, "hiddenWidth": 32, "hiddenLayers": 1}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A table of 250 rows, others of its population, and a model under epsilon 1."""
    import tessera

    found = {name: tmp_path / f"{name}.csv" for name in ("table", "other")}
    (tmp_path / "s.json").write_text(json.dumps(DICE), encoding="utf-8")
    for seed, path in enumerate(found.values()):
        write_csv(path, Schema.parse(DICE), np.random.default_rng(seed).integers(0, 8, (250, 6)))
    model = tessera.fit(
        found["table"], tmp_path / "s.json", family="marginal", epsilon=1.0, seed=1, settings=MARGINAL
    )
    model.save(tmp_path / "model.tsm")
    return {**found, "schema": tmp_path / "s.json", "model": tmp_path / "model.tsm"}


def test_refuses_what_is_no_model_no_table_or_another_schemas(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    nowhere = tessera("audit", files["model"], tmp_path / "nowhere.csv")
    assert (nowhere.status, "nowhere.csv" in nowhere.err) == (2, True)
    wrong = tessera("audit", files["table"], files["table"])
    assert wrong.status in (1, 2)
    assert "error:" in wrong.err
    (tmp_path / "b.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    other = tessera("audit", files["model"], tmp_path / "b.csv")
    assert other.status in (1, 2)
    assert "b.csv" in other.err
    kind = tessera("audit", files["model"], files["table"], "--out", tmp_path / "r.pdf")
    assert (kind.status, ".html or .json" in kind.err) == (2, True)


def test_refuses_a_table_of_few_rows_and_more_canaries_than_rows(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    text = files["table"].read_text(encoding="utf-8").splitlines()[:100]
    (tmp_path / "few.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    few = tessera("audit", files["model"], tmp_path / "few.csv")
    assert few.status == 1
    assert "99 training rows: expected at least 200" in few.err
    many = tessera("audit", files["model"], files["table"], "--canaries", 251)
    assert many.status == 1
    assert "251 canaries in 250 rows" in many.err


def test_says_stated_and_found_and_writes_a_page_for_the_owner_alone(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "audit.html"
    arguments = ("audit", files["model"], files["table"], "--reference", files["other"], "--out", out)
    ended = tessera(*arguments)
    assert ended.status == 0, ended.err
    shown = re.sub(r"\s+", " ", ended.out)
    for words in ("AUC", "lower bound found 0.0", "stated 1", "Do not publish", "canaries guessed"):
        assert words in shown
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    page = out.read_text(encoding="utf-8")
    assert "Do not publish this report" in page
    assert "<script" not in page
    assert tessera(*arguments).status == 2, "no file is replaced unasked"
    shown = tessera("ledger", files["table"], "--schema", files["schema"])
    assert "audit, exact figures" in shown.out


def test_json_has_every_figure(tessera: Any, files: dict[str, Path]) -> None:
    ended = tessera("audit", files["model"], files["table"], "--reference", files["other"], "--json")
    document = json.loads(ended.out)
    assert set(document) == {
        "schema", "family", "rows", "epsilon", "delta", "membership", "canaries", "closeness", "notes", "refuted",
    }  # fmt: skip
    assert set(document["membership"]) == {"attack", "rates", "known_by", "refits"}
    assert set(document["membership"]["attack"]) == {"auc", "error", "members", "others"}
    assert set(document["canaries"]) == {"epsilon", "canaries", "planted", "guesses", "correct"}
    assert set(document["closeness"]) == {"rows", "copies", "repeated", "nearest", "own"}
    assert (document["epsilon"], document["rows"], document["refuted"]) == (1.0, 250, False)


def test_a_bound_above_the_stated_epsilon_ends_with_its_own_status(
    tessera: Any, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "epsilon_bound", lambda scores, planted, delta: EpsilonBound(
        1.5, len(scores), int(planted.sum()), 100, 95
    ))  # fmt: skip
    ended = tessera("audit", files["model"], files["table"], "--reference", files["other"])
    assert ended.status == 6
    assert "states epsilon 1; planted rows show that at least 1.50 is spent" in ended.err
    assert "Do not publish or sell this model" in ended.err


def test_a_fit_without_epsilon_says_what_leaks_and_writes_it_nowhere(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "open.tsm"
    ended = tessera("fit", files["table"], "--schema", files["schema"], "--out", out, "--seed", 1)
    line = ended.out.splitlines()[-1]
    assert re.search(
        r"without epsilon: an attacker with a reference model tells members from non-members with AUC 0\.\d\d",
        line,
    )
    assert "second fit of four rows in five" in line
    assert b"attack" not in out.read_bytes()
    private = (
        "fit",
        files["table"],
        "--schema",
        files["schema"],
        "--out",
        tmp_path / "p.tsm",
        "--epsilon",
        1,
    )
    settings = [word for name, value in MARGINAL.items() for word in ("--set", f"{name}={value}")]
    bounded = tessera(*private, "--family", "marginal", *settings)
    assert bounded.status == 0, bounded.err
    assert "without epsilon" not in bounded.out


def test_rows_that_a_fit_set_aside_are_found_again(tmp_path: Path) -> None:
    import tessera

    table = {f"c{i}": np.random.default_rng(i).integers(0, 8, 2_100).tolist() for i in range(6)}
    (tmp_path / "s.json").write_text(json.dumps(DICE), encoding="utf-8")
    model = tessera.fit(table, tmp_path / "s.json", family="marginal", seed=1, settings=MARGINAL)
    kept = model.container.fit["declaredRows"]
    found = auditing.audit(model, table, canaries=0)
    assert found.report.rows == kept
    assert found.report.membership.attack.others == 2_100 - found.report.rows
    assert found.report.membership.refits == 0
    assert repr(found).startswith("Audit('dice'")
