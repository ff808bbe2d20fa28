"""Privacy losses of Gaussian releases and Poisson-subsampled steps, composed numerically. numpy and scipy only.

After Gopi, Lee and Wutschitz 2021 (arXiv:2106.02848): every loss is put on one mesh that keeps its mean, the
distributions are multiplied in the Fourier domain, and the errors of mesh and truncation are added on the
unsafe side. The subsampled loss is that of removing a row, which dominates adding one at epsilon >= 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.special import gammaln, logsumexp, ndtr

Floats = NDArray[np.float64]

_EPSILON_ERROR: Final = 0.004
_CURVE_ERROR: Final = 0.002
_CURVE_POINTS: Final = 1 << 14
_MOST_POINTS: Final = 1 << 19
"""On each side of a curve's mesh: beyond it the mesh is made coarser, and its error, which is added, larger."""
_DELTA_SHARE: Final = 1e-3
_ORDERS: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Loss:
    """`steps` Gaussian releases of noise multiplier `sigma`, each over a Poisson sample at `rate` (1: everybody)."""

    sigma: float
    rate: float
    steps: int

    def cdf(self, t: Floats) -> Floats:
        """Probability that one step's loss is at most t (proposition B.4)."""
        floor = math.log1p(-self.rate) if self.rate < 1 else -math.inf
        above = t > floor
        inside = np.where(above, t, 1.0)
        # log((e^t - (1 - rate)) / rate)
        z = inside + np.log1p(-(1 - self.rate) * np.exp(-inside)) - math.log(self.rate)
        half = 1 / (2 * self.sigma)
        probability = self.rate * ndtr(self.sigma * z - half) + (1 - self.rate) * ndtr(self.sigma * z + half)
        return np.where(above, probability, 0.0)

    def renyi(self) -> Floats:
        """Renyi divergence of one step at each of _ORDERS (Mironov, Talwar and Zhang 2019, section 3.3)."""
        if self.rate == 1:
            return np.array(_ORDERS) / (2 * self.sigma**2)
        return np.array([self._renyi(order) for order in _ORDERS])

    def _renyi(self, order: int) -> float:
        k = np.arange(order + 1)
        choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        terms = choose + (order - k) * math.log1p(-self.rate) + k * math.log(self.rate)
        return float(logsumexp(terms + k * (k - 1) / (2 * self.sigma**2))) / (order - 1)


def epsilon_bound(losses: Sequence[Loss], delta: float) -> float:
    """Upper bound on epsilon at `delta` of all losses together; math.inf where the mesh shows none."""
    delta_error = delta * _DELTA_SHARE
    points, composed = _composed(losses, delta_error, _EPSILON_ERROR)
    return _epsilon_at(points, composed, delta - delta_error) + _EPSILON_ERROR


