"""Noise measured against its formula: the exact law of a rounded Gaussian, from both sides."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from decimal import Decimal

import mpmath  # type: ignore[import-untyped]  # comes with torch
import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from generator.errors import PrivacyError
from generator.privacy import noise, normal

FALSE_ALARM = 1e-7


@pytest.mark.parametrize("std", [-1.0, math.inf, math.nan, 2.0**60])
def test_refuses_a_standard_deviation_that_is_none(std: float) -> None:
    with pytest.raises(PrivacyError, match="standard deviation"):
        noise.gaussian(3, std)


def test_nobody_can_pass_a_seed() -> None:
    for function in (noise.gaussian, noise.poisson_sample, noise.exceeding, noise.different_integers):
        assert not {"seed", "generator", "rng"} & set(inspect.signature(function).parameters)


def test_the_normal_distribution_is_right_to_fifty_digits() -> None:
    with mpmath.workdps(130):
        for text in ("0", "1e-9", "0.5", "1", "4.5", "9.25", "15"):
            z = Decimal(text)
            true = mpmath.erfc(mpmath.mpf(text) / mpmath.sqrt(2)) / 2
            assert abs(mpmath.mpf(str(normal.tail(z))) / true - 1) < mpmath.mpf(10) ** -50
            assert abs(normal.quantile_of_tail(normal.tail(z)) - z) < Decimal("1e-50")


def test_the_doubles_are_as_good_as_the_sampler_takes_them_to_be() -> None:
    """A sixteenth of the allowance, as far out as doubles decide."""
    edges = np.concatenate([np.geomspace(2.0**-53, 0.5, 400), np.linspace(0.1, 0.5, 400)])
    worst = max(
        abs(float(Decimal(-float(ndtri(p))) - normal.quantile_of_tail(Decimal(float(p))))) for p in edges
    )
    assert worst < noise._QUANTILE_ERROR / 16


def test_draws_have_exactly_the_law_of_a_rounded_gaussian() -> None:
    """Chi-square against P(k) = Phi((k + 1/2) / s) - Phi((k - 1/2) / s), too few and too many outliers alike."""
    for std, exponent in ((3.0, 0), (0.6, 0), (300 * 2.0**-7, -7)):
        count, steps = 400_000, std * 2.0**-exponent
        drawn = noise.gaussian(count, std, exponent)
        width = max(1, int(steps / 20))
        edges = np.arange(-int(4 * steps) - 1, int(4 * steps) + 2, width) - 0.5
        expected = count * np.diff(ndtr(np.concatenate([[-np.inf], edges, [np.inf]]) / steps))
        found = np.histogram(drawn, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
        usual = expected >= 5
        statistic = float((np.square(found - expected) / np.maximum(expected, 1e-300))[usual].sum())
        freedom = int(usual.sum()) - 1
        assert chi2.ppf(FALSE_ALARM, freedom) < statistic < chi2.isf(FALSE_ALARM, freedom)


def test_each_bit_of_noise_is_a_fair_coin_below_the_size_of_the_noise() -> None:
    drawn = noise.gaussian(200_000, 300.0)
    for bit in range(6):
        assert abs(np.mean(drawn >> bit & 1) - 0.5) < 5.5 * 0.5 / math.sqrt(len(drawn))


def test_digits_decide_as_doubles_do_where_both_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way for every draw: the same bits, a different path."""
    words = np.random.default_rng(0).integers(0, 2**64, 200, dtype=np.uint64)
    monkeypatch.setattr(noise, "random_words", lambda count: words[:count])
    fast = noise.gaussian(200, 300.0)
    monkeypatch.setattr(noise, "_DOUBLES_TO", math.inf)
    assert np.array_equal(noise.gaussian(200, 300.0), fast)
    monkeypatch.setattr(noise, "_LEAST_BITS", 128)
    assert np.array_equal(noise.gaussian(200, 300.0), fast)


