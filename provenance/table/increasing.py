"""The constraint `increasing`: in every row each column is at least (strict: above) the ones before it.

The first column is stored as it is, each later one as its distance in steps to the nearest column before it
that is not missing in that row; if all of them are missing, the distance is counted from this column's own
minimum. Decoding adds the distance and goes to the nearest point within the column's bounds. Because every
column's maximum is at least (strict: above) the maximum before it, the inequality holds whatever was sampled.
Missing cells satisfy every inequality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import JsonValue
from provenance.errors import SchemaError
from provenance.table.column import Column
from provenance.table.grid import GRID_LIMIT, Grid, GridKind
from provenance.table.schema_words import flag_member, no_extra

KIND = "increasing"
Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Link:
    """A later column, in steps above the first column's minimum: its bounds; its smallest distance and how
    many distances there are."""

    low: int
    high: int
    least: int
    size: int


@dataclass(frozen=True)
class Increasing:
    """The member columns, smallest first."""

    members: tuple[Column, ...]
    strict: bool

    @classmethod
    def parse(cls, document: Mapping[str, object], columns: tuple[Column, ...], place: str) -> Increasing:
        """The constraint of a JSON object whose `columns` were looked up already. Raises SchemaError."""
        no_extra(document, {"kind", "columns", "strict"}, place)
        constraint = cls(columns, flag_member(document, "strict", place))
        constraint._check(place)
        return constraint

    @property
    def names(self) -> tuple[str, ...]:
        """The member columns."""
        return tuple(column.name for column in self.members)

    def describe(self) -> str:
        """The constraint in words."""
        return (" < " if self.strict else " <= ").join(self.names)

    def document(self) -> dict[str, JsonValue]:
        """The constraint as it stands in the canonical document."""
        return {"kind": KIND, "columns": list(self.names), "strict": self.strict}

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The stored columns: the first member, then a distance for each later one."""
        first = _grids(self.members)[0]
        # distances are whole steps: the scale of the first member serves all
        kind = GridKind.NUMBER if first.kind is GridKind.NUMBER else GridKind.INTEGER
        columns = [self.members[0]]
        for (before, column), link in zip(pairwise(self.members), self._links, strict=True):
            grid = Grid(kind, link.least * first.step, first.step, link.size, first.scale)
            name = f"{column.name} - {before.name}"
            columns.append(Column(name, grid, (), False, column.nullable, column.missing))
        return tuple(columns)

    def encode(self, cells: Sequence[Values]) -> list[Values]:
        """Stored values, int64[n] a member; a negative one breaks the inequality. cells: member values."""
        result = [cells[0]]
        last, known = self._start(cells[0])
        for column, link, own in zip(self.members[1:], self._links, cells[1:], strict=True):
            present = _present(column, own)
            position = own + link.low
            distance = position - np.where(known, last, link.low - self.strict)
            stored = np.where(distance < self.strict, -1, np.maximum(distance - link.least, 0))
            result.append(np.where(present, stored, link.size))
            last, known = np.where(present, position, last), known | present
        return result

    def decode(self, stored: Sequence[Values]) -> list[Values]:
        """Member values, int64[n] a member, of stored values: the inequality holds for all of them."""
        result = [stored[0]]
        last, known = self._start(stored[0])
        for column, link, own in zip(self.members[1:], self._links, stored[1:], strict=True):
            present = own < link.size
            base = np.where(known, last, link.low - self.strict)
            position = np.clip(base + link.least + own, link.low, link.high)
            result.append(np.where(present, position - link.low, column.grid_size))
            last, known = np.where(present, position, last), known | present
        return result

    def _start(self, first: Values) -> tuple[Values, NDArray[np.bool_]]:
        return first, _present(self.members[0], first)

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """(minimum, maximum) of each member in steps above the first one's minimum."""
        grids = _grids(self.members)
        step = Fraction(grids[0].step, 10 ** grids[0].scale)
        origin = Fraction(grids[0].origin, 10 ** grids[0].scale)
        lows = [(Fraction(grid.origin, 10**grid.scale) - origin) / step for grid in grids]
        return [(int(low), int(low) + grid.size - 1) for low, grid in zip(lows, grids, strict=True)]

    @cached_property
    def _links(self) -> list[_Link]:
        """One for each later member."""
        low, high = self._spans[0]
        all_missing = self.members[0].nullable
        result = []
        for column, (own_low, own_high) in zip(self.members[1:], self._spans[1:], strict=True):
            start = own_low - self.strict
            base_low, base_high = (min(low, start), max(high, start)) if all_missing else (low, high)
            least = max(int(self.strict), own_low - base_high)
            result.append(_Link(own_low, own_high, least, own_high - base_low - least + 1))
            all_missing = all_missing and column.nullable
            low, high = (min(low, own_low) if column.nullable else own_low), own_high
        return result

    def _check(self, place: str) -> None:
        first = self.members[0]
        for column in self.members:
            if column.grid is None:
                raise SchemaError(
                    f"{place}: column {column.name!r} has the type {column.kind}, expected numbers, dates or "
                    "times; only they have an order"
                )
            if column.kind != first.kind or _unit(column.grid) != _unit(_grids(self.members)[0]):
                raise SchemaError(
                    f"{place}: columns {first.name!r} and {column.name!r} differ in type or 'multipleOf', "
                    "expected the same; change one of them"
                )
            gap = Fraction(column.grid.origin, 10**column.grid.scale) - _origin(self.members[0])
            if gap % _unit(column.grid):
                raise SchemaError(
                    f"{place}: the minimum of {column.name!r} lies between the steps of {first.name!r}, "
                    "expected whole steps between them; move it"
                )
        for (before, column), ((_, earlier), (_, later)) in zip(
            pairwise(self.members), pairwise(self._spans), strict=True
        ):
            if later < earlier + self.strict:
                raise SchemaError(
                    f"{place}: the maximum of {column.name!r} is not {'above' if self.strict else 'at least'} "
                    f"the maximum of {before.name!r}, so a row could not satisfy both; widen {column.name!r}"
                )
        for column, link in zip(self.members[1:], self._links, strict=True):
            if link.size + column.nullable > GRID_LIMIT:
                raise SchemaError(
                    f"{place}: {column.name!r} has {link.size:,} distances, expected at most 2^32; "
                    "use a larger 'multipleOf' or narrower bounds"
                )


def _grids(columns: tuple[Column, ...]) -> list[Grid]:
    return [column.grid for column in columns if column.grid is not None]


def _unit(grid: Grid) -> Fraction:
    return Fraction(grid.step, 10**grid.scale)


def _origin(column: Column) -> Fraction:
    return Fraction(column.grid.origin, 10**column.grid.scale) if column.grid is not None else Fraction(0)


def _present(column: Column, values: Values) -> NDArray[np.bool_]:
    return values < column.grid_size
