"""Grids: value = minimum + k * multipleOf, in integers scaled by a power of ten so that nothing is
ever rounded twice.

One class serves integers (scale 0), decimals (scale = digits after the point), dates (days), times of day and
date-times (seconds; `provenance.table.datetimes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError
from provenance.table.datetimes import (
    SEPARATORS,
    date_text,
    date_time_text,
    parse_date,
    parse_date_time,
    parse_time,
    time_text,
)

GRID_LIMIT = 2**32
CATEGORY_LIMIT = 65_535
MAX_SCALE = 12
_MAX_SCALED = 2**53 - 1
_INTEGER = re.compile(r"[+-]?\d{1,17}(?:\.0+)?\Z")
_PLAIN_DECIMAL = re.compile(r"([+-]?)(\d{1,18})(?:\.(\d{0,18}))?\Z")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\Z")


class GridKind(StrEnum):
    """What the points of a grid stand for."""

    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATE_TIME = "date-time"


_DATETIMES = {GridKind.DATE: parse_date, GridKind.TIME: parse_time, GridKind.DATE_TIME: parse_date_time}
_LAYOUTS = {
    GridKind.DATE: "a date YYYY-MM-DD",
    GridKind.TIME: "a time hh:mm:ss without time zone",
    GridKind.DATE_TIME: "a date-time YYYY-MM-DDThh:mm:ss without time zone",
}


@dataclass(frozen=True, slots=True)
class Grid:
    """Points (origin + k * step) / 10^scale for k = 0 .. size - 1; only decimals have a scale above 0.

    `separator` stands between the date and the time of a date-time's text and means nothing otherwise.
    """

    kind: GridKind
    origin: int
    step: int
    size: int
    scale: int = 0
    separator: str = "T"

    @classmethod
    def parse(cls, kind: GridKind, document: Mapping[str, object], place: str) -> Grid:
        """The grid of the words `minimum`, `maximum`, `multipleOf`; SchemaError names the field."""
        low = _bound(kind, document.get("minimum"), f"{place}, field 'minimum'")
        high = _bound(kind, document.get("maximum"), f"{place}, field 'maximum'")
        step = _step(kind, document, f"{place}, field 'multipleOf'")
        separator = _separator(kind, document, place)
        scale = max(decimal_places(item) for item in (low, high, step))
        if scale > MAX_SCALE:
            raise SchemaError(f"{place}: found {scale} digits after the point, expected at most {MAX_SCALE}")
        origin, top, stride = (int(item.scaleb(scale)) for item in (low, high, step))
        if max(abs(origin), abs(top)) > _MAX_SCALED:
            raise SchemaError(f"{place}: the bounds are too large for their digits; use a coarser unit")
        if top < origin:
            raise SchemaError(
                f"{place}, field 'maximum': found {document.get('maximum')}, expected at least the minimum "
                f"{document.get('minimum')}; exchange or correct them"
            )
        if (top - origin) % stride:
            below = top - (top - origin) % stride
            grid = cls(kind, origin, stride, 1, scale, separator)
            raise SchemaError(
                f"{place}, field 'maximum': found {document.get('maximum')}, expected minimum + k * "
                f"multipleOf; use {grid.text_of_scaled(below)} or {grid.text_of_scaled(below + stride)}"
            )
        return cls(kind, origin, stride, (top - origin) // stride + 1, scale, separator)

    def text(self, index: int) -> str:
        """The cell text of grid point `index`: an integer, a decimal with at least one digit after the point
        and no further trailing zeros, or an ISO date, time or date-time."""
        text = self.text_of_scaled(self.origin + index * self.step)
        return text + ".0" if self.kind is GridKind.NUMBER and "." not in text else text

    def text_of_scaled(self, scaled: int) -> str:
        """The schema's text of the value scaled / 10^scale."""
        if self.kind is GridKind.DATE:
            return date_text(scaled)
        if self.kind is GridKind.TIME:
            return time_text(scaled)
        if self.kind is GridKind.DATE_TIME:
            return date_time_text(scaled, self.separator)
        if self.scale == 0:
            return str(scaled)
        return canonical_decimal(Decimal(scaled).scaleb(-self.scale))

    def index(self, cell: str) -> int:
        """The grid point of cell text. Numbers round to the nearest point (ties to even), all else must lie
        on the grid. Raises TableError saying what was expected."""
        exact = self._exact(cell)
        if exact is not None:
            index, rest = divmod(exact - self.origin, self.step)
            if rest and self.kind is GridKind.NUMBER:
                index += 2 * rest > self.step or (2 * rest == self.step and index % 2)
                rest = 0
        else:
            steps = self.steps_from_origin(cell)
            index, rest = round(steps), steps.denominator - 1 if self.kind is not GridKind.NUMBER else 0
        if rest or not 0 <= index < self.size:
            raise TableError(f"expected {self.describe()}")
        return index

    def clipped_index(self, cell: str) -> int:
        """As `index`, but a value outside the bounds or between points goes to the nearest point."""
        return min(max(round(self.steps_from_origin(cell)), 0), self.size - 1)

    def steps_from_origin(self, cell: str) -> Fraction:
        """How many steps above the minimum the value in `cell` lies, anywhere on the line. TableError if it
        is no value of this kind."""
        return (Fraction(self._scaled(cell)) - self.origin) / self.step

    def describe(self) -> str:
        """The grid in words, for error messages."""
        low, high = self._text_of_bounds()
        if self.kind in _LAYOUTS:
            unit = "days" if self.kind is GridKind.DATE else "seconds"
            every = f" every {self.step} {unit}" if self.step != 1 else ""
            return f"{_LAYOUTS[self.kind]} from {low} to {high}{every}"
        step = canonical_decimal(Decimal(self.step).scaleb(-self.scale))
        kind = "an integer" if self.kind is GridKind.INTEGER else "a number"
        return f"{kind} from {low} to {high} in steps of {step}"

    def document(self) -> dict[str, JsonValue]:
        """The schema words of this grid."""
        low, high = self._text_of_bounds()
        if self.kind is GridKind.INTEGER:
            return {"type": "integer", "minimum": int(low), "maximum": int(high), "multipleOf": self.step}
        if self.kind is GridKind.NUMBER:
            step = canonical_decimal(Decimal(self.step).scaleb(-self.scale))
            return {"type": "number", "minimum": low, "maximum": high, "multipleOf": step}
        words: dict[str, JsonValue] = {"type": "string", "format": self.kind.value}
        if self.kind is GridKind.DATE_TIME:
            words["separator"] = self.separator
        return words | {"minimum": low, "maximum": high, "multipleOf": self.step}

    def _text_of_bounds(self) -> tuple[str, str]:
        last = self.origin + (self.size - 1) * self.step
        return self.text_of_scaled(self.origin), self.text_of_scaled(last)

    def _exact(self, cell: str) -> int | None:
        """The scaled value if it is a whole number and quick to read, else None."""
        parse = _DATETIMES.get(self.kind)
        if parse is not None:
            return parse(cell)
        if self.kind is GridKind.INTEGER:
            return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 18 else None
        found = _PLAIN_DECIMAL.match(cell)
        digits = (found[3] or "").rstrip("0") if found else ""
        if found is None or len(digits) > self.scale:
            return None
        scaled = int(found[2] + digits.ljust(self.scale, "0"))
        return -scaled if found[1] == "-" else scaled

    def _scaled(self, cell: str) -> Decimal:
        parse = _DATETIMES.get(self.kind)
        if parse is not None:
            found = parse(cell)
            if found is None:
                raise TableError(f"expected {self.describe()}")
            return Decimal(found)
        pattern = _INTEGER if self.kind is GridKind.INTEGER else _DECIMAL
        if not pattern.match(cell):
            raise TableError(f"expected {self.describe()}")
        value = Decimal(cell)
        if value and value.adjusted() > 30:
            raise TableError(f"expected {self.describe()}")
        return value.scaleb(self.scale)


