"""Results, intervals and the page that is written from them."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scipy.stats import ttest_rel

from benchmarks.quality.case import ALONE, CENTRAL, FEDERATED, NO_CRITIC, OURS, Case, FitReport
from benchmarks.quality.cases import OUR_KINDS, chosen_settings, our_cases, peer_cases, validation_cases
from benchmarks.quality.figures import Figures
from benchmarks.quality.page import write_page
from benchmarks.quality.results import Result, append, read
from benchmarks.quality.table_text import difference

FIGURES = Figures(0.9, 0.01, 0.02, 0.011, 0.021, 1.0, 0.95, 0.001, 0.002, 0.51, 0.01)
REPORT = FitReport(12.5, 13.0, 0.25, 100_000, 500_000_000, 65_000, 1_000_000)


def result(case: Case, auc: float = 0.9, tvd2: float = 0.02) -> Result:
    return Result(case, "a processor", replace(FIGURES, auc=auc, tvd2=tvd2), REPORT)


def several(subject: str, setup: str, aucs: list[float], epsilon: float | None = None) -> list[Result]:
    return [result(Case("adult", subject, epsilon, setup, seed), auc) for seed, auc in enumerate(aucs)]


def test_an_interval_is_that_of_the_paired_t_test() -> None:
    first, second = [0.91, 0.93, 0.90], [0.90, 0.905, 0.893]
    gap = difference(several("a", CENTRAL, first), several("b", CENTRAL, second), lambda f: f.auc)
    interval = ttest_rel(first, second).confidence_interval(0.95)
    assert gap is not None
    assert gap.half is not None
    assert gap.mean - gap.half == pytest.approx(interval.low, rel=1e-3)
    assert gap.mean + gap.half == pytest.approx(interval.high, rel=1e-3)


def test_seeds_that_only_one_side_has_are_left_out() -> None:
    gap = difference(several("a", CENTRAL, [0.9, 0.8]), several("b", CENTRAL, [0.7]), lambda f: f.auc)
    assert gap is not None
    assert (gap.seeds, gap.half) == (1, None)
    assert gap.mean == pytest.approx(0.2)
    assert difference(several("a", CENTRAL, [0.9]), [], lambda f: f.auc) is None


def test_results_are_read_back_and_the_last_line_of_a_case_counts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "r.jsonl"
    case = Case("adult", "ctgan", None, CENTRAL, 0, settings={"epochs": 100})
    failed = Result(replace(case, seed=1), "m", failure="exit status 1")
    for outcome in (result(case, 0.8), failed, result(case, 0.9)):
        append(path, outcome)
    assert list(read(path).values()) == [failed, result(case, 0.9)]
    assert read(tmp_path / "none.jsonl") == {}


def test_the_page_holds_losses_failures_and_the_same_bytes_for_the_same_results(tmp_path: Path) -> None:
    results = [
        *several("autoregressive", CENTRAL, [0.91, 0.92]),
        *several("autoregressive", FEDERATED, [0.91, 0.91]),
        *several("autoregressive", ALONE, [0.93, 0.94]),
        *several("ctgan", CENTRAL, [0.99, 0.98]),
        replace(result(Case("adult", "marginal", 1.0, ALONE, 0)), report=replace(REPORT, refused=2)),
        Result(Case("adult", "aim", 1.0, CENTRAL, 0), "m", failure="stopped after 10 CPU-s, the limit"),
    ]
    page = tmp_path / "benchmarks.md"
    write_page(results, page)
    text = page.read_text(encoding="utf-8")
    assert "| autoregressive - CTGAN | none | -0.0700" in text
    assert "| autoregressive: together - each alone, pooled | none | -0.0250" in text
    assert "| adult, AIM, central, epsilon 1, seed 0 | stopped after 10 CPU-s, the limit |" in text
    assert "pooled, epsilon 1, seed 0 | 2 of 4 contributors have too few rows for their noise |" in text
    assert "| **autoregressive** | 2 | 0.9150 | 0.9100 |" in text
    for drawing in (tmp_path / "benchmarks").iterdir():
        ElementTree.parse(drawing)
        assert drawing.name in text
    write_page(results, tmp_path / "again.md")
    assert (tmp_path / "again.md").read_text(encoding="utf-8") == text.replace(
        "(benchmarks/", "(again/"
    ).replace("(again/results.jsonl)", "(benchmarks/results.jsonl)")


def test_settings_that_won_on_the_validation_split_are_those_that_run() -> None:
    first, second = validation_cases("german_credit")[:2]
    assert chosen_settings("german_credit", first.subject, {}) == first.settings
    results = {case.key: result(case, auc) for case, auc in ((first, 0.6), (second, 0.7))}
    assert chosen_settings("german_credit", first.subject, results) == second.settings
    chosen = [c for c in peer_cases("german_credit", [0], results) if c.subject == first.subject]
    assert [case.settings for case in chosen] == [second.settings]


@pytest.mark.parametrize("table", ["adult", "german_credit", "telescope"])
def test_every_federated_case_has_its_control_and_no_case_is_listed_twice(table: str) -> None:
    cases = [case for kind in OUR_KINDS for case in our_cases(kind, table, [0])]
    listed = {(c.subject, c.epsilon, c.setup) for c in cases}
    assert len(listed) == len(cases)
    for subject, epsilon, setup in listed:
        if setup == FEDERATED and subject != NO_CRITIC:
            assert (OURS[subject].family, epsilon, ALONE) in listed, (subject, epsilon)
