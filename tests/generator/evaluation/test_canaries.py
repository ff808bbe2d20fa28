"""A lower bound on epsilon from planted rows: refusals, then what chance, a leak and a known mechanism show."""

from __future__ import annotations

import math

import numpy as np
import pytest

from generator.errors import EvaluationError
from generator.evaluation.canaries import chance_of, epsilon_bound, random_rows
from provenance.table.schema import Schema


@pytest.mark.parametrize(
    ("scores", "coins"), [(np.zeros(19), 19), (np.zeros(40), 39), (np.full(40, np.nan), 40)]
)
def test_refuses_few_canaries_and_scores_that_are_none(scores: np.ndarray, coins: int) -> None:
    with pytest.raises(EvaluationError, match="expected a finite score"):
        epsilon_bound(scores, np.zeros(coins, dtype=bool), 1e-5)


def test_the_chance_is_that_of_so_many_coins_and_delta_adds_to_it() -> None:
    assert chance_of(10, 10, 10, 0.0, 0.0) == pytest.approx(2**-10)
    assert chance_of(10, 10, 0, 0.0, 0.0) == 1.0
    assert chance_of(100, 10, 10, 0.0, 1e-3) > 2**-10 + 2e-3 * 10 * 2**-10
    assert chance_of(10, 10, 10, 1.0, 0.0) == pytest.approx((math.e / (1 + math.e)) ** 10)


def test_right_guesses_refute_what_so_many_coins_can_and_guesses_of_chance_nothing() -> None:
    planted = np.random.default_rng(1).random(200) < 0.5
    all_right = epsilon_bound(planted.astype(float), planted, 0.0)
    # of 200 coins all right: (e^x / (1 + e^x))^200 = 0.05 / 3
    share = (0.05 / 3) ** (1 / (all_right.guesses))
    assert all_right.correct == all_right.guesses
    assert all_right.epsilon == pytest.approx(math.log(share / (1 - share)), abs=2e-3)
    found = [
        epsilon_bound(np.random.default_rng(k).normal(size=200), planted, 0.0).epsilon for k in range(200)
    ]
    assert np.mean(np.array(found) > 0) < 0.08


def test_randomised_response_shows_less_than_its_epsilon() -> None:
    """Telling each coin truly with probability e / (1 + e) spends epsilon 1 whole."""
    random, found = np.random.default_rng(2), []
    for _ in range(100):
        planted = random.random(1_000) < 0.5
        told = planted ^ (random.random(1_000) > math.e / (1 + math.e))
        found.append(epsilon_bound(told + 1e-6 * random.random(1_000), planted, 1e-5).epsilon)
    assert np.mean(np.array(found) > 1.0) < 0.08
    assert np.median(found) > 0.7


def test_canaries_are_spread_over_all_stored_values(schema: Schema) -> None:
    rows = random_rows(schema, 4_000, np.random.default_rng(0))
    assert [len(np.unique(rows[:, c])) for c in (1, 3)] == [3, 2]
    assert rows[:, 0].max() == 1000, "missing is a value like the others"
