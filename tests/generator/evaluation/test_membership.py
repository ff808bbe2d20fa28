"""Attacks on models that learnt rows by heart, and on models that privacy kept from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from generator.errors import EvaluationError
from generator.evaluation.density import log_density
from generator.evaluation.membership import attack, hit_rate
from generator.families.settings import FAMILIES
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from generator.privacy.accountant import gdp_delta, gdp_mu
from provenance.table.schema import Schema
from tests.generator.evaluation.privacy_bounds import (
    auc_bound,
    epsilon_shown,
    exposure_bound,
    exposures,
    gdp_auc_bound,
)

ROWS, COLUMNS, DELTA = 800, 10, 1e-5
SETTINGS: dict[str, dict[str, int]] = {
    "marginal": {"steps": 200, "batch": 64, "latentBytes": 32, "hiddenWidth": 64, "hiddenLayers": 1},
    "fedgan": {
        "steps": 200,
        "batch": 64,
        "latentBytes": 32,
        "hiddenWidth": 64,
        "hiddenLayers": 1,
        "rounds": 2,
        "discriminatorSteps": 5,
    },
    "autoregressive": {"decayPercent": 1, "privateSteps": 60},
}
CATEGORIES = {"type": "string", "enum": list("abcdefgh")}
DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "noise",
    "target": "c0",
    "columns": [
        {"name": "c0", "type": "boolean"},
        *({"name": f"c{number}", **CATEGORIES} for number in range(1, COLUMNS)),
    ],
}
SCHEMA = Schema.parse(DOCUMENT)


def scores(family: str, epsilon: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Of rows of pure chance: whatever tells members from others was learnt by heart, and the reference
    density is the same for all."""
    random = np.random.default_rng(5)
    values = random.integers(0, 8, (ROWS, COLUMNS))
    values[:, 0] %= 2
    member = random.random(ROWS) < 0.5
    settings = FitSettings(family=family, epsilon=epsilon, delta=DELTA, seed=1, settings=SETTINGS[family])
    fitted = fit(values[member], SCHEMA, settings)
    density = log_density(fitted.parts[0].model_bytes, values, latents=2048)
    return density[member], density[~member]


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((5, 2)), np.array([1.0, 2.0, 3.0, math.nan])])
def test_refuses_scores_that_are_none(bad: np.ndarray) -> None:
    with pytest.raises(EvaluationError, match="one finite number a row"):
        attack(bad, np.zeros(5))


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_learnt_by_heart_are_told_and_epsilon_one_hides_them(family: str) -> None:
    """The positive control and the guarded case are the same attack on the same rows."""
    known, unknown = scores(family, None)
    exposed = attack(known, unknown)
    assert exposed.auc > 0.75
    members, others = scores(family, 1.0)
    guarded = attack(members, others)
    allowed = gdp_auc_bound(gdp_mu(1.0, DELTA))
    assert allowed < 0.58
    assert exposed.auc - 4 * exposed.error > allowed
    assert guarded.auc < allowed + 4 * guarded.error
    assert epsilon_shown(members, others, delta=DELTA, confidence=0.999) <= 1.0
    most = exposure_bound(1.0, DELTA, len(others))
    assert exposures(known, unknown).mean() > most + 0.3
    assert exposures(members, others).mean() < most
    for threshold in np.quantile(others, [0.5, 0.8, 0.9, 0.95]):
        true, false = np.mean(members > threshold), np.mean(others > threshold)
        slack = 4 * math.sqrt(0.25 / len(members) + math.e**2 * 0.25 / len(others))
        assert true <= math.e * false + DELTA + slack


def test_the_area_is_the_share_of_pairs_in_order_and_its_error_is_its_spread() -> None:
    random = np.random.default_rng(0)
    members = (random.integers(0, 6, 40) + 1).astype(np.float64)
    others = random.integers(0, 6, 50).astype(np.float64)
    pairs = np.subtract.outer(members, others)
    assert attack(members, others).auc == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
    reports = [attack(random.normal(0.5, 1, 60), random.normal(0, 1, 80)) for _ in range(400)]
    assert np.mean([one.auc for one in reports]) == pytest.approx(gdp_auc_bound(0.5), abs=0.01)
    assert np.std([one.auc for one in reports]) == pytest.approx(
        np.mean([one.error for one in reports]), rel=0.15
    )


def test_scores_without_difference_are_chance() -> None:
    report = attack(np.ones(30), np.ones(40))
    assert report.auc == 0.5
    assert epsilon_shown(np.ones(30), np.ones(40), delta=0.0) == 0.0


def test_randomised_response_reaches_the_bound_and_shows_its_epsilon_and_no_more() -> None:
    """Telling the truth with probability e / (1 + e) is the mechanism that spends epsilon 1 whole."""
    random = np.random.default_rng(1)
    rows, truth = 40_000, math.e / (1 + math.e)
    members = (random.random(rows) < truth) + 1e-9 * random.random(rows)
    others = (random.random(rows) < 1 - truth) + 1e-9 * random.random(rows)
    report = attack(members, others)
    assert report.auc == pytest.approx(auc_bound(1.0, 0.0), abs=4 * report.error)
    assert 0.9 < epsilon_shown(members, others, delta=0.0) <= 1.0
    assert report.upper > report.auc


def test_the_bounds_agree_with_each_other() -> None:
    assert auc_bound(0.0, 0.0) == gdp_auc_bound(0.0) == 0.5
    for epsilon in (0.5, 1.0, 3.0):
        mu = gdp_mu(epsilon, DELTA)
        assert gdp_delta(epsilon, mu) <= DELTA
        assert gdp_auc_bound(mu) < auc_bound(epsilon, DELTA) < 1
    assert exposure_bound(0.0, 0.0, 100) == pytest.approx(1.4427, abs=1e-4)


def test_exposure_of_chance_is_one_over_ln_two_and_the_most_likely_row_has_all_bits() -> None:
    random = np.random.default_rng(2)
    candidates = random.normal(size=4095)
    assert exposures(random.normal(size=4000), candidates).mean() == pytest.approx(1 / math.log(2), abs=0.12)
    assert exposures(np.full(4, 99.0), candidates) == pytest.approx(np.full(4, 12.0))
    assert exposures(np.full(4, -99.0), candidates) == pytest.approx(np.zeros(4))
    assert exposures(np.ones(4), np.ones(9)) == pytest.approx(np.full(4, math.log2(10 / 5.5)))


def test_a_hit_rate_needs_rows_to_set_its_threshold_by() -> None:
    assert hit_rate(np.arange(10.0), np.arange(99.0), 0.01) is None
    found = hit_rate(np.arange(0.0, 200.0), np.arange(100.0), 0.01)
    assert found is not None
    assert found.rate == 101 / 200, "one of a hundred others passes: 99"
    assert 0.43 < found.low < found.rate < found.high < 0.58


def test_no_other_is_passed_by_more_than_the_rate_even_where_scores_are_equal() -> None:
    found = hit_rate(np.ones(50), np.ones(100), 0.01)
    assert found is not None
    assert (found.rate, found.low) == (0.0, 0.0)
    assert found.high < 0.08
