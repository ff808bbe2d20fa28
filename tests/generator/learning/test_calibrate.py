"""Biases set to released univariate marginals."""

from __future__ import annotations

import numpy as np
import pytest

from generator.errors import LearningError
from generator.learning.autoregressive import (
    EMBEDDING,
    HIDDEN_WEIGHTS,
    INPUT_BIAS,
    NetShape,
    initial_weights,
    sample_codes,
)
from generator.learning.calibrate import match_univariate

SHAPE = NetShape((4, 6, 3), width=12, neurons=8)


def weights_of() -> np.ndarray:
    random = np.random.default_rng(0)
    flat = initial_weights(SHAPE, np.full(13, 0.2), random)
    for name in (EMBEDDING, HIDDEN_WEIGHTS, INPUT_BIAS):
        flat[SHAPE.parts[name][0]] *= 3
    return flat


def univariate_of(codes: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.bincount(codes[:, c], minlength=m) / len(codes) for c, m in enumerate(SHAPE.code_counts)]
    )


def test_marginals_of_another_codebook_are_refused() -> None:
    with pytest.raises(LearningError, match="univariate"):
        match_univariate(SHAPE, weights_of(), np.full(12, 0.1), np.random.default_rng(0))


def test_the_net_s_univariate_marginals_become_the_released_ones() -> None:
    random = np.random.default_rng(1)
    wanted = np.concatenate([random.dirichlet(np.full(m, 2.0)) for m in SHAPE.code_counts])
    before = univariate_of(sample_codes(SHAPE, weights_of(), 20_000, np.random.default_rng(2)))
    matched = match_univariate(SHAPE, weights_of(), wanted, np.random.default_rng(3))
    after = univariate_of(sample_codes(SHAPE, matched, 20_000, np.random.default_rng(2)))
    assert np.abs(before - wanted).max() > 0.15
    assert after == pytest.approx(wanted, abs=0.02)


def test_only_output_biases_move_and_equal_generators_agree() -> None:
    wanted = np.full(13, 0.25)
    first, second = (
        match_univariate(SHAPE, weights_of(), wanted, np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(first, second)
    moved = np.flatnonzero(first != weights_of())
    assert moved.min() >= SHAPE.size - SHAPE.codes


def test_a_marginal_of_zero_leaves_finite_weights() -> None:
    wanted = np.r_[1.0, 0, 0, 0, np.full(6, 1 / 6), 0, 0, 1.0]
    matched = match_univariate(SHAPE, weights_of(), wanted, np.random.default_rng(3))
    assert np.isfinite(matched).all()
    codes = sample_codes(SHAPE, matched, 5_000, np.random.default_rng(2))
    assert (codes[:, 0] == 0).mean() > 0.99
