"""Bounds of a draft schema that are no single row's value.

The outermost values of a column are kept with how often they came. The bound is the value of the k-th outermost row
if at least k rows hold it. Otherwise it is the next round number outside of it that nobody or at least k rows hold.
Zero is never passed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, TypeVar

N = TypeVar("N", int, Decimal)


@dataclass(slots=True)
class Tails(Generic[N]):
    """The `keep` lowest and highest values that cells stand for, each as often as it came; from the ends inwards."""

    parse: Callable[[str], N | None]
    keep: int
    low: list[N] = field(default_factory=list)
    high: list[N] = field(default_factory=list)

    def see(self, cells: Mapping[str, int]) -> None:
        """Take cells in with their numbers."""
        known = [(value, count) for cell, count in cells.items() if (value := self.parse(cell)) is not None]
        repeated: list[N] = [value for value, count in known for _ in range(min(count, self.keep))]
        self.low = heapq.nsmallest(self.keep, self.low + repeated)
        self.high = heapq.nlargest(self.keep, self.high + repeated)


def outer_bounds(
    low: Sequence[int], high: Sequence[int], least: int, steps: Sequence[int]
) -> tuple[int, int]:
    """(minimum, maximum) of which each is held by at least `least` rows or by none.

    low, high: the 2 * least - 1 outermost values of rows from either end inwards, or all of fewer. steps: what may be
    rounded to, rising; the coarsest that is at most a hundredth of the range.
    """
    inside = high[least - 1] - low[least - 1]
    unit = max((step for step in steps if 100 * step <= inside), default=steps[0])
    return _bound(low, least, -unit), _bound(high, least, unit)


def _bound(outermost: Sequence[int], least: int, unit: int) -> int:
    point = outermost[least - 1]
    if outermost.count(point) >= least:
        return point
    found = -(-point // unit) * unit  # up for a unit above 0, down below
    while 0 < outermost.count(found) < least:
        found += unit
    return found if (found < 0) == (point < 0) else 0
