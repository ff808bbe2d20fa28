"""Privacy accounting for Gaussian releases and DP-SGD, under add/remove neighbours.

Rules: an epsilon returned from here is always an upper bound, and a noise multiplier always suffices.
Gaussian releases alone compose exactly (Gaussian differential privacy, Dong, Roth and Su 2022: mu is the
square root of the sum of 1 / sigma^2, delta(epsilon) as in Balle and Wang 2018). As soon as
Poisson-subsampled steps are among the events the privacy loss distributions are composed numerically
(`loss_distribution`), its error bounds added on the unsafe side. This module spends nothing and draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from generator.errors import PrivacyError
from generator.privacy.loss_distribution import Loss, delta_curve, epsilon_bound

_EPSILON_CEILING = 1e4
_MU_CEILING = 1e3
_BISECTIONS = 100
_CHARGE_BISECTIONS = 24
_SGD_NOISE_RELATIVE_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class DistributedNoise:
    """Distributed DP: noise drawn in shares by `contributors`, of which only the sum is seen.

    It is whole while `honest` of them keep their share to themselves. The accountant counts the whole noise; the
    statement names the condition.
    """

    contributors: int
    honest: int

    def __post_init__(self) -> None:
        if not 1 <= self.honest <= self.contributors:
            raise PrivacyError(f"{self.honest} honest of {self.contributors} contributors: expected 1 to all")


@dataclass(frozen=True, slots=True)
class Threshold:
    """Histograms over values that nobody lists beforehand, `columns` of them, of which one row fills one cell each.

    Shown are the cells whose noisy count, an integer, is at least `least`. std: of the noise on a count. unit_rows: of
    one unit at the most.
    """

    columns: int
    least: int
    std: float
    unit_rows: int = 1

    def delta(self, units: int = 1) -> float:
        """Bound on the chance that a cell is shown which nobody but `units` units fill.

        Their rows, n of them, fill at most n cells of a column, none with more than n.
        """
        rows = units * self.unit_rows
        return min(1.0, self.columns * rows * float(ndtr(-(self.least - rows - 0.5) / self.std)))


@dataclass(frozen=True, slots=True)
class GaussianEvent:
    """One Gaussian release.

    noise_multiplier: the noise's standard deviation over the L2 sensitivity of one unit, a row or a person with
    all its rows. distributed: whose shares make up the noise, None where one contributor adds it all.
    threshold: what hides the cells of histograms over values that are not public; its delta is counted
    beside the noise's.
    """

    noise_multiplier: float
    distributed: DistributedNoise | None = None
    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        _require_positive("noise multiplier", self.noise_multiplier)


@dataclass(frozen=True, slots=True)
class SubsampledGaussianEvent:
    """`steps` Gaussian releases, every one over a Poisson sample of the units at `sample_rate` (DP-SGD).

    distributed: as in `GaussianEvent`.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int
    distributed: DistributedNoise | None = None

    def __post_init__(self) -> None:
        _require_positive("noise multiplier", self.noise_multiplier)
        if not 0 < self.sample_rate <= 1:
            raise PrivacyError(f"sample rate is {self.sample_rate}; expected a rate in (0, 1]")
        if self.steps < 1:
            raise PrivacyError(f"steps is {self.steps}; expected at least one step, or no event at all")


PrivacyEvent = GaussianEvent | SubsampledGaussianEvent


def gdp_delta(epsilon: float, mu: float) -> float:
    """Smallest delta of a mu-GDP mechanism at `epsilon` (Balle and Wang 2018, theorem 8)."""
    if mu <= 0:
        return 0.0
    second = math.exp(min(epsilon + float(log_ndtr(-epsilon / mu - mu / 2)), 0.0))
    return max(float(ndtr(-epsilon / mu + mu / 2)) - second, 0.0)