def delta_curve(losses: Sequence[Loss], tail: float) -> tuple[Floats, Floats]:
    """(epsilons, bounds): between epsilons[k - 1] and epsilons[k] delta is at most bounds[k], ascending from 0.

    It ends where the bound falls to `tail`. The errors of mesh and truncation are in it, the latter `tail` / 2.
    """
    error = _CURVE_ERROR
    while _mesh_points(losses, tail / 2, error) > _MOST_POINTS:
        error *= 2
    points, mass = _composed(losses, tail / 2, error)
    beyond = np.flip(np.flip(mass).cumsum())
    discounted = np.flip(np.flip(mass * np.exp(-points)).cumsum())
    bounds = np.maximum(beyond - np.exp(points) * discounted, 0.0) + tail / 2
    epsilons = points + error
    # a bound at one point holds up to the next: the curve falls
    right = np.append(epsilons[1:], np.inf)
    used = (right > 0) & (bounds > tail)
    right, bounds = right[used], bounds[used]
    # of neighbouring points the first bound holds up to the last epsilon
    first = np.arange(0, len(right), max(1, len(right) // _CURVE_POINTS))
    last = np.append(first[1:], len(right))[: len(first)] - 1
    return right[last], bounds[first]


def _composed(losses: Sequence[Loss], delta_error: float, epsilon_error: float) -> tuple[Floats, Floats]:
    """(losses, mass of each) of all of `losses` together, on one mesh whose errors are the two given."""
    mesh = _mesh(losses, delta_error, epsilon_error)
    half = next_fast_len(_mesh_points(losses, delta_error, epsilon_error), real=True)
    # index k stands for the loss k * mesh: 0, 1, .., half - 1, -half, .., -1
    spectrum: NDArray[np.complex128] = np.ones(half + 1, dtype=np.complex128)
    shift = 0.0
    for loss in losses:
        mass, moved = _on_mesh(loss, mesh, half)
        spectrum *= np.fft.rfft(np.fft.ifftshift(mass)) ** loss.steps
        shift += loss.steps * moved
    composed = np.fft.fftshift(np.fft.irfft(spectrum, 2 * half))
    return np.arange(-half, half) * mesh + shift, composed


def _mesh(losses: Sequence[Loss], delta_error: float, epsilon_error: float) -> float:
    """The distance of neighbouring points."""
    return epsilon_error / math.sqrt(sum(loss.steps for loss in losses) * math.log(12 / delta_error) / 2)


def _mesh_points(losses: Sequence[Loss], delta_error: float, epsilon_error: float) -> int:
    """Points on each side of 0."""
    count = sum(loss.steps for loss in losses)
    return math.ceil(_half_width(losses, count, delta_error) / _mesh(losses, delta_error, epsilon_error))


def _on_mesh(loss: Loss, mesh: float, half: int) -> tuple[Floats, float]:
    """(mass of each mesh point -half .. half - 1, by how much the points must move to keep the mean).

    Within a cell the distribution function is integrated by Simpson's rule.
    """
    cdf = loss.cdf(np.arange(-2 * half - 1, 2 * half, dtype=np.float64) * (mesh / 2))
    low, high = cdf[1], cdf[-2]
    cdf = np.clip((cdf - low) / (high - low), 0.0, 1.0)
    left, centre, right = cdf[:-1:2], cdf[1::2], cdf[2::2]
    return right - left, mesh / 3 * float((left + right - 2 * centre).sum())


def _epsilon_at(points: Floats, mass: Floats, delta: float) -> float:
    """Epsilon at which the sum of mass * (1 - e^(epsilon - loss)) over larger losses is `delta`."""
    beyond = np.flip(np.flip(mass).cumsum())
    discounted = np.flip(np.flip(mass * np.exp(-points)).cumsum())
    place = int(np.searchsorted(np.exp(points) * discounted - beyond, -delta, side="left"))
    if place in (0, len(points)) or beyond[place] <= delta or discounted[place] <= 0:
        return math.inf
    return math.log((beyond[place] - delta) / discounted[place])


def _half_width(losses: Sequence[Loss], count: int, delta_error: float) -> float:
    """Half the width of a domain that the composed loss leaves with probability below delta_error.

    Remark 5.6 of Gopi et al. by Renyi bounds at few and whole orders: any order gives a valid bound, a looser
    one only widens the domain.
    """
    single = [loss.renyi() for loss in losses]
    together = np.sum([renyi * loss.steps for renyi, loss in zip(single, losses, strict=True)], axis=0)
    rare = delta_error / (8 * count)
    bounds = [_tail(together, delta_error / 4), *(_tail(renyi, rare) for renyi in single)]
    return max(*bounds, _EPSILON_ERROR) + 3


def _tail(renyi: Floats, delta: float) -> float:
    """Epsilon at `delta` by Renyi divergences (Canonne, Kamath and Steinke 2020, proposition 12)."""
    orders = np.array(_ORDERS, dtype=np.float64)
    epsilons = renyi - (math.log(delta) + np.log(orders)) / (orders - 1) + np.log((orders - 1) / orders)
    return float(epsilons.min())
