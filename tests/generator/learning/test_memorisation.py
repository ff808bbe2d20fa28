"""The attack that an exact likelihood makes possible, and what passes it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from generator.learning.autoregressive import memorisation, passes_gate


def test_few_rows_prove_less_against_a_net_than_many() -> None:
    assert not passes_gate(0.75, 1000, 100)
    assert passes_gate(0.75, 100, 10)
    assert passes_gate(0.6, 10**9, 10**9)
    assert not passes_gate(0.6001, 10**9, 10**9)


def test_memorisation_is_the_area_under_the_curve() -> None:
    random = np.random.default_rng(0)
    seen, unseen = random.standard_normal(50) + 0.5, random.standard_normal(30)
    slow = np.mean([float(a > b) for a, b in product(seen, unseen)])
    assert memorisation(seen, unseen) == pytest.approx(slow)
    assert memorisation(np.zeros(5), np.zeros(7)) == 0.5
