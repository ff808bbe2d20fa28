"""Noise from the operating system's entropy, in whole steps of a power of two. docs/spec/noise.md has the argument.

A Gaussian draw is Z ~ N(0, s^2) rounded to the nearest integer, s its deviation in steps. A value on the grid plus such
a draw is that value plus Z, rounded: post-processing of the ideal Gaussian mechanism, so its accounting holds as it
is, and no bit of a sum tells more than the sum's size (Mironov 2012 needs values that only some inputs can reach).

The draws are exact, not close: a double decides where its error cannot matter, eighty digits decide elsewhere, and
the bits of a uniform are drawn until they do. No function takes a seed or a generator: noise that a caller can
reproduce is noise that can be subtracted.
"""

from __future__ import annotations

import math
import os
import secrets
from decimal import Context, Decimal, localcontext
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from scipy.special import ndtri

from generator.errors import PrivacyError
from generator.privacy import normal

Integers = NDArray[np.int64]

FEWEST_STEPS_BITS: Final = 8
"""A deviation has at least 2^8 steps of the grid that `step_exponent` names."""
FINEST_EXPONENT: Final = -24
"""Of a grid that counts are put on."""
_BLOCK = 1 << 13
"""Draws at once: what they need stays in the processor's cache."""
_WORD_BITS = 64
_ROUNDED_UP = 1 + 2.0**-32
_QUANTILE_ERROR = 2.0**-44
_DOUBLES_TO = -4.5
_LEAST_BITS = 75
"""A tail probability of at least 2^75 in 2^128, out to 8.2 deviations, is a double as good as its 128 bits."""
_LARGEST_STD = 2.0**57
_HALF: Final = Decimal("0.5")
_DIGITS: Final = Context(prec=100, Emin=-(10**6), Emax=10**6)


def step_exponent(std: float) -> int:
    """The largest e of -24 .. 0 such that noise of `std` has at least 256 steps of 2^e (-24 where none is); 0 for no
    noise. Whole numbers are on every such grid.

    Follows from the noise, which the plan fixes, so it tells nothing of a table.
    """
    return max(FINEST_EXPONENT, min(0, math.frexp(std)[1] - 1 - FEWEST_STEPS_BITS)) if std > 0 else 0


def to_steps(values: NDArray[np.float64], exponent: int) -> Integers:
    """Multiples of 2^exponent as how many of it they are."""
    return np.rint(np.ldexp(values, -exponent)).astype(np.int64)


def from_steps(steps: NDArray[np.integer[Any]], exponent: int) -> NDArray[np.float64]:
    """Inverse of `to_steps`: exact below 2^53 steps."""
    return np.ldexp(steps.astype(np.float64), exponent)


def noisy_counts(
    counts: NDArray[np.float64], std: float | NDArray[np.float64], exponent: int
) -> NDArray[np.float64]:
    """Whole counts [K] with noise of `std`, in multiples of 2^exponent, which is 0 or less. They are summed as
    integers."""
    return from_steps((counts.astype(np.int64) << -exponent) + gaussian(len(counts), std, exponent), exponent)


def gaussian(count: int, std: float | NDArray[np.float64], exponent: int = 0) -> Integers:
    """`count` independent draws of N(0, std^2), each rounded to a whole number of steps of 2^exponent: int64[count].

    std: of all, or of each [count]. It is taken a 2^-32 larger, which covers how it was computed. Raises PrivacyError
    for one that is negative, not finite or of more than 2^57 steps.
    """
    steps = np.ldexp(np.asarray(std, dtype=np.float64), -exponent) * _ROUNDED_UP
    if count and not (steps.min() >= 0 and steps.max() <= _LARGEST_STD):
        raise PrivacyError(
            f"noise standard deviation is {std}; expected a finite number of at least 0, "
            f"and of at most 2^57 steps of 2^{exponent}"
        )
    out = np.zeros(count, dtype=np.int64)
    if not steps.any():
        return out
    words = random_words(count)
    for start in range(0, count, _BLOCK):
        part = slice(start, min(count, start + _BLOCK))
        out[part] = _rounded_normals(steps[part] if steps.ndim else steps, words[part])
    return out


def random_words(count: int) -> NDArray[np.uint64]:
    """`count` random words of 64 bits: AES-256 in counter mode (NIST SP 800-38A) under a key that the operating system
    gives for this call and that is forgotten after it. Sixteen times as fast as asking it for every word."""
    cipher = Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(bytes(16)))
    return np.frombuffer(cipher.encryptor().update(bytes(8 * count)), dtype=np.uint64)


