"""Codes: what a column's logits stand for. A code covers the values low .. low + width - 1, all equally likely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError
from provenance.table.schema import Schema

# so that a column's weights, at most 2^20 each, add up below 2^32
MAX_CODES_A_COLUMN = 4_095
MAX_CODES = 65_535
MAX_COLUMNS = 65_535

Codes: TypeAlias = NDArray[np.signedinteger[Any]]
"""Of rows, [n, C], each counted from 0 within its column."""


@dataclass(frozen=True, eq=False)
class Codebook:
    """code_counts[C], value_widths[C] in bytes; low[D] and width[D] as int64, the columns' codes one after another.

    Raises ModelError if a count, a byte width or a code's range is not allowed by docs/spec/model.md.
    """

    code_counts: tuple[int, ...]
    value_widths: tuple[int, ...]
    low: NDArray[np.int64]
    width: NDArray[np.int64]

    def __post_init__(self) -> None:
        if not 1 <= len(self.code_counts) <= MAX_COLUMNS or len(self.value_widths) != len(self.code_counts):
            raise ModelError(
                f"codebook: found {len(self.code_counts)} code counts and {len(self.value_widths)} value "
                f"widths, expected the same number of both, 1 to {MAX_COLUMNS}"
            )
        for column, (count, size) in enumerate(zip(self.code_counts, self.value_widths, strict=True)):
            if not 1 <= count <= MAX_CODES_A_COLUMN:
                raise ModelError(f"column {column}: found {count} codes, expected 1 to {MAX_CODES_A_COLUMN}")
            if not 1 <= size <= 4:
                raise ModelError(f"column {column}: found values of {size} bytes, expected 1 to 4")
        codes = sum(self.code_counts)
        if codes > MAX_CODES or self.low.shape != (codes,) or self.width.shape != (codes,):
            raise ModelError(
                f"codebook: found ranges of shapes {self.low.shape}, {self.width.shape}, expected ({codes},) "
                f"for the code counts and at most {MAX_CODES}"
            )
        limits = np.repeat([256**size for size in self.value_widths], self.code_counts)
        bad = (self.low < 0) | (self.low >= 2**32) | (self.width < 1) | (self.width >= 2**32)
        bad |= self.low + self.width > limits
        if bad.any():
            code = int(np.argmax(bad))
            raise ModelError(
                f"code {code}: found the range {self.low[code]} + {self.width[code]}, expected a width of at "
                f"least 1 and an end of at most {limits[code]}"
            )
        self.low.setflags(write=False)
        self.width.setflags(write=False)

    @property
    def columns(self) -> int:
        """Number of columns C."""
        return len(self.code_counts)

    @property
    def codes(self) -> int:
        """Number of codes in all columns, D: the width of the output layer."""
        return len(self.low)

    @property
    def row_width(self) -> int:
        """Bytes of a row."""
        return sum(self.value_widths)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First code of each column, and D at the end: C + 1 numbers."""
        return (0, *np.cumsum(self.code_counts).tolist())

    def column_codes(self, column: int) -> slice:
        """Where the codes of `column` lie among the D codes."""
        return slice(self.offsets[column], self.offsets[column + 1])

    def check_schema(self, schema: Schema) -> None:
        """Raises ModelError unless every code's range lies inside the schema's columns and widths agree."""
        if self.value_widths != schema.value_widths:
            raise ModelError(
                f"the model's value widths {list(self.value_widths)} are not the schema's "
                f"{list(schema.value_widths)}; the model was made for another schema"
            )
        ends = self.low + self.width
        limits = np.repeat(schema.cardinalities, self.code_counts)
        if (ends > limits).any():
            code = int(np.argmax(ends > limits))
            raise ModelError(
                f"code {code}: ends at value {ends[code]}, beyond the schema's {limits[code]} values"
            )
