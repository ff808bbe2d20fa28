"""Noise from the operating system's entropy, and nothing else.

No function here takes a seed or a generator: noise that a caller can reproduce is noise that can be
subtracted. Not covered: the floating-point attack of Mironov 2012 (the privacy statement says so).
"""

from __future__ import annotations

import math
import os

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from generator.errors import PrivacyError

_BLOCK = 1 << 20


def uniform(count: int) -> NDArray[np.float64]:
    """`count` independent uniforms strictly inside (0, 1), 53 bits each."""
    bits = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def gaussian(shape: int | tuple[int, ...], std: float) -> NDArray[np.float64]:
    """Independent N(0, std^2) of the given shape. Raises PrivacyError for a negative or non-finite std."""
    if not (std >= 0 and math.isfinite(std)):
        raise PrivacyError(f"noise standard deviation is {std}; expected a finite number of at least 0")
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    if std == 0:
        return np.zeros(shape)
    out = np.empty(count)
    for start in range(0, count, _BLOCK):
        stop = min(count, start + _BLOCK)
        out[start:stop] = ndtri(uniform(stop - start))
    out *= std
    return out.reshape(shape)


def poisson_sample(rows: int, rate: float) -> NDArray[np.int64]:
    """Row indices of a Poisson sample: each of `rows` rows is in it with probability `rate`,
    independently.
    """
    if not 0 < rate <= 1:
        raise PrivacyError(f"sample rate is {rate}; expected a rate in (0, 1]")
    return np.flatnonzero(uniform(rows) < rate).astype(np.int64)


def gaussian_tail(count: int, std: float, threshold: float) -> NDArray[np.float64]:
    """`count` draws of N(0, std^2) conditioned on exceeding `threshold` (above 0)."""
    tail = normal_tail(threshold, std)
    return -std * np.asarray(ndtri(uniform(count) * tail), dtype=np.float64)


def normal_tail(threshold: float, std: float) -> float:
    """P(N(0, std^2) > threshold), accurate far into the tail."""
    return 0.5 * math.erfc(threshold / (std * math.sqrt(2)))


def binomial(trials: int, probability: float) -> int:
    """A Binomial(trials, probability) draw by inversion; meant for small means (cost grows with the
    outcome).
    """
    u = float(uniform(1)[0])
    if not 0 <= probability < 1:
        raise PrivacyError(f"probability is {probability}; expected a number in [0, 1)")
    mass = math.exp(trials * math.log1p(-probability))
    outcome = 0
    while u > mass and outcome < trials:
        u -= mass
        mass *= (trials - outcome) / (outcome + 1) * probability / (1 - probability)
        outcome += 1
    return outcome
