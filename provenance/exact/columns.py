"""From logits and one noise word a column to values: an inverse CDF over integer weights, then a place in
the code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook
from provenance.exact.philox import Words
from provenance.exact.tables import load_tables

_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)


class ColumnSampler:
    """Draws the columns of a batch by the rule of docs/spec/rows.md."""

    def __init__(self, codebook: Codebook) -> None:
        self._exp = load_tables().exp
        self._low = [codebook.low[codebook.column_codes(i)] for i in range(codebook.columns)]
        self._width = [
            codebook.width[codebook.column_codes(i)].astype(np.uint64) for i in range(codebook.columns)
        ]

    def codes(self, logits: NDArray[np.int32], word: Words) -> NDArray[np.intp]:
        """Which of a column's codes each row draws, intp[rows], counted from 0 in the column: logits
        int32[codes, rows] (overwritten), its noise words uint64[rows]."""
        np.subtract(logits.max(axis=0), logits, out=logits)
        # mode="clip" is the min(distance, 768) of the specification; distances are never negative
        cumulative = self._exp.take(logits, mode="clip")
        for i in range(1, len(cumulative)):
            cumulative[i] += cumulative[i - 1]
        target = (((word & _LOW_32) * cumulative[-1]) >> _SHIFT_32).astype(np.uint32)
        # the first code whose cumulative weight exceeds the target = how many do not exceed it
        return np.add.reduce((cumulative <= target).view(np.uint8), axis=0, dtype=np.uint16).astype(np.intp)

    def values(self, column: int, code: NDArray[np.intp], word: Words) -> NDArray[np.int64]:
        """int64[rows]: a place in the drawn codes of `column`, by the upper halves of the same words."""
        inside = ((word >> _SHIFT_32) * self._width[column][code]) >> _SHIFT_32
        return self._low[column][code] + inside.astype(np.int64)