def gdp_mu(epsilon: float, delta: float) -> float:
    """Largest mu such that mu-GDP implies (`epsilon`, `delta`)-DP. Rounded down by bisection."""
    _require_budget(epsilon, delta)
    low, high = 0.0, 1.0
    while gdp_delta(epsilon, high) <= delta:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if gdp_delta(epsilon, middle) <= delta else (low, middle)
    return low


def gdp_epsilon(mu: float, delta: float) -> float:
    """Smallest epsilon such that mu-GDP implies (epsilon, `delta`)-DP, rounded up; PrivacyError beyond 10,000."""
    _require_delta(delta)
    if gdp_delta(0.0, mu) <= delta:
        return 0.0
    low, high = 0.0, 1.0
    while gdp_delta(high, mu) > delta:
        low, high = high, 2 * high
        if high > _EPSILON_CEILING:
            raise PrivacyError(f"the releases spend more than epsilon {_EPSILON_CEILING:.0f}; add noise")
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if gdp_delta(middle, mu) <= delta else (middle, high)
    return high


def noise_multiplier_for(epsilon: float, delta: float) -> float:
    """Noise multiplier of one Gaussian release that spends (`epsilon`, `delta`) whole."""
    return 1.0 / gdp_mu(epsilon, delta)


def epsilon_of(events: Sequence[PrivacyEvent], delta: float) -> float:
    """Upper bound on epsilon at `delta` of all `events` together; 0.0 for no events.

    Raises PrivacyError when delta is not in (0, 1), when thresholds spend all of it, or when the events spend more
    than epsilon 10,000.
    """
    delta = noise_delta(events, delta)
    mu_squared, subsampled = _split(events)
    if not subsampled:
        return gdp_epsilon(math.sqrt(mu_squared), delta)
    return _epsilon_by_losses(mu_squared, subsampled, delta)


