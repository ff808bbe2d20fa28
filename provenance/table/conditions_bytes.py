"""Conditions in bytes: the segments of `tessera-conditions/1` as a contract can read them without JSON or a schema.

The SHA-256 of the bytes is the member `conditions` of an order's terms. Big-endian throughout; one spelling for
each set of conditions. Normative text: docs/spec/conditions.md, "In bytes". Vectors: tests/vectors/conditions.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from provenance.errors import ConditionError
from provenance.table.conditions import Conditions, Ranges, Segment
from provenance.table.schema import Schema
from provenance.values import Digest, sha256

NO_CONDITIONS: Final = Digest(bytes(32))
"""What an order of whole tables carries for its conditions."""
_MAX_U32: Final = 2**32 - 1


def encode_conditions(conditions: Conditions) -> bytes:
    """The bytes. Raises ConditionError for a segment of 2^32 rows, which has no place in them."""
    return encode_segments(conditions.segments)


def encode_segments(segments: Sequence[Segment]) -> bytes:
    """As `encode_conditions`, for segments that no schema has checked; their columns are stored positions."""
    parts = [_number(len(segments), 2)]
    for number, segment in enumerate(segments):
        if segment.rows > _MAX_U32:
            raise ConditionError(
                f"conditions, segment {number}: found {segment.rows:,} rows, at most {_MAX_U32:,} can be ordered; "
                "split the segment in two"
            )
        parts += [_number(segment.rows, 4), _number(len(segment.allowed), 2)]
        for column in sorted(segment.allowed):
            ranges = segment.allowed[column]
            parts += [_number(column, 2), _number(len(ranges), 4)]
            parts += [_number(low, 4) + _number(high, 4) for low, high in ranges]
    return b"".join(parts)


def decode_conditions(data: bytes, schema: Schema) -> Conditions:
    """Reads `encode_conditions` back, about tables of `schema`. Raises ConditionError for any other bytes."""
    reader = _Reader(data)
    segments = []
    for number in range(reader.number(2)):
        rows = reader.number(4)
        allowed: dict[int, Ranges] = {}
        for _ in range(reader.number(2)):
            column = reader.number(2)
            if allowed and column <= max(allowed):
                raise ConditionError(
                    f"conditions in bytes, segment {number}: found column {column} after column {max(allowed)}, "
                    "expected each once, ascending"
                )
            allowed[column] = reader.ranges()
        segments.append(Segment(rows, allowed))
    reader.end()
    return Conditions(schema, tuple(segments))


def conditions_digest(conditions: Conditions | None) -> Digest:
    """What the terms of an order under `conditions` carry; zero for whole tables (None)."""
    return NO_CONDITIONS if conditions is None else sha256(encode_conditions(conditions))


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


class _Reader:
    """Consumes the bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def ranges(self) -> Ranges:
        data = self._take(8 * self.number(4))
        words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
        return tuple(zip(words[::2], words[1::2], strict=True))

    def end(self) -> None:
        if self._at != len(self._data):
            raise ConditionError(
                f"conditions in bytes: found {len(self._data)} bytes, expected {self._at}; "
                "take the bytes as they were hashed"
            )

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise ConditionError(
                f"conditions in bytes: found {len(self._data)} bytes, expected at least {self._at + size}; "
                "take the bytes as they were hashed"
            )
        self._at += size
        return taken