def _rounded_normals(steps: NDArray[np.float64], words: NDArray[np.uint64]) -> Integers:
    """steps: of all words, or of each. The lowest bit of a word is the sign, the others are a number u in (0, 1/2): a
    tail probability."""
    halves = words >> np.uint64(1)
    quantiles = halves.astype(np.float64)
    quantiles += 0.5
    quantiles *= 2.0**-_WORD_BITS
    ndtri(quantiles, out=quantiles)
    scaled = quantiles * -steps
    nearest = np.rint(scaled)
    scaled -= nearest
    # What u's other bits, its double and ndtri can change is below 2^-46 as far as _DOUBLES_TO.
    unsure = np.abs(scaled, out=scaled) >= 0.5 - _QUANTILE_ERROR * steps
    unsure |= (quantiles <= _DOUBLES_TO) & (steps > 0)
    sizes = nearest.astype(np.int64)
    for place in np.flatnonzero(unsure):
        std = float(steps[place] if steps.ndim else steps)
        sizes[place] = _size_of_bits(std, int(halves[place]))
    np.negative(sizes, out=sizes, where=(words & np.uint64(1)).astype(np.bool_))
    return sizes


def _size_of_bits(std: float, bits: int) -> int:
    """|Z| / step rounded, where P(|Z| / 2 in the tail) begins with these 64 bits: by a double of 64 more, where that
    decides."""
    bits, count = bits << _WORD_BITS | secrets.randbits(_WORD_BITS), 2 * _WORD_BITS
    if bits >> _LEAST_BITS:
        scaled = -float(ndtri((bits + 0.5) / 2**count)) * std
        if abs(scaled - round(scaled)) < 0.5 - _QUANTILE_ERROR * std:
            return round(scaled)
    return _size_of_tail(Decimal(std), bits, count)


def _size_of_tail(std: Decimal, bits: int, count: int, limit: Decimal = Decimal(1)) -> int:
    """|Z| / step rounded, where P(|Z| / 2 in the tail) is `limit` times the number whose first `count` bits are given;
    further bits are drawn until the nearest integer is certain.
    """
    with localcontext(_DIGITS):
        while True:
            bits, count = bits << _WORD_BITS | secrets.randbits(_WORD_BITS), count + _WORD_BITS
            unit = limit / 2**count
            low, high = bits * unit, (bits + 1) * unit
            if not low:
                continue
            size = int((normal.quantile_of_tail(high) * std).to_integral_value())
            beyond = normal.tail((size + _HALF) / std)
            within = normal.tail((size - _HALF) / std) if size else _HALF
            if beyond <= low and high <= within:
                return size


def poisson_sample(rows: int, rate: float) -> Integers:
    """Row indices of a Poisson sample: each of `rows` rows is in it independently, with `rate` rounded down to a
    multiple of 2^-64 (a smaller rate spends less)."""
    if not 0 < rate <= 1:
        raise PrivacyError(f"sample rate is {rate}; expected a rate in (0, 1]")
    limit = int(Decimal(rate) * 2**_WORD_BITS)
    if limit == 2**_WORD_BITS:
        return np.arange(rows, dtype=np.int64)
    return np.flatnonzero(random_words(rows) < np.uint64(limit)).astype(np.int64)


def random_order(count: int) -> Integers:
    """0 .. count - 1 in random order, each equally likely: that of words which all differ."""
    while True:
        words = random_words(count)
        order = np.argsort(words)
        ordered = words[order]
        if (ordered[1:] != ordered[:-1]).all():
            return order


def exceeding(count: int, std: float, exponent: int, threshold: int) -> Integers:
    """Those of `count` draws of `gaussian` that exceed `threshold` steps, which is 0 or more, in no order: int64[M].

    Their number and sizes have exactly their joint law, so `count` may be 2^50; it costs what comes out.
    """
    steps = Decimal(math.ldexp(std, -exponent) * _ROUNDED_UP)
    with localcontext(_DIGITS):
        passing = normal.tail((threshold + _HALF) / steps)
    number = _binomial(count, passing)
    return np.array([_size_of_tail(steps, 0, 0, passing) for _ in range(number)], dtype=np.int64)


def passing(std: float, exponent: int, threshold: int) -> float:
    """Probability that a draw of `gaussian` exceeds `threshold` steps."""
    return 0.5 * math.erfc((threshold + 0.5) / (math.ldexp(std, -exponent) * math.sqrt(2)))


def different_integers(count: int, total: int) -> Integers:
    """`count` different integers of 0 .. total - 1 in ascending order, every choice equally likely."""
    drawn: set[int] = set()
    while len(drawn) < count:
        drawn.add(secrets.randbelow(total))
    return np.array(sorted(drawn), dtype=np.int64)


def _binomial(trials: int, probability: Decimal) -> int:
    """A Binomial(trials, probability) draw by inversion of 256 bits; cost grows with the outcome."""
    with localcontext(_DIGITS):
        left = Decimal(secrets.randbits(256)) / 2**256
        mass = (trials * (1 - probability).ln()).exp()
        outcome = 0
        while left >= mass and outcome < trials:
            left -= mass
            mass *= (trials - outcome) * probability / ((outcome + 1) * (1 - probability))
            outcome += 1
        return outcome