def gdp_charge(events: Sequence[PrivacyEvent], tail: float) -> float:
    """mu^2 of a Gaussian mechanism that is at most as private as all `events` together, but for probability `tail`.

    Gaussian releases alone are one Gaussian mechanism, without a tail. With subsampled steps among them mu is the
    smallest with delta(epsilon) <= tail + (1 - tail) * delta_mu(epsilon) at every epsilon >= 0, in the worse
    direction: by Blackwell's theorem the events are then computed from one Gaussian release of mu, except in `tail`
    of the cases. That is what a filter over events that were chosen by earlier answers may add up (docs/decisions/
    0016). Raises PrivacyError when no mu below 1,000 serves.
    """
    mu_squared, subsampled = _split(events)
    if not subsampled:
        return mu_squared
    epsilons, bounds = delta_curve(_losses(mu_squared, subsampled), tail)

    def serves(mu: float) -> bool:
        rest = np.exp(np.minimum(epsilons + log_ndtr(-epsilons / mu - mu / 2), 0.0))
        rest = np.where(np.isfinite(epsilons), rest, 0.0)
        reached = tail + (1 - tail) * np.maximum(ndtr(-epsilons / mu + mu / 2) - rest, 0.0)
        return bool((bounds <= reached).all())

    low = high = max(math.sqrt(mu_squared), 1e-3)
    while not serves(high):
        low, high = high, 2 * high
        if high > _MU_CEILING:
            raise PrivacyError(f"the releases spend more than mu {_MU_CEILING:g} of Gaussian DP; add noise")
    for _ in range(_CHARGE_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if serves(middle) else (middle, high)
    return high**2


def threshold_delta(events: Sequence[PrivacyEvent], *, units: int = 1) -> float:
    """The delta that thresholds of released values spend, where `units` units are one person's."""
    gaussian = (event for event in events if isinstance(event, GaussianEvent))
    return sum(event.threshold.delta(units) for event in gaussian if event.threshold is not None)


def noise_delta(events: Sequence[PrivacyEvent], delta: float, *, units: int = 1) -> float:
    """What thresholds leave of `delta` for the noise, where `units` units are one person's; PrivacyError for
    nothing."""
    _require_delta(delta)
    left = delta - threshold_delta(events, units=units)
    if left <= 0:
        raise PrivacyError("the thresholds of released values spend all of delta; ask for a larger delta")
    return left


def gaussian_mu(events: Sequence[PrivacyEvent]) -> float | None:
    """Mu of all events together if every one is Gaussian, else None."""
    mu_squared, subsampled = _split(events)
    return None if subsampled else math.sqrt(mu_squared)


def sgd_noise_multiplier_for(
    epsilon: float,
    delta: float,
    sample_rate: float,
    steps: int,
    other_events: Sequence[PrivacyEvent] = (),
) -> float:
    """Smallest noise multiplier (within 0.1 %) for `steps` DP-SGD steps beside `other_events` in one budget.

    Raises PrivacyError when the other events alone leave nothing of (`epsilon`, `delta`).
    """
    _require_budget(epsilon, delta)
    spent = epsilon_of(other_events, delta)
    if spent >= epsilon:
        raise PrivacyError(
            f"the other releases already spend epsilon {spent:.4f} of {epsilon}; nothing is left for DP-SGD: "
            "raise epsilon, or add noise to the other releases"
        )

    def fits(noise_multiplier: float) -> bool:
        event = SubsampledGaussianEvent(noise_multiplier, sample_rate, steps)
        return epsilon_of([*other_events, event], delta) <= epsilon

    return _smallest_fitting(fits)


def _smallest_fitting(fits: Callable[[float], bool]) -> float:
    high = 1.0
    while not fits(high):
        high *= 2
        if high > 1e5:
            raise PrivacyError("no noise multiplier below 100,000 keeps the budget; ask for fewer steps")
    low = high / 2
    while low > 1e-2 and fits(low):
        low, high = low / 2, low
    while high / low > 1 + _SGD_NOISE_RELATIVE_STEP:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _split(events: Sequence[PrivacyEvent]) -> tuple[float, list[SubsampledGaussianEvent]]:
    mu_squared = 0.0
    steps: dict[tuple[float, float], int] = {}
    for event in events:
        if isinstance(event, GaussianEvent):
            mu_squared += event.noise_multiplier**-2
        elif event.sample_rate == 1.0:  # a sample of everybody is an ordinary Gaussian release
            mu_squared += event.steps * event.noise_multiplier**-2
        else:
            key = (event.noise_multiplier, event.sample_rate)
            steps[key] = steps.get(key, 0) + event.steps
    return mu_squared, [SubsampledGaussianEvent(sigma, rate, n) for (sigma, rate), n in sorted(steps.items())]


def _epsilon_by_losses(mu_squared: float, subsampled: list[SubsampledGaussianEvent], delta: float) -> float:
    upper = epsilon_bound(_losses(mu_squared, subsampled), delta)
    if upper > _EPSILON_CEILING:
        raise PrivacyError(f"the releases spend more than epsilon {_EPSILON_CEILING:.0f}; add noise")
    # An unsampled Gaussian among the events is a lower bound that numerical error must not undercut.
    return max(upper, gdp_epsilon(math.sqrt(mu_squared), delta))


def _losses(mu_squared: float, subsampled: Sequence[SubsampledGaussianEvent]) -> list[Loss]:
    losses = [Loss(e.noise_multiplier, e.sample_rate, e.steps) for e in subsampled]
    return losses if mu_squared <= 0 else [*losses, Loss(1 / math.sqrt(mu_squared), 1.0, 1)]


def _require_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise PrivacyError(f"{name} is {value}; expected a positive finite number")


def _require_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise PrivacyError(f"delta is {delta}; expected a number strictly between 0 and 1, such as 1e-5")


def _require_budget(epsilon: float, delta: float) -> None:
    _require_positive("epsilon", epsilon)
    _require_delta(delta)
