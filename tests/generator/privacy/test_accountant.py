"""The accountant against an independent one (dp-accounting's PLD), from both sides."""

import math

import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from generator.errors import PrivacyError
from generator.privacy.accountant import (
    GaussianEvent,
    PrivacyEvent,
    SubsampledGaussianEvent,
    epsilon_of,
    gdp_delta,
    gdp_mu,
    noise_multiplier_for,
    sgd_noise_multiplier_for,
)

DELTA = 1e-5


def pld_epsilon(events: list[PrivacyEvent]) -> float:
    accountant = PLDAccountant()
    for event in events:
        gaussian = dp_event.GaussianDpEvent(event.noise_multiplier)
        if isinstance(event, GaussianEvent):
            accountant.compose(gaussian)
        else:
            sampled = dp_event.PoissonSampledDpEvent(event.sample_rate, gaussian)
            accountant.compose(dp_event.SelfComposedDpEvent(sampled, event.steps))
    return float(accountant.get_epsilon(DELTA))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_refuses_noise_that_is_not_positive_and_finite(bad: float) -> None:
    with pytest.raises(PrivacyError, match="noise multiplier"):
        GaussianEvent(bad)
    with pytest.raises(PrivacyError, match="noise multiplier"):
        SubsampledGaussianEvent(bad, 0.1, 1)


@pytest.mark.parametrize(("rate", "steps"), [(0.0, 1), (1.1, 1), (0.1, 0)])
def test_refuses_impossible_sampling(rate: float, steps: int) -> None:
    with pytest.raises(PrivacyError):
        SubsampledGaussianEvent(1.0, rate, steps)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5])
def test_refuses_delta_outside_the_unit_interval(delta: float) -> None:
    with pytest.raises(PrivacyError, match="delta"):
        epsilon_of([GaussianEvent(1.0)], delta)


def test_refuses_a_solver_whose_budget_is_spent_already() -> None:
    with pytest.raises(PrivacyError, match="already spend"):
        sgd_noise_multiplier_for(1.0, DELTA, 0.01, 100, [GaussianEvent(1.0)])


def test_refuses_to_call_a_release_without_real_noise_private() -> None:
    with pytest.raises(PrivacyError, match="more than epsilon"):
        epsilon_of([GaussianEvent(1e-4)], DELTA)


def test_nothing_released_costs_nothing() -> None:
    assert epsilon_of([], DELTA) == 0.0


@pytest.mark.parametrize("sigmas", [[1.5], [4.0, 2.0], [10.0] * 7])
def test_gaussian_releases_cost_what_the_reference_says_exactly(sigmas: list[float]) -> None:
    events: list[PrivacyEvent] = [GaussianEvent(sigma) for sigma in sigmas]
    assert epsilon_of(events, DELTA) == pytest.approx(pld_epsilon(events), rel=1e-4)


@pytest.mark.parametrize(
    "events",
    [
        [SubsampledGaussianEvent(2.0, 0.05, 300)],
        [GaussianEvent(3.0), SubsampledGaussianEvent(2.0, 0.05, 300)],
        [GaussianEvent(3.0), SubsampledGaussianEvent(2.0, 0.05, 100), SubsampledGaussianEvent(1.3, 0.2, 3)],
        [GaussianEvent(1.5), SubsampledGaussianEvent(200.0, 0.05, 30)],
    ],
)
def test_subsampled_steps_are_bounded_from_above_and_closely(events: list[PrivacyEvent]) -> None:
    own, reference = epsilon_of(events, DELTA), pld_epsilon(events)
    # PLD rounds up by a hair too, so the upper bound may lie below it by that much only
    assert reference * 0.999 <= own <= reference + 0.03


def test_sampling_everybody_is_the_plain_gaussian() -> None:
    sampled = epsilon_of([SubsampledGaussianEvent(8.0, 1.0, 4)], DELTA)
    assert sampled == pytest.approx(epsilon_of([GaussianEvent(4.0)], DELTA))


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 10.0])
def test_one_release_spends_its_budget_whole_and_never_more(epsilon: float) -> None:
    spent = epsilon_of([GaussianEvent(noise_multiplier_for(epsilon, DELTA))], DELTA)
    assert epsilon * 0.9999 <= spent <= epsilon * (1 + 1e-9)
    assert gdp_delta(epsilon, gdp_mu(epsilon, DELTA)) <= DELTA


def test_solved_sgd_noise_keeps_the_budget_and_wastes_little() -> None:
    others: list[PrivacyEvent] = [GaussianEvent(noise_multiplier_for(1.5, DELTA))]
    sigma = sgd_noise_multiplier_for(3.0, DELTA, 0.03, 200, others)
    assert epsilon_of([*others, SubsampledGaussianEvent(sigma, 0.03, 200)], DELTA) <= 3.0
    assert epsilon_of([*others, SubsampledGaussianEvent(sigma * 0.99, 0.03, 200)], DELTA) > 2.99
