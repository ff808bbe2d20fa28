"""The attack that an exact likelihood makes possible, and what passes it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from generator.learning.autoregressive import NetShape, initial_weights
from generator.learning.fit_autoregressive import log_likelihood, train
from generator.learning.memorisation import memorisation, passes_gate
from generator.learning.recipes import Recipe
from generator.marginals.columns import columns_likelihood


@pytest.mark.parametrize(("seen", "unseen"), [(225, 25), (450, 50), (1000, 100)])
def test_a_net_that_tells_too_well_fails_on_tables_of_a_few_hundred_rows(seen: int, unseen: int) -> None:
    assert not passes_gate(0.65, seen, unseen)
    assert passes_gate(0.60, seen, unseen)


def test_nothing_passes_above_the_gate_on_large_tables() -> None:
    assert passes_gate(0.6, 10**9, 10**9)
    assert not passes_gate(0.6001, 10**9, 10**9)


def test_the_allowance_of_tiny_tables_is_what_chance_gives_once_in_twenty() -> None:
    random = np.random.default_rng(0)
    areas = [memorisation(random.normal(size=45), random.normal(size=5)) for _ in range(2_000)]
    failed = np.mean([not passes_gate(area, 45, 5) for area in areas])
    assert 0.03 < failed < 0.07
    assert not passes_gate(0.75, 45, 5)


def test_memorisation_is_the_area_under_the_curve() -> None:
    random = np.random.default_rng(0)
    seen, unseen = random.standard_normal(50) + 0.5, random.standard_normal(30)
    slow = np.mean([float(a > b) for a, b in product(seen, unseen)])
    assert memorisation(seen, unseen) == pytest.approx(slow)
    assert memorisation(np.zeros(5), np.zeros(7)) == 0.5


def test_of_250_rows_a_net_that_learnt_them_by_heart_fails_and_an_honest_one_passes() -> None:
    """Columns without any dependence: whatever the net finds between them, it has learnt by heart."""
    shape = NetShape((6,) * 8, 32, 16)
    codes = np.random.default_rng(3).integers(0, 6, (250, 8))
    start = initial_weights(shape, np.full(shape.codes, 1 / 6), np.random.default_rng(0))
    training, unseen = codes[:225], codes[225:]
    passed = []
    for decay in (0.1, 24.0):
        weights = train(training, shape, start, Recipe(200, 64, 8e-3, decay), seed=0)
        scores = [
            log_likelihood(shape, weights, rows) - columns_likelihood(training, rows, shape.code_counts)
            for rows in (training, unseen)
        ]
        passed.append(passes_gate(memorisation(*scores), len(training), len(unseen)))
    assert passed == [False, True]
