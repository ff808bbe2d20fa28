"""Dates, times of day and date-times as whole numbers, and back to text.

A date is a number of days, 0001-01-01 being 1; a time is seconds since midnight; a date-time is the seconds of
both. ISO 8601 text only, no time zones: what a zone means depends on more than the cell. Seconds may be left
out of a cell; a fraction of a second is cut off.
"""

from __future__ import annotations

import datetime
import re

DAY_SECONDS = 86_400
SEPARATORS = ("T", " ")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d{1,12})?)?\Z")
_ZONE = re.compile(
    r"(?:\d{4}-\d{2}-\d{2}[T ])?\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)\Z"
)


def parse_date(cell: str) -> int | None:
    """Days of YYYY-MM-DD text (0001-01-01 is 1), or None."""
    if not _DATE.match(cell):
        return None
    try:
        return datetime.date.fromisoformat(cell).toordinal()
    except ValueError:
        return None


def parse_time(cell: str) -> int | None:
    """Seconds since midnight of hh:mm or hh:mm:ss text, or None."""
    found = _TIME.match(cell)
    if found is None:
        return None
    hours, minutes, seconds = found.groups(default="0")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)


def parse_date_time(cell: str) -> int | None:
    """Seconds of a date, `T` or a space, and a time (86,400 a day of `parse_date`), or None. A date alone
    is its midnight."""
    day = parse_date(cell[:10])
    if day is None or len(cell) == 10:
        return None if day is None else day * DAY_SECONDS
    second = parse_time(cell[11:]) if cell[10] in SEPARATORS else None
    return None if second is None else day * DAY_SECONDS + second


def has_zone(cell: str) -> bool:
    """Whether `cell` is a time or date-time with a time zone."""
    return _ZONE.match(cell) is not None


def date_text(days: int) -> str:
    """The ISO date; `day N` for a number that is none."""
    try:
        return datetime.date.fromordinal(days).isoformat()
    except (ValueError, OverflowError):
        return f"day {days}"


def time_text(seconds: int) -> str:
    """hh:mm:ss of seconds since midnight."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def date_time_text(seconds: int, separator: str) -> str:
    """Date, separator and time of the seconds of a date-time."""
    days, second = divmod(seconds, DAY_SECONDS)
    return f"{date_text(days)}{separator}{time_text(second)}"
