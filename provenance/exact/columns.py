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
    """Draws every column of a batch by the rule of docs/spec/rows.md."""

    def __init__(self, codebook: Codebook) -> None:
        self._exp = load_tables().exp
        self._columns = [codebook.column_codes(i) for i in range(codebook.columns)]
        self._low = codebook.low
        self._width = codebook.width.astype(np.uint64)

    def values(self, logits: NDArray[np.int32], words: Words) -> NDArray[np.int64]:
        """int64[rows, C] of logits int32[D, rows] (overwritten) and noise words uint64[C, rows]."""
        result = np.empty((logits.shape[1], len(self._columns)), dtype=np.int64)
        for position, codes in enumerate(self._columns):
            block = logits[codes]
            np.subtract(block.max(axis=0), block, out=block)
            # mode="clip" is the min(distance, 768) of the specification; distances are never negative
            cumulative = self._exp.take(block, mode="clip")
            for i in range(1, len(cumulative)):
                cumulative[i] += cumulative[i - 1]
            word = words[position]
            target = (((word & _LOW_32) * cumulative[-1]) >> _SHIFT_32).astype(np.uint32)
            # the first code whose cumulative weight exceeds the target = how many do not exceed it
            code = np.add.reduce((cumulative <= target).view(np.uint8), axis=0, dtype=np.uint16).astype(
                np.intp
            )
            code += codes.start
            result[:, position] = self._low[code]
            result[:, position] += (((word >> _SHIFT_32) * self._width[code]) >> _SHIFT_32).astype(np.int64)
        return result
