"""Which public bucket a cell falls into, whatever its column: what a private draft counts before it knows a column.

A bucket is a kind of cell and a place: numbers by sign and power of two, dates and date-times by year, times by hour.
All buckets are known beforehand, so that a count of every one of them can be released.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from provenance.table.column import MISSING_MARKS
from provenance.table.column_tally import BOOLEANS, parse_integer, parse_number
from provenance.table.datetimes import DAY_SECONDS, parse_date, parse_date_time, parse_time

MOST_BITS: Final = 50
LEAST_BITS: Final = -40
YEARS: Final = range(1800, 2200)


class Kind(StrEnum):
    """What a cell looks like by itself."""

    MISSING = "missing"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATE_TIME = "date-time"
    TEXT = "text"


class Bucket(NamedTuple):
    """A kind and a place in it; place 0 where a kind has one only.

    Place of a number: 0 for zero, otherwise the sign times (b - LEAST_BITS + 1), where 2^(b-1) <= |x| < 2^b.
    """

    kind: Kind
    place: int


_WIDTH: Final = MOST_BITS - LEAST_BITS + 1
BUCKETS: Final = (
    *(Bucket(kind, 0) for kind in (Kind.MISSING, Kind.BOOLEAN, Kind.TEXT)),
    *(Bucket(kind, place) for kind in (Kind.INTEGER, Kind.NUMBER) for place in range(-_WIDTH, _WIDTH + 1)),
    *(Bucket(kind, year) for kind in (Kind.DATE, Kind.DATE_TIME) for year in YEARS),
    *(Bucket(Kind.TIME, hour) for hour in range(24)),
)
POSITION: Final = {bucket: position for position, bucket in enumerate(BUCKETS)}


def bucket_of(cell: str) -> Bucket:
    """The bucket of a cell without outer spaces. Numbers and years beyond the last bucket count as text."""
    if cell in MISSING_MARKS:
        return Bucket(Kind.MISSING, 0)
    if cell in BOOLEANS:
        return Bucket(Kind.BOOLEAN, 0)
    integer = parse_integer(cell)
    if integer is not None:
        return Bucket(Kind.INTEGER, _place(integer.bit_length() if integer else None, integer < 0))
    number = parse_number(cell)
    if number is not None:
        bits = _bits(number) if number else None
        if bits is None or LEAST_BITS <= bits <= MOST_BITS:
            return Bucket(Kind.NUMBER, _place(bits, number < 0))
        return Bucket(Kind.TEXT, 0)
    return _datetime_bucket(cell) or Bucket(Kind.TEXT, 0)


def number_bounds(place: int) -> tuple[Decimal, Decimal]:
    """(least, most) size of the numbers of a bucket, the most being no member, signs kept."""
    if place == 0:
        return Decimal(0), Decimal(0)
    bits = abs(place) + LEAST_BITS - 1
    near, far = Decimal(2) ** (bits - 1), Decimal(2) ** bits
    return (near, far) if place > 0 else (-far, -near)


def _datetime_bucket(cell: str) -> Bucket | None:
    time = parse_time(cell)
    if time is not None:
        return Bucket(Kind.TIME, time // 3600)
    moment = parse_date_time(cell)
    if moment is None:
        return None
    kind = Kind.DATE if parse_date(cell) is not None else Kind.DATE_TIME
    bucket = Bucket(kind, int(cell[:4]))
    return bucket if bucket.place in YEARS and moment >= DAY_SECONDS else None


def _place(bits: int | None, is_negative: bool) -> int:
    if bits is None:
        return 0
    place = bits - LEAST_BITS + 1
    return -place if is_negative else place


def _bits(number: Decimal) -> int:
    """b such that 2^(b-1) <= |number| < 2^b."""
    numerator, denominator = abs(number).as_integer_ratio()
    bits = numerator.bit_length() - denominator.bit_length()
    over = numerator >= denominator << bits if bits >= 0 else numerator << -bits >= denominator
    return bits + 1 if over else bits
