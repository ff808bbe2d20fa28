"""What one pass over a column's cells keeps: enough to name the column's type, in bounded memory.

Different cells are counted until there are too many for categories; after that only each type's own summary goes on
(bounds, digits, common step), so a column of ten million numbers costs no more than one of a hundred thousand.
Missing marks are counted apart. A column counts as "all different" if no cell came twice among those counted. The
outermost numbers are kept with their counts in any case (`provenance.table.bounds`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from provenance.table.bounds import N, Tails
from provenance.table.column import MISSING_MARKS
from provenance.table.datetimes import has_zone
from provenance.table.grid import CATEGORY_LIMIT, decimal_places, parse_decimal

COUNTED_CELLS = 2 * CATEGORY_LIMIT
BOOLEANS = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,14})\Z")
_CODE = re.compile(r"[+-]?0\d")
_SHAPE = dict.fromkeys(range(ord("0"), ord("9") + 1), "#") | dict.fromkeys(range(ord("A"), ord("Z") + 1), "@")


class Summary(Protocol):
    """What one type keeps of the cells it has seen."""

    def see(self, cells: Iterable[str]) -> bool:
        """Take cells in; False once a cell is not of this type."""


@dataclass(slots=True)
class BooleanSummary:
    """Cells that are true or false, as pandas reads them."""

    def see(self, cells: Iterable[str]) -> bool:
        return BOOLEANS.issuperset(cells)


@dataclass(slots=True)
class PointSummary:
    """Cells that `parse` reads as integers: their bounds, and the step that all of them lie on."""

    parse: Callable[[str], int | None]
    low: int = 0
    high: int = -1
    step: int = 0

    def see(self, cells: Iterable[str]) -> bool:
        points = [self.parse(cell) for cell in cells]
        known = [point for point in points if point is not None]
        if len(known) != len(points):
            return False
        if known:
            first = known[0] if self.high < self.low else self.low
            self.step = math.gcd(self.step, *(point - first for point in known))
            self.low, self.high = (
                min(first, *known),
                max(known[0] if self.high < self.low else self.high, *known),
            )
        return True


@dataclass(slots=True)
class NumberSummary:
    """Cells that are decimals: bounds and digits after the point."""

    low: Decimal | None = None
    high: Decimal | None = None
    places: int = 0

    def see(self, cells: Iterable[str]) -> bool:
        for cell in cells:
            number = parse_number(cell)
            if number is None:
                return False
            self.low = number if self.low is None or number < self.low else self.low
            self.high = number if self.high is None or number > self.high else self.high
            self.places = max(self.places, decimal_places(number))
        return True


@dataclass(slots=True)
class ZoneSummary:
    """Cells that are times or date-times with a time zone."""

    def see(self, cells: Iterable[str]) -> bool:
        return all(map(has_zone, cells))


@dataclass(slots=True)
class KeySummary:
    """Cells of one shape of digits and capital letters, all else equal in all of them."""

    shape: str | None = None
    prefix: str = ""

    def see(self, cells: Iterable[str]) -> bool:
        for cell in cells:
            shape = cell.translate(_SHAPE)
            if self.shape is None:
                self.shape, self.prefix = shape, cell
            if shape != self.shape or "#" in cell or "@" in cell:
                return False
            while not cell.startswith(self.prefix):
                self.prefix = self.prefix[:-1]
        return True

    @property
    def pattern(self) -> str:
        """The key pattern of the cells: capital letters that begin all of them stay as they are."""
        shape = self.shape or ""
        start = "".join(
            own if mark == "@" else mark for own, mark in zip(self.prefix, shape, strict=False)
        )  # fmt: skip
        return start + shape[len(start) :]


def parse_integer(cell: str) -> int | None:
    """The integer of up to 15 digits in `cell`, a sign allowed, leading zeros not, or None."""
    return int(cell) if _INTEGER.match(cell) else None


def parse_number(cell: str) -> Decimal | None:
    """The decimal in `cell`, codes like `007` left out, or None."""
    return None if _CODE.match(cell) else parse_decimal(cell)


@dataclass(slots=True)
class ColumnTally:
    """One column while its cells go by. `summaries` holds those types that every cell so far is of.

    least: how many rows must hold a value that is to be shown; so many outermost rows are known that its bounds are.
    """

    name: str
    summaries: dict[str, Summary]
    least: int = 1
    rows: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    separator: str = "T"
    all_different: bool = True
    counts_up_from: int | None = None
    _points: dict[str, Tails[int]] = field(default_factory=dict)
    _numbers: Tails[Decimal] | None = None

    def see(self, cells: Sequence[str]) -> None:
        """Take the next cells in, in the table's order."""
        self._follow(cells)
        found: Counter[str] = Counter()
        for cell, count in Counter(cells).items():
            found[cell.strip()] += count
        self.rows += len(cells)
        for mark in MISSING_MARKS:
            if mark in found:
                self.marks[mark] += found.pop(mark)
        fresh: Iterable[str] = found
        if self.counts is not None:
            fresh = [cell for cell in found if cell not in self.counts]
            self.all_different &= len(fresh) == len(found) == found.total()
            self.counts.update(found)
            if len(self.counts) > COUNTED_CELLS:
                self._follow_tails(self.counts)
                self.counts = None
        else:
            for each in self._tails():
                each.see(found)
        fresh = list(fresh)
        self.summaries = {kind: each for kind, each in self.summaries.items() if each.see(fresh)}
        if "date-time" in self.summaries:
            self.separator = next((cell[10] for cell in fresh if len(cell) > 10), self.separator)

    @property
    def different(self) -> int:
        """Different cells, missing ones left out; more than can be categories if not counted to the end."""
        return COUNTED_CELLS + 1 if self.counts is None else len(self.counts)

    @property
    def missing(self) -> str:
        """The most frequent missing mark."""
        return max(self.marks, key=lambda mark: self.marks[mark]) if self.marks else ""

    def points(self, kind: str, summary: PointSummary) -> Tails[int]:
        """The outermost values of integers, dates or times."""
        return self._seen(Tails(summary.parse, 2 * self.least - 1), self._points.get(kind))

    def numbers(self) -> Tails[Decimal]:
        """The outermost values of decimals."""
        return self._seen(Tails(parse_number, 2 * self.least - 1), self._numbers)

    def _seen(self, fresh: Tails[N], followed: Tails[N] | None) -> Tails[N]:
        if self.counts is not None:
            fresh.see(self.counts)
            return fresh
        return fresh if followed is None else followed

    def _follow_tails(self, counts: Counter[str]) -> None:
        """From now on cells are not counted, and the outermost of every type that is left are followed."""
        for kind, summary in self.summaries.items():
            if isinstance(summary, PointSummary):
                self._points[kind] = Tails(summary.parse, 2 * self.least - 1)
            elif isinstance(summary, NumberSummary):
                self._numbers = Tails(parse_number, 2 * self.least - 1)
        for each in self._tails():
            each.see(counts)

    def _tails(self) -> list[Tails[int] | Tails[Decimal]]:
        return [*self._points.values(), *([] if self._numbers is None else [self._numbers])]

    def _follow(self, cells: Sequence[str]) -> None:
        """Notes whether the cells are 0, 1, 2, ... or 1, 2, 3, ... in the table's order."""
        if not self.rows and cells and cells[0].strip() in ("0", "1"):
            self.counts_up_from = int(cells[0])
        if self.counts_up_from is not None:
            start = self.counts_up_from + self.rows
            if list(map(str, range(start, start + len(cells)))) != [cell.strip() for cell in cells]:
                self.counts_up_from = None