@pytest.mark.parametrize("bits", [1, 2**20, 2**30, 2**44])
def test_far_tails_are_as_digits_have_them(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 4.5 deviations, and beyond 8.2, where doubles of 128 bits decide no more."""
    monkeypatch.setattr("secrets.randbits", lambda count: 2**63 + 12345)
    words = np.array([bits << 1, bits << 1 | 1], dtype=np.uint64)
    monkeypatch.setattr(noise, "random_words", lambda count: words[:count])
    probability = Decimal(2 * (bits * 2**64 + 2**63 + 12345) + 1) / 2**129
    size = int((normal.quantile_of_tail(probability) * 300).to_integral_value())
    assert noise.gaussian(2, 300.0 / noise._ROUNDED_UP).tolist() == [size, -size]


def test_random_words_differ_and_each_of_their_bits_is_a_fair_coin() -> None:
    words = noise.random_words(100_000)
    assert len(np.unique(words)) == len(words)
    for bit in range(64):
        assert abs(np.mean(words >> np.uint64(bit) & np.uint64(1)) - 0.5) < 5.5 * 0.5 / math.sqrt(len(words))


def test_a_random_order_is_every_order_alike() -> None:
    found = Counter(tuple(noise.random_order(3).tolist()) for _ in range(6000))
    assert len(found) == 6
    assert chi2.sf(sum((n - 1000) ** 2 / 1000 for n in found.values()), 5) > FALSE_ALARM


def test_an_order_by_equal_words_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the earlier of two rows with equal words would come first a little too often."""
    drawn = iter([np.array([5, 9, 5], dtype=np.uint64), np.array([7, 3, 5], dtype=np.uint64)])
    monkeypatch.setattr(noise, "random_words", lambda _count: next(drawn))
    assert noise.random_order(3).tolist() == [1, 2, 0]


def test_each_number_has_its_own_deviation() -> None:
    drawn = noise.gaussian(100_000, np.repeat([3.0, 0.0, 300.0, 30.0], 25_000))
    for part, std in zip(np.split(drawn, 4), (3.0, 0.0, 300.0, 30.0), strict=True):
        assert part.std() == pytest.approx(math.sqrt(std**2 + 1 / 12) if std else 0.0, rel=0.03)


def test_two_draws_differ() -> None:
    assert not np.array_equal(noise.gaussian(64, 100.0), noise.gaussian(64, 100.0))


def test_no_noise_is_exactly_none() -> None:
    assert not noise.gaussian(6, 0.0).any()


@pytest.mark.parametrize(
    ("std", "exponent"), [(0.0, 0), (1e-9, -24), (0.99, -9), (1.0, -8), (256.0, 0), (9e9, 0)]
)
def test_a_deviation_has_256_to_512_steps_unless_the_grid_is_of_ones(std: float, exponent: int) -> None:
    assert noise.step_exponent(std) == exponent


def test_noisy_counts_are_whole_steps_around_the_counts() -> None:
    counts = np.array([0.0, 7.0, 1e6] * 3000)
    noisy = noise.noisy_counts(counts, 5.0, -6)
    steps = noisy * 64
    assert np.array_equal(steps, np.rint(steps))
    assert (noisy - counts).std() == pytest.approx(5.0, rel=0.05)


def test_poisson_sample_has_the_size_and_spread_of_a_binomial() -> None:
    sizes = np.array([len(noise.poisson_sample(2000, 0.1)) for _ in range(400)])
    assert sizes.mean() == pytest.approx(200, abs=5 * math.sqrt(180 / 400))
    assert sizes.var() == pytest.approx(180, rel=0.4)
    assert noise.poisson_sample(5, 1.0).tolist() == [0, 1, 2, 3, 4]
    assert len(noise.poisson_sample(1000, 2.0**-70)) == 0


def test_what_exceeds_a_threshold_is_as_much_and_as_many_as_by_drawing_all() -> None:
    """2,000 cells under a threshold of 2 deviations, 60 times, against the same draws made one by one."""
    std, exponent, threshold = 2.0, -7, 512
    found = [noise.exceeding(2000, std, exponent, threshold) for _ in range(60)]
    drawn = np.concatenate(found)
    assert drawn.min() > threshold
    p = noise.passing(std, exponent, threshold)
    assert p == pytest.approx(float(ndtr(-512.5 / 256)))
    mean, spread = 60 * 2000 * p, math.sqrt(60 * 2000 * p * (1 - p))
    assert abs(len(drawn) - mean) < 5.5 * spread
    hazard = math.exp(-2.0) / math.sqrt(2 * math.pi) / float(ndtr(-2.0))
    assert drawn.mean() / 256 == pytest.approx(hazard, rel=0.02)


def test_different_integers_are_different_and_every_one_is_possible() -> None:
    drawn = [tuple(noise.different_integers(2, 4)) for _ in range(400)]
    assert len(set(drawn)) == 6
    assert all(a < b for a, b in drawn)
