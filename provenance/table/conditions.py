"""Conditions documents `tessera-conditions/1`: which values the rows of one request may take, and how many rows
each condition gets.

An ordered list of segments, each a number of rows and allowed index ranges of some columns. Row numbers are
spread over the segments by a stride, so that any stretch of rows (a shard, a part of a file) holds each segment
in proportion; every segment gets exactly its rows. A document has one spelling. Normative text:
docs/spec/conditions.md. Drawing rows: `provenance.exact.conditional`; texts to ranges: `conditions_text`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import JsonValue, encode
from provenance.document import Reader
from provenance.errors import ConditionError, RowRangeError
from provenance.table.column import Column, cell_text
from provenance.table.schema import Schema
from provenance.values import Digest, sha256

FORMAT: Final = "tessera-conditions/1"
MAX_SEGMENTS: Final = 4096
MAX_RANGES: Final = 65_536
MAX_ROWS: Final = 2**32
_SPREAD: Final = 40_503
"""Of 65,536: the golden section, whose multiples fall evenly."""

_SHOWN: Final = 6

Ranges = tuple[tuple[int, int], ...]
"""Inclusive (low, high) pairs of schema indices, ascending, with a gap between any two."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`rows` rows whose column `c` takes only values inside allowed[c], for every c named."""

    rows: int
    allowed: Mapping[int, Ranges] = field(default_factory=dict)


