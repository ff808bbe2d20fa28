"""The standard normal distribution to eighty digits: what the sampler asks where a double cannot decide.

tail(z) is 1/2 less the series of Marsaglia 2004 (J. Stat. Softw. 11(4)), whose terms are all positive; 120 digits are
carried, so that 1e-56, the least that is asked for, keeps more than sixty. A call takes some tenths of a millisecond.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Final

from scipy.special import ndtri

_CONTEXT: Final = Context(prec=120, Emin=-(10**6), Emax=10**6)
_PI: Final = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651"
)
_CLOSE: Final = Decimal(10) ** -55
_NEGLIGIBLE: Final = Decimal(10) ** -115
_NEWTON_STEPS: Final = 6
_HALF: Final = Decimal("0.5")


def tail(z: Decimal) -> Decimal:
    """P(N(0, 1) > z) for z of 0 to 20."""
    with localcontext(_CONTEXT):
        term = total = z
        divisor = 1
        while term > _NEGLIGIBLE * total:
            divisor += 2
            term = term * z * z / divisor
            total += term
        return _HALF - density(z) * total


def density(z: Decimal) -> Decimal:
    """The density of N(0, 1) at z."""
    with localcontext(_CONTEXT):
        return (-z * z / 2).exp() / (2 * _PI).sqrt()


def quantile_of_tail(probability: Decimal) -> Decimal:
    """The z with tail(z) = `probability`, of 1e-70 to 1/2, by Newton's method from a double."""
    with localcontext(_CONTEXT):
        z = Decimal(max(0.0, -float(ndtri(float(probability)))))
        for _ in range(_NEWTON_STEPS):
            change = (tail(z) - probability) / density(z)
            z += change
            if abs(change) < _CLOSE:
                break
        return max(z, Decimal(0))
