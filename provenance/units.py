"""Units: signed terms count small units and seconds in whole numbers, people write decimals and dates.

One rule for everybody:

- What somebody writes is read exactly (`parse_fixed`). A decimal finer than its unit is refused, for a rounded figure
  is not the one that was asked for and signed.
- What was spent and is computed in floating point is rounded up (`round_up`): nobody claims less than it spent.
- What is permitted and given as a floating-point number is rounded down (`round_down`): nobody allows more than was
  meant.
- What was measured, such as a score, goes to the nearest unit (`nearest`): it is an estimate, no limit.
- What is paid or divided in whole units is rounded down, in the payer's favour.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from provenance.errors import ValueFormatError

MICRO: Final = 6
"""Decimal places of epsilon, scores and fractions: members called `…Micro`."""
E12: Final = 12
"""Decimal places of delta: members called `…E12`."""
BASIS_POINTS: Final = 4
"""Decimal places of shares and fees: members called `…Bps`."""
TOKEN: Final = 18
"""Decimal places of token amounts, unless the token says otherwise: wei."""
WHOLE_MICRO: Final = 10**MICRO
WHOLE_BPS: Final = 10**BASIS_POINTS
ONE_TOKEN: Final = 10**TOKEN
_DURATIONS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MOST_DIGITS = 78  # 2**256 has so many
_MOST_CHARACTERS = 200
_DECIMAL = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_HAIR = 1e-3  # part of a unit that floating-point error may make up: 2.0000000000000004 is 2, not 2.000001


def exact_decimal(text: str) -> Decimal:
    """The decimal that somebody wrote: digits, one point, an exponent, nothing else. Raises ValueFormatError.

    `Decimal` itself reads "1_5" and the digits of every script too: a slip of the finger would become another amount.
    """
    value = Decimal(text) if len(text) <= _MOST_CHARACTERS and _DECIMAL.fullmatch(text) else None
    if value is None or value.adjusted() > _MOST_DIGITS:
        raise ValueFormatError(f"found {text!r:.80}, expected a decimal of at least 0 such as 12.5")
    return value


def parse_fixed(text: str, places: int) -> int:
    """The decimal `text` in units of 10**-places. Raises ValueFormatError unless it is a non-negative multiple."""
    value = exact_decimal(text)
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # only infinities and NaN have a letter there
    shift: int = exponent + places
    up: int = 10 ** max(shift, 0)
    down: int = 10 ** min(max(-shift, 0), len(digits))
    amount, rest = divmod(int("".join(map(str, digits))) * up, down)
    if rest:
        raise ValueFormatError(f"found {text!r:.80}, expected at most {places} decimal places")
    return amount


def format_fixed(amount: int, places: int) -> str:
    """What `parse_fixed` reads, without trailing zeros: (2_500_000, MICRO) is "2.5"."""
    whole, part = divmod(abs(amount), 10**places)
    text = f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".") if places else str(whole)
    return f"-{text}" if amount < 0 else text


def grouped(amount: int, places: int) -> str:
    """As `format_fixed`, the thousands apart: "1,234.5"."""
    whole, point, part = format_fixed(amount, places).partition(".")
    return f"{int(whole):,}{point}{part}" if whole != "-0" else f"-0{point}{part}"


@dataclass(frozen=True, slots=True)
class TokenUnit:
    """How people read and write amounts of a market's token. Signed terms, documents and contracts count its smallest
    unit, 10**-decimals of a token, which is called wei whatever the decimals are."""

    decimals: int = TOKEN
    symbol: str = ""
    """Empty: amounts are in "tokens"."""

    @property
    def one(self) -> int:
        """One token in wei."""
        factor: int = 10**self.decimals
        return factor

    def shown(self, wei: int) -> str:
        """An amount for people: "1,234.5 USDC", "1 token"."""
        name = self.symbol or ("token" if wei == self.one else "tokens")
        return f"{grouped(wei, self.decimals)} {name}"

    def plain(self, wei: int) -> str:
        """What `parse` reads: "1234.5"."""
        return format_fixed(wei, self.decimals)

    def parse(self, text: str) -> int:
        """The wei in a decimal that somebody wrote. Raises ValueFormatError, for a finer figure too."""
        return parse_fixed(text, self.decimals)


TOKENS: Final = TokenUnit()
"""Amounts of a token with 18 decimals whose name does not matter."""


def to_float(amount: int, places: int) -> float:
    """The number that an amount stands for, for calculations: (2_500_000, MICRO) is 2.5."""
    return amount / _unit(places)


def round_up(value: float, places: int) -> int:
    """What was spent, in units of 10**-places; an error of the last digits is not rounded up."""
    return math.ceil(value * _unit(places) - _HAIR)


def round_down(value: float, places: int) -> int:
    """What is permitted, in units of 10**-places; an error of the last digits is not rounded down."""
    return math.floor(value * _unit(places) + _HAIR)


def nearest(value: float, places: int) -> int:
    """What was measured, in units of 10**-places."""
    return round(value * _unit(places))


def percent(amount: int, places: int) -> str:
    """A fraction in units of 10**-places as "7.5 %"."""
    return f"{format_fixed(amount, places - 2)} %"


def utc_time(seconds: int) -> str:
    """Unix seconds as "2026-11-29 07:30:00 UTC"; a number that no calendar holds stays a number."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds} seconds after 1970"


def duration(seconds: float) -> str:
    """A length of time in its largest unit that fits twice, or once exactly: "6 days", "90 minutes", "1 second"."""
    whole = round(abs(seconds))
    size, name = next(
        (size, name) for size, name in _DURATIONS if whole >= 2 * size or whole == size or size == 1
    )
    count = round(whole / size)
    return f"{count} {name}{'' if count == 1 else 's'}"


def local_time(at: int, now: int) -> str:
    """Chain time `at`, seen from chain time `now`, for a terminal: the local date, "2026-12-05 14:03 (in 6 days)"."""
    try:
        local = f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):
        return f"a time beyond the calendar (chain time {at})"
    return f"{local} (in {duration(at - now)})" if at > now else f"{local} ({duration(now - at)} ago)"


def _unit(places: int) -> int:
    factor: int = 10**places
    return factor
