"""Noise measured against its formula."""

import inspect
import math

import numpy as np
import pytest

from generator.errors import PrivacyError
from generator.privacy import noise


@pytest.mark.parametrize("std", [-1.0, math.inf, math.nan])
def test_refuses_a_standard_deviation_that_is_none(std: float) -> None:
    with pytest.raises(PrivacyError, match="standard deviation"):
        noise.gaussian(3, std)


def test_nobody_can_pass_a_seed() -> None:
    for function in (
        noise.gaussian,
        noise.uniform,
        noise.poisson_sample,
        noise.binomial,
        noise.gaussian_tail,
    ):
        assert not {"seed", "generator", "rng"} & set(inspect.signature(function).parameters)


def test_variance_and_tails_are_the_normal_ones() -> None:
    drawn = noise.gaussian((400, 500), 3.0).ravel()
    assert drawn.mean() == pytest.approx(0.0, abs=5 * 3 / math.sqrt(drawn.size))
    assert drawn.var() == pytest.approx(9.0, rel=5 * math.sqrt(2 / drawn.size))
    beyond = np.mean(np.abs(drawn) > 2 * 3.0)
    assert beyond == pytest.approx(math.erfc(math.sqrt(2)), abs=0.002)


def test_two_draws_differ() -> None:
    assert not np.array_equal(noise.gaussian(8, 1.0), noise.gaussian(8, 1.0))


def test_no_noise_is_exactly_none() -> None:
    assert not noise.gaussian((2, 3), 0.0).any()


def test_poisson_sample_has_the_size_and_spread_of_a_binomial() -> None:
    sizes = np.array([len(noise.poisson_sample(2000, 0.1)) for _ in range(400)])
    assert sizes.mean() == pytest.approx(200, abs=5 * math.sqrt(180 / 400))
    assert sizes.var() == pytest.approx(180, rel=0.4)


def test_tail_draws_exceed_the_threshold_by_the_right_amount() -> None:
    drawn = noise.gaussian_tail(50_000, 2.0, 6.0)
    assert drawn.min() > 6.0
    hazard = math.exp(-4.5) / math.sqrt(2 * math.pi) / noise.normal_tail(3.0, 1.0)
    assert drawn.mean() == pytest.approx(2 * hazard, rel=0.01)


def test_binomial_has_its_mean() -> None:
    drawn = [noise.binomial(10**9, 2e-9) for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(2.0, abs=5 * math.sqrt(2 / 2000))
