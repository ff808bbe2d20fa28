"""What a privacy statement means for a person: how sure somebody ends who thought it an even chance that the person is
in the table, for one row and for a person with several.

Where all noise is Gaussian this is exact: k rows of one person make mu-GDP k * mu (Dong, Roth and Su 2022, theorem
2.14), and the privacy loss is normal with mean mu^2 / 2 and deviation mu (Balle and Wang 2018, lemma 3). Otherwise k
neighbours in a row give k * epsilon at delta * (1 + e^epsilon + .. + e^((k-1) epsilon)) (Dwork and Roth 2014, theorem
2.2), and the loss stays below epsilon + t but for a chance of delta / (1 - e^-t), by the definition of delta.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from scipy.special import ndtri

from generator.errors import PrivacyError
from generator.privacy.accountant import (
    PrivacyEvent,
    epsilon_of,
    gaussian_mu,
    gdp_epsilon,
    noise_delta,
)
from provenance.record.epsilon_words import EVEN, protected, sure_micro, sure_text
from provenance.table.unit import Unit
from provenance.units import E12, MICRO, format_fixed, round_up

PERSONS = (1, 2, 5, 10)
"""Rows of one person that a statement speaks of where no column says whose a row is."""
_TAIL = 0.2
_LEAST_DELTA = 1e-13
_MOST = 7.0
"""Above it the posterior is certain in all digits of a sentence."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """For somebody with `rows` rows, or with as many units: the posterior of an even chance in millionths,
    exceeded with a chance of the statement's delta at most. epsilon_micro: at that delta, None where the
    accountant knows no bound.
    """

    rows: int
    epsilon_micro: int | None
    sure_micro: int

    def document(self) -> dict[str, object]:
        """Its entry in a privacy statement."""
        known = {} if self.epsilon_micro is None or self.rows == 1 else {"epsilonMicro": self.epsilon_micro}
        return {"rows": self.rows, **known, "sureMicro": self.sure_micro}

    @property
    def is_bounded(self) -> bool:
        """Whether the posterior is anything but certain in the digits of a sentence."""
        return sure_text(self.sure_micro) != sure_text(10**MICRO)


def in_words(found: Sequence[Meaning], delta_e12: int, unit: Unit | None = None) -> str:
    """All entries, that of one row or one person first, as a sentence."""
    one, *more = found
    words = (
        f"{EVEN} {protected(unit)} is in the table ends at {sure_text(one.sure_micro)} at most, but for a chance of "
        f"{format_fixed(delta_e12, E12)}"
    )
    words += "".join(
        f"; of a person with {each.rows} rows, at {sure_text(each.sure_micro)}"
        for each in more
        if each.is_bounded
    )
    unbounded = [str(each.rows) for each in more if not each.is_bounded]
    return words + (
        f"; a person with {' or '.join(unbounded)} rows is practically not protected" if unbounded else ""
    )


def meanings(events: Sequence[PrivacyEvent], delta: float, unit: Unit | None = None) -> tuple[Meaning, ...]:
    """One entry for each of PERSONS, or where the unit is a person, of events counted for it, that person's alone."""
    if unit is not None:
        return (replace(_meaning(tuple(events), delta, 1), rows=unit.rows, epsilon_micro=None),)
    return tuple(_meaning(tuple(events), delta, rows) for rows in PERSONS)


@lru_cache(maxsize=64)
def _meaning(events: tuple[PrivacyEvent, ...], delta: float, rows: int) -> Meaning:
    try:
        epsilon, loss = _gaussian(events, delta, rows) or _composed(events, delta, rows)
    except PrivacyError:  # beyond what the accountant can express: no bound is stated
        return Meaning(rows, None, 10**MICRO)
    return Meaning(rows, round_up(epsilon, MICRO), sure_micro(loss))


def _gaussian(events: tuple[PrivacyEvent, ...], delta: float, rows: int) -> tuple[float, float] | None:
    """(epsilon, loss), or None where steps are subsampled."""
    mu = gaussian_mu(events)
    if mu is None:
        return None
    left = noise_delta(events, delta, units=rows)
    return gdp_epsilon(rows * mu, left), (rows * mu) ** 2 / 2 + rows * mu * float(-ndtri(left))


def _composed(events: tuple[PrivacyEvent, ...], delta: float, rows: int) -> tuple[float, float]:
    share = delta * -math.expm1(-_TAIL)
    part = share
    while part >= _LEAST_DELTA:
        epsilon = _epsilon_of(events, part)
        if rows * epsilon > _MOST and rows > 1:
            break
        chain = math.fsum(math.exp(step * epsilon) for step in range(rows))
        if part * chain <= share:
            return rows * epsilon, rows * epsilon + _TAIL
        part = share / (2 * chain)
    raise PrivacyError(f"no bound is known for {rows} rows of one person at delta {delta:g}")


@lru_cache(maxsize=64)
def _epsilon_of(events: tuple[PrivacyEvent, ...], delta: float) -> float:
    return epsilon_of(events, delta)