def canonical_decimal(value: Decimal) -> str:
    """Decimal text without exponent, trailing zeros or a negative zero: `0`, `-1.5`, `100`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def decimal_places(value: Decimal) -> int:
    """Digits after the point that `value` needs."""
    text = canonical_decimal(value)
    return len(text) - text.index(".") - 1 if "." in text else 0


def parse_decimal(cell: str) -> Decimal | None:
    """The finite decimal written in `cell` (exponents allowed, below 10^30), or None."""
    if not _DECIMAL.match(cell):
        return None
    value = Decimal(cell)
    return None if value and not -60 < value.adjusted() < 30 else value


def _bound(kind: GridKind, value: object, place: str) -> Decimal:
    parse = _DATETIMES.get(kind)
    if parse is None:
        return _number(value, kind is GridKind.INTEGER, place)
    found = parse(value) if isinstance(value, str) else None
    if found is None:
        raise SchemaError(f"{place}: found {value!r}, expected {_LAYOUTS[kind]} in quotes")
    return Decimal(found)


def _separator(kind: GridKind, document: Mapping[str, object], place: str) -> str:
    found = document.get("separator", "T")
    if kind is GridKind.DATE_TIME and found not in SEPARATORS:
        raise SchemaError(f"{place}, field 'separator': found {found!r}, expected \"T\" or a space")
    return str(found)


def _step(kind: GridKind, document: Mapping[str, object], place: str) -> Decimal:
    if "multipleOf" not in document and kind is not GridKind.NUMBER:
        return Decimal(1)
    step = _number(document.get("multipleOf"), kind is not GridKind.NUMBER, place)
    if step <= 0:
        raise SchemaError(f"{place}: found {document.get('multipleOf')}, expected a number above 0")
    return step


def _number(value: object, integral: bool, place: str) -> Decimal:
    expected = "an integer" if integral else 'a number, best as text like "0.01"'
    number: Decimal | None = None
    if isinstance(value, Decimal | int | float) and not isinstance(value, bool):
        try:
            number = parse_decimal(str(value))
        except InvalidOperation:
            number = None
    elif isinstance(value, str) and not integral:
        number = parse_decimal(value)
    if number is None or (integral and number != number.to_integral_value()):
        raise SchemaError(f"{place}: found {value!r}, expected {expected}")
    return number
