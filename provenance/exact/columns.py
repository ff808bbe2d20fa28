"""From logits and one noise word a column to values: an inverse CDF over integer weights, then a place in
the code. Normative text: docs/spec/rows.md."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook
from provenance.exact.philox import Words
from provenance.exact.products import Floats
from provenance.exact.tables import load_tables

_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)


class CodeSampler:
    """Draws codes and places in codes, for a batch."""

    def __init__(self, codebook: Codebook) -> None:
        self._exp = load_tables().exp
        self._offsets = np.array(codebook.offsets[:-1], dtype=np.intp)[:, None]
        self._low = codebook.low
        self._width = codebook.width.astype(np.uint64)

    def cumulative(self, logits: Floats) -> NDArray[np.uint32]:
        """uint32[codes, rows]: the running sums of the weights of one column's logits [codes, rows], integers
        (overwritten)."""
        # a distance beyond the floats' exact integers stays beyond the table's end
        np.subtract(logits.max(axis=0), logits, out=logits)
        # mode="clip" is the min(distance, 768) of the specification; distances are never negative
        cumulative = self._exp.take(logits.astype(np.intp), mode="clip")
        sums = list(cumulative)
        for before, here in itertools.pairwise(sums):
            np.add(here, before, out=here)
        return cumulative

    def codes(self, cumulative: NDArray[np.uint32], low_words: Words) -> NDArray[np.intp]:
        """intp[rows]: the code each row draws, counted from 0 in its column, from the lower halves of its
        noise words uint64[rows]."""
        target = ((low_words * cumulative[-1]) >> _SHIFT_32).astype(np.uint32)
        # the first code whose cumulative weight exceeds the target = how many do not exceed it; never all
        not_beyond = (cumulative <= target).view(np.uint8)
        count = np.uint8 if len(cumulative) <= 256 else np.uint16
        found: NDArray[np.intp] = np.add.reduce(not_beyond, axis=0, dtype=count).astype(np.intp)
        return found

    def values(self, codes: NDArray[np.intp], words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of all columns' codes [C, rows] (overwritten): a place in each by the upper half of
        its noise word uint64[C, rows]."""
        codes += self._offsets
        inside = ((words >> _SHIFT_32) * self._width.take(codes)) >> _SHIFT_32
        return self._low.take(codes) + inside.view(np.int64)


def low_halves(words: Words) -> Words:
    """The lower 32 bits of noise words, which draw the codes."""
    return words & _LOW_32
