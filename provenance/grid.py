"""Grids: value = minimum + k * multipleOf, in integers scaled by a power of ten so that nothing is ever
rounded twice.
 One class serves integers (scale 0), decimals (scale = digits after the point) and dates (days since
0001-01-01).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError

GRID_LIMIT = 2**32
CATEGORY_LIMIT = 65_535
MAX_SCALE = 12
_MAX_SCALED = 2**53 - 1
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_INTEGER = re.compile(r"[+-]?\d{1,17}(?:\.0+)?\Z")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\Z")


class GridKind(StrEnum):
    """What the points of a grid stand for."""

    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Grid:
    """Points (origin + k * step) / 10^scale for k = 0 .. size - 1. Integers and dates have scale 0."""

    kind: GridKind
    origin: int
    step: int
    size: int
    scale: int = 0

    @classmethod
    def parse(cls, kind: GridKind, document: Mapping[str, object], place: str) -> Grid:
        """The grid of the words `minimum`, `maximum`, `multipleOf`; SchemaError names the field."""
        low = _bound(kind, document.get("minimum"), f"{place}, field 'minimum'")
        high = _bound(kind, document.get("maximum"), f"{place}, field 'maximum'")
        step = _step(kind, document, f"{place}, field 'multipleOf'")
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
            grid = cls(kind, origin, stride, 1, scale)
            raise SchemaError(
                f"{place}, field 'maximum': found {document.get('maximum')}, expected minimum + k * "
                f"multipleOf; use {grid.text_of_scaled(below)} or {grid.text_of_scaled(below + stride)}"
            )
        return cls(kind, origin, stride, (top - origin) // stride + 1, scale)

    def text(self, index: int) -> str:
        """The cell text of grid point `index`: a decimal without trailing zeros, or an ISO date."""
        return self.text_of_scaled(self.origin + index * self.step)

    def text_of_scaled(self, scaled: int) -> str:
        """The cell text of the value scaled / 10^scale."""
        if self.kind is GridKind.DATE:
            try:
                return datetime.date.fromordinal(scaled).isoformat()
            except (ValueError, OverflowError):
                return f"day {scaled}"
        if self.scale == 0:
            return str(scaled)
        return canonical_decimal(Decimal(scaled).scaleb(-self.scale))

    def index(self, cell: str) -> int:
        """The grid point of cell text. Numbers round to the nearest point (ties to even), integers and dates
        must lie on the grid. Raises TableError saying what was expected."""
        scaled = self._scaled(cell)
        if self.kind is GridKind.NUMBER:
            index = int(((scaled - self.origin) / self.step).to_integral_value())
            on_grid = True
        else:
            index, rest = divmod(int(scaled) - self.origin, self.step)
            on_grid = rest == 0
        if not on_grid or not 0 <= index < self.size:
            raise TableError(f"expected {self.describe()}")
        return index

    def clipped_index(self, cell: str) -> int:
        """As `index`, but a value outside the bounds or between points goes to the nearest point."""
        scaled = self._scaled(cell)
        nearest = int(((scaled - self.origin) / self.step).to_integral_value())
        return min(max(nearest, 0), self.size - 1)

    def describe(self) -> str:
        """The grid in words, for error messages."""
        low, high = self.text(0), self.text(self.size - 1)
        if self.kind is GridKind.DATE:
            every = f" every {self.step} days" if self.step != 1 else ""
            return f"a date YYYY-MM-DD from {low} to {high}{every}"
        step = canonical_decimal(Decimal(self.step).scaleb(-self.scale))
        kind = "an integer" if self.kind is GridKind.INTEGER else "a number"
        return f"{kind} from {low} to {high} in steps of {step}"

    def document(self) -> dict[str, JsonValue]:
        """The schema words of this grid."""
        low, high = self.text(0), self.text(self.size - 1)
        if self.kind is GridKind.INTEGER:
            return {"type": "integer", "minimum": int(low), "maximum": int(high), "multipleOf": self.step}
        if self.kind is GridKind.DATE:
            return {
                "type": "string",
                "format": "date",
                "minimum": low,
                "maximum": high,
                "multipleOf": self.step,
            }
        step = canonical_decimal(Decimal(self.step).scaleb(-self.scale))
        return {"type": "number", "minimum": low, "maximum": high, "multipleOf": step}

    def _scaled(self, cell: str) -> Decimal:
        if self.kind is GridKind.DATE:
            day = parse_date(cell)
            if day is None:
                raise TableError(f"expected {self.describe()}")
            return Decimal(day)
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


def parse_date(cell: str) -> int | None:
    """Days since 0001-01-01 (that day is 1) of YYYY-MM-DD text, or None."""
    if not _DATE.match(cell):
        return None
    try:
        return datetime.date.fromisoformat(cell).toordinal()
    except ValueError:
        return None


def parse_decimal(cell: str) -> Decimal | None:
    """The finite decimal written in `cell` (exponents allowed, below 10^30), or None."""
    if not _DECIMAL.match(cell):
        return None
    value = Decimal(cell)
    return None if value and not -60 < value.adjusted() < 30 else value


def _bound(kind: GridKind, value: object, place: str) -> Decimal:
    if kind is GridKind.DATE:
        day = parse_date(value) if isinstance(value, str) else None
        if day is None:
            raise SchemaError(f'{place}: found {value!r}, expected a date "YYYY-MM-DD"')
        return Decimal(day)
    return _number(value, kind is GridKind.INTEGER, place)


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
