"""The benchmark's own command: what it refuses, and its short mode from end to end (no peers)."""

from pathlib import Path

import pytest

from benchmarks import run_quality as benchmark_generator
from benchmarks.quality.results import read


def test_refuses_peers_without_their_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--long", "--only", "peers", "--results", str(tmp_path / "r"), "--work", str(tmp_path)]
    assert benchmark_generator.main(words) == 2
    assert "--peers FOLDER" in capsys.readouterr().err


def test_the_short_mode_measures_ours_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark_generator.main(["--short", "--work", str(tmp_path)]) == 0
    results = read(tmp_path / "short.jsonl")
    assert {result.failure for result in results.values()} == {None}
    by_subject = {(r.case.subject, r.case.setup): r for r in results.values()}
    federated = by_subject["marginal", "federated"]
    assert federated.report is not None
    assert federated.figures is not None
    assert federated.report.sent_bytes is not None
    assert federated.report.sent_bytes > 1000
    assert federated.figures.density_attack is not None
    real = by_subject["real rows", "central"]
    assert real.figures is not None
    assert real.figures.copies == 1
    assert real.figures.attack > 0.9
    assert real.figures.tvd2 < federated.figures.tvd2

    capsys.readouterr()
    assert benchmark_generator.main(["--short", "--work", str(tmp_path)]) == 0
    assert "german_credit" not in capsys.readouterr().err
    words = ["--write", "--results", str(tmp_path / "short.jsonl"), "--page", str(tmp_path / "page.md")]
    assert benchmark_generator.main(words) == 0
    assert "### german_credit: Epsilon 3" in (tmp_path / "page.md").read_text(encoding="utf-8")
