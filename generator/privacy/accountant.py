"""Privacy accounting for Gaussian releases and DP-SGD, under add/remove neighbours.

Rules: an epsilon returned from here is always an upper bound, and a noise multiplier always suffices.
Gaussian releases alone compose exactly (Gaussian differential privacy, Dong, Roth and Su 2022: mu is the
square root of the sum of 1 / sigma^2, delta(epsilon) as in Balle and Wang 2018). As soon as
Poisson-subsampled steps are among the events the privacy loss distributions are composed numerically (Gopi,
Lee and Wutschitz 2021) by the code in Opacus, with its error bounds added on the unsafe side. This module
spends nothing and draws nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_ndtr, ndtr

from generator.privacy.errors import PrivacyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EPSILON_CEILING = 1e4
_BISECTIONS = 100
_SGD_NOISE_RELATIVE_STEP = 1e-3
_PRV_DELTA_SHARE = 1e-3
_ORDERS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class GaussianEvent:
    """One Gaussian release; `noise_multiplier` is the noise's standard deviation over the L2 sensitivity."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        _require_positive("noise multiplier", self.noise_multiplier)


@dataclass(frozen=True, slots=True)
class SubsampledGaussianEvent:
    """`steps` Gaussian releases, each over a Poisson sample of the rows at `sample_rate` (DP-SGD)."""

    noise_multiplier: float
    sample_rate: float
    steps: int

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


def noise_multiplier_for(epsilon: float, delta: float) -> float:
    """Noise multiplier of one Gaussian release that spends (`epsilon`, `delta`) whole."""
    return 1.0 / gdp_mu(epsilon, delta)


def epsilon_of(events: Sequence[PrivacyEvent], delta: float) -> float:
    """Upper bound on epsilon at `delta` of all `events` together; 0.0 for no events.

    Raises PrivacyError when delta is not in (0, 1) or the events spend more than epsilon 10,000.
    """
    _require_delta(delta)
    mu_squared, subsampled = _split(events)
    if not subsampled:
        return _epsilon_of_gdp(math.sqrt(mu_squared), delta)
    return _epsilon_by_prv(mu_squared, subsampled, delta)


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


def _epsilon_of_gdp(mu: float, delta: float) -> float:
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


class _GaussianPrv:
    """Privacy loss of an unsampled Gaussian, N(mu^2 / 2, mu^2): Opacus's own class divides by zero at rate
    1.
    """

    sample_rate = 1.0

    def __init__(self, mu: float) -> None:
        self.mu = mu
        self.noise_multiplier = 1.0 / mu

    def pdf(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        z = (np.asarray(t) - self.mu**2 / 2) / self.mu
        return np.asarray(np.exp(-(z**2) / 2) / (self.mu * math.sqrt(2 * math.pi)))

    def cdf(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndtr((np.asarray(t) - self.mu**2 / 2) / self.mu))


def _epsilon_by_prv(mu_squared: float, subsampled: list[SubsampledGaussianEvent], delta: float) -> float:
    from opacus.accountants.analysis.prv import PoissonSubsampledGaussianPRV

    prvs: list[Any] = [PoissonSubsampledGaussianPRV(e.sample_rate, e.noise_multiplier) for e in subsampled]
    counts = [event.steps for event in subsampled]
    if mu_squared > 0:
        prvs.append(_GaussianPrv(math.sqrt(mu_squared)))
        counts.append(1)
    composed, error = _compose(prvs, counts, delta)
    _, _, upper = composed.compute_epsilon(delta, delta * _PRV_DELTA_SHARE, error)
    if not math.isfinite(upper) or upper > _EPSILON_CEILING:
        raise PrivacyError(f"the releases spend more than epsilon {_EPSILON_CEILING:.0f}; add noise")
    # An unsampled Gaussian among the events is a lower bound that numerical error must not undercut.
    return max(float(upper), _epsilon_of_gdp(math.sqrt(mu_squared), delta))


def _compose(prvs: list[Any], counts: list[int], delta: float) -> tuple[Any, float]:
    """The composed discrete loss and its epsilon error."""
    from opacus.accountants.analysis.prv import (
        Domain,
        TruncatedPrivacyRandomVariable,
        compose_heterogeneous,
        discretize,
    )

    delta_error = delta * _PRV_DELTA_SHARE
    error = 0.01
    half = _half_width(prvs, counts, error, delta_error)
    mesh = error / math.sqrt(sum(counts) * math.log(12 / delta_error) / 2)
    domain = Domain.create_aligned(-half, half, mesh)
    discrete = [
        discretize(TruncatedPrivacyRandomVariable(p, domain.t_min, domain.t_max), domain) for p in prvs
    ]
    return compose_heterogeneous(discrete, counts), error


def _half_width(prvs: list[Any], counts: list[int], error: float, delta_error: float) -> float:
    """Half the width of a domain that the composed loss leaves with probability below delta_error.

    Gopi et al. 2021, remark 5.6, by Renyi bounds as Opacus does it, but at few and whole orders: any order
    gives a valid bound, a looser one only widens the domain, and this takes a twentieth of the time.
    """
    from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

    single = [
        compute_rdp(q=p.sample_rate, noise_multiplier=p.noise_multiplier, steps=1, orders=_ORDERS)
        for p in prvs
    ]
    together = np.sum([rdp * count for rdp, count in zip(single, counts, strict=True)], axis=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the")
        bounds = [get_privacy_spent(orders=_ORDERS, rdp=together, delta=delta_error / 4)[0]]
        rare = delta_error / (8 * sum(counts))
        bounds += [get_privacy_spent(orders=_ORDERS, rdp=rdp, delta=rare)[0] for rdp in single]
    return float(max(*bounds, error)) + 3


def _require_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise PrivacyError(f"{name} is {value}; expected a positive finite number")


def _require_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise PrivacyError(f"delta is {delta}; expected a number strictly between 0 and 1, such as 1e-5")


def _require_budget(epsilon: float, delta: float) -> None:
    _require_positive("epsilon", epsilon)
    _require_delta(delta)
