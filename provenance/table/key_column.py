"""Key columns: synthetic identifiers of the real ones' shape, made from the row number and stored nowhere.

A pattern holds `#` for a digit, `@` for a letter A to Z, and all else literally. Its N texts are numbered in
order; row r of a data set has the text number (a * r + b) mod N, where a and b come from the SHA-256 of name
and pattern and a is prime to N, so that no two rows share a key. Keys are never learnt and carry nothing about
a real row; they do not look random to whoever knows the schema.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError
from provenance.table.remarks import NO_REMARKS, Remarks
from provenance.table.schema_words import no_extra

DIGIT, LETTER = "#", "@"
MAX_KEYS = 2**62
_TAG = b"tessera key/1\0"
_RADIX = {DIGIT: 10, LETTER: 26}
_SYMBOLS = {DIGIT: "0123456789", LETTER: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_INTEGER = re.compile(r"(?:[1-9]#{0,17}|#)\Z")
_STRIDE = 1024


@dataclass(frozen=True)
class KeyColumn:
    """A column of keys. It has cells in a table and no values in a row."""

    name: str
    pattern: str
    remarks: Remarks = NO_REMARKS

    @classmethod
    def parse(cls, document: Mapping[str, object], name: str) -> KeyColumn:
        """The column of a JSON object whose name was read already. Raises SchemaError."""
        place = f"column {name!r}"
        no_extra(document, {"name", "type", "format", "pattern", "inferred", "public"}, place)
        pattern = document.get("pattern")
        if not isinstance(pattern, str) or not 1 <= len(pattern) <= 128 or pattern != pattern.strip():
            raise SchemaError(f"{place}, field 'pattern': found {pattern!r}, expected text like \"P-#####\"")
        column = cls(name, pattern, Remarks.parse(document, place))
        if any(ord(c) < 32 for c in pattern) or not 1 < column.count <= MAX_KEYS:
            raise SchemaError(
                f"{place}, field 'pattern': found {pattern!r}, expected some # (a digit) or @ (a letter A-Z), "
                "for at most 2^62 different keys"
            )
        return column

    @property
    def kind(self) -> str:
        """`key`."""
        return "key"

    @property
    def count(self) -> int:
        """How many different keys there are, so how many rows a data set may have."""
        return math.prod(_RADIX.get(mark, 1) for mark in self.pattern)

    @property
    def is_integer(self) -> bool:
        """Whether every key reads as an integer without leading zeros and below 10^18."""
        return _INTEGER.match(self.pattern) is not None

    def document(self, *, with_remarks: bool = True) -> dict[str, JsonValue]:
        """The column as it stands in the canonical document."""
        result: dict[str, JsonValue] = {
            "name": self.name, "type": "string", "format": "key", "pattern": self.pattern,
        }  # fmt: skip
        return result | (self.remarks.document() if with_remarks else {})

    def texts(self, first_row: int, rows: int) -> list[str]:
        """The keys of rows first_row .. first_row + rows - 1; TableError beyond the pattern's last key."""
        if first_row < 0 or first_row + rows > self.count:
            raise TableError(
                f"column {self.name!r}: found row {first_row + rows:,}, expected at most {self.count:,}, as "
                f"many as the pattern {self.pattern!r} has keys; put more # or @ into it"
            )
        numbers = self._numbers(first_row, rows)
        marks: list[NDArray[np.str_]] = []
        for mark in reversed(self.pattern):
            if mark in _RADIX:
                numbers, digit = np.divmod(numbers, _RADIX[mark])
                marks.append(np.array(list(_SYMBOLS[mark]))[digit])
            else:
                marks.append(np.full(rows, mark))
        joined = np.stack(marks[::-1], axis=1) if rows else np.empty((0, len(self.pattern)), dtype="U1")
        return np.ascontiguousarray(joined).view(f"U{len(self.pattern)}").reshape(-1).tolist()

    @cached_property
    def _affine(self) -> tuple[int, int]:
        digest = hashlib.sha256(_TAG + self.name.encode() + b"\0" + self.pattern.encode()).digest()
        factor = int.from_bytes(digest[:16], "big") % self.count
        while math.gcd(factor, self.count) != 1:
            factor = (factor + 1) % self.count
        return factor, int.from_bytes(digest[16:], "big") % self.count

    def _numbers(self, first_row: int, rows: int) -> NDArray[np.int64]:
        """(a * row + b) mod N: exact, because two summands below 2^62 each fit int64."""
        factor, shift = self._affine
        high = [(factor * (first_row + start) + shift) % self.count for start in range(0, rows, _STRIDE)]
        low = [factor * offset % self.count for offset in range(_STRIDE)]
        both = np.array(high, dtype=np.int64)[:, None] + np.array(low, dtype=np.int64)
        return (both % self.count).reshape(-1)[:rows]