@dataclass(frozen=True)
class Conditions:
    """What is asked of the rows 0 .. rows - 1 of one request on tables of `schema`.

    Raises ConditionError if a range is empty, out of order or outside its column, or restricts nothing.
    """

    schema: Schema
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.segments) <= MAX_SEGMENTS:
            raise ConditionError(
                f"conditions: found {len(self.segments)} segments, expected 1 to {MAX_SEGMENTS:,}"
            )
        if any(segment.rows < 1 for segment in self.segments) or self.rows > MAX_ROWS:
            raise ConditionError(
                f"conditions: found segments of {[segment.rows for segment in self.segments][:8]} rows, expected "
                f"at least 1 each and at most {MAX_ROWS:,} together"
            )
        for number, segment in enumerate(self.segments):
            for column, ranges in segment.allowed.items():
                _check_ranges(self.schema, column, ranges, f"conditions, segment {number}")

    @property
    def rows(self) -> int:
        """Rows of all segments."""
        return sum(segment.rows for segment in self.segments)

    @property
    def is_free(self) -> bool:
        """Whether no segment restricts anything."""
        return not any(segment.allowed for segment in self.segments)

    def document(self) -> dict[str, JsonValue]:
        """The canonical document; `parse` reads it back."""
        names = self.schema.column_names
        return {
            "format": FORMAT,
            "schema": str(self.schema.digest),
            "segments": [
                {
                    "rows": segment.rows,
                    "where": [
                        {"column": names[column], "ranges": [list(pair) for pair in segment.allowed[column]]}
                        for column in sorted(segment.allowed)
                    ],
                }
                for segment in self.segments
            ],
        }

    def encode(self) -> bytes:
        """The document's canonical bytes."""
        return encode(self.document())

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes."""
        return sha256(self.encode())

    @classmethod
    def parse(cls, document: object, schema: Schema, where: str = "conditions") -> Conditions:
        """Reads `document()` back. Raises DocumentError, or ConditionError also for another schema."""
        reader = Reader(document, where, ("format", "schema", "segments"))
        reader.constant("format", FORMAT)
        if reader.digest("schema") != schema.digest:
            raise ConditionError(
                f"{where}: made for schema {reader.digest('schema')}, the rows' schema is {schema.digest}; "
                "state the conditions again for this model"
            )
        positions = {name: position for position, name in enumerate(schema.column_names)}
        segments = tuple(
            _read_segment(entry, positions, f"{where}.segments[{number}]")
            for number, entry in enumerate(reader.array("segments"))
        )
        return cls(schema, segments)

    def describe(self, segment: int) -> str:
        """The conditions of one segment in the words of the table, for people."""
        parts = []
        for column, ranges in sorted(self.segments[segment].allowed.items()):
            texts = _texts(self.schema.columns[column], ranges)
            more = [f"{len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
            parts.append(f"{self.schema.columns[column].name}={'|'.join(texts[:_SHOWN] + more)}")
        return " and ".join(parts) or "no condition"

    def segment_of(self, rows: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Index of the segment of each row number uint64[n]. Raises RowRangeError beyond the last row."""
        total = np.uint64(self.rows)
        if len(rows) and rows.max() >= total:
            raise RowRangeError(
                f"row {int(rows.max())}: the conditions are about rows 0 to {int(total) - 1}; ask for fewer rows"
            )
        # stride and row number are below 2^32, so the product does not wrap
        places = rows * np.uint64(self._stride) % total
        return np.searchsorted(self._ends, places, side="right")

    @cached_property
    def _stride(self) -> int:
        stride = max(1, self.rows * _SPREAD // 65_536)
        while math.gcd(stride, self.rows) != 1:
            stride += 1
        return stride

    @cached_property
    def _ends(self) -> NDArray[np.uint64]:
        return np.cumsum([segment.rows for segment in self.segments], dtype=np.uint64)


@dataclass(frozen=True)
class RowConditions:
    """The conditions on a run of rows whose row 0 is row `first_row` of the request, as on a shard."""

    conditions: Conditions
    first_row: int = 0

    def segment_of(self, rows: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Index of the segment of each row number of the run uint64[n]."""
        return self.conditions.segment_of(rows + np.uint64(self.first_row))


def merged(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """The same values as ascending ranges with gaps between them."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def _texts(column: Column, ranges: Ranges) -> list[str]:
    """Ranges of numbers as `low..high`, anything else a value at a time."""
    if column.grid is None:
        return [cell_text(column, value) for low, high in ranges for value in range(low, high + 1)]
    texts = []
    for low, high in ranges:
        # the missing value stands beside the largest number and is none
        last = high - (high == column.missing_index)
        if low <= last:
            texts.append(
                cell_text(column, low)
                if low == last
                else f"{cell_text(column, low)}..{cell_text(column, last)}"
            )
        texts += [cell_text(column, high)] if high != last else []
    return texts


def _check_ranges(schema: Schema, column: int, ranges: Ranges, where: str) -> None:
    if not 0 <= column < len(schema.columns):
        raise ConditionError(f"{where}: found column {column}, expected 0 to {len(schema.columns) - 1}")
    cardinality = schema.columns[column].cardinality
    where = f"{where}, column {schema.columns[column].name!r}"
    if not 1 <= len(ranges) <= MAX_RANGES or any(low > high for low, high in ranges):
        raise ConditionError(f"{where}: no value is allowed, or a range is empty; expected low <= high")
    if merged(ranges) != tuple(ranges):
        raise ConditionError(f"{where}: found ranges out of order or touching; merge and sort them")
    if ranges[0][0] < 0 or ranges[-1][1] >= cardinality:
        raise ConditionError(
            f"{where}: found values {ranges[0][0]} to {ranges[-1][1]}, expected 0 to {cardinality - 1}"
        )
    if ranges == ((0, cardinality - 1),):
        raise ConditionError(f"{where}: every value is allowed; leave the column out")


def _read_segment(entry: JsonValue, positions: Mapping[str, int], where: str) -> Segment:
    reader = Reader(entry, where, ("rows", "where"))
    allowed: dict[int, Ranges] = {}
    for number, item in enumerate(reader.array("where")):
        column = Reader(item, f"{where}.where[{number}]", ("column", "ranges"))
        name = column.text("column")
        if name not in positions:
            raise ConditionError(f"{column.where('column')}: the schema has no column {name!r}")
        if allowed and positions[name] <= max(allowed):
            raise ConditionError(f"{column.where('column')}: {name!r} is out of the schema's order, or twice")
        pairs = column.array("ranges")
        allowed[positions[name]] = tuple(
            _read_pair(pair, f"{column.where('ranges')}[{i}]") for i, pair in enumerate(pairs)
        )
    return Segment(reader.integer("rows", 1, MAX_ROWS), allowed)


def _read_pair(pair: JsonValue, where: str) -> tuple[int, int]:
    if isinstance(pair, list) and len(pair) == 2:
        low, high = pair
        if type(low) is int and type(high) is int:
            return low, high
    raise ConditionError(f"{where}: found {pair!r}, expected two integers [low, high]")
