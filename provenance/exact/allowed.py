"""One column's allowed ranges seen through the model's codes: how much of a code is allowed, and which value
a noise word picks there. Normative text: docs/spec/conditions.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook
from provenance.exact.philox import Words
from provenance.table.conditions import Ranges

_SHIFT_32 = np.uint64(32)


class AllowedCodes:
    """counts int64[m]: allowed values of each of the column's codes; factors uint64[m]: their share of the
    code in 2^32ths, at least 1 where any value is allowed; codes intp: which have an allowed value."""

    def __init__(self, codebook: Codebook, column: int, ranges: Ranges) -> None:
        self.ranges = ranges
        codes = codebook.column_codes(column)
        low, width = codebook.low[codes], codebook.width[codes]
        edges = np.array(ranges, dtype=np.int64)
        first = np.searchsorted(edges[:, 1], low)
        last = np.searchsorted(edges[:, 0], low + width, side="left")
        owners = np.repeat(np.arange(len(low)), np.maximum(last - first, 0))
        parts = [edges[start:stop] for start, stop in zip(first, last, strict=True) if start < stop]
        inside = np.concatenate(parts) if parts else edges[:0]
        starts = np.maximum(inside[:, 0], low[owners])
        sizes = np.minimum(inside[:, 1] + 1, (low + width)[owners]) - starts
        self.counts = np.bincount(owners, weights=sizes, minlength=len(low)).astype(np.int64)
        self.factors = (self.counts.astype(np.uint64) << _SHIFT_32) // width.astype(np.uint64)
        self.codes = np.flatnonzero(self.counts)
        # every allowed value of every code, code after code, is numbered; parts are runs of these numbers
        self._part_ends = np.cumsum(sizes)
        self._part_shift = starts - (self._part_ends - sizes)
        self._first_number = np.cumsum(self.counts) - self.counts

    def values(self, codes: NDArray[np.intp], words: Words) -> NDArray[np.int64]:
        """int64[rows]: the allowed value in each row's code that the upper half of its noise word picks."""
        places = ((words >> _SHIFT_32) * self.counts.astype(np.uint64)[codes]) >> _SHIFT_32
        numbers = self._first_number[codes] + places.astype(np.int64)
        numbers += self._part_shift[np.searchsorted(self._part_ends, numbers, side="right")]
        return numbers

    def holds(self, values: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool[rows]: which values are allowed."""
        if len(self.ranges) == 1:
            ((low, high),) = self.ranges
            within: NDArray[np.bool_] = (values >= low) & (values <= high)
            return within
        # ranges begin at even places of this list and end before odd ones
        edges = np.add(self.ranges, (0, 1)).ravel()
        inside: NDArray[np.bool_] = np.searchsorted(edges, values, side="right") % 2 == 1
        return inside
