"""From logits and one noise word a column to values: an inverse CDF over integer weights, then a place in
the code. Normative text: docs/spec/rows.md."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook
from provenance.exact.philox import Words
from provenance.exact.products import Floats
from provenance.exact.scratch import Scratch
from provenance.exact.tables import load_tables

_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)


class CodeSampler:
    """Draws codes and places in codes, for a batch."""

    def __init__(self, codebook: Codebook) -> None:
        self._exp = load_tables().exp
        self._scratch = Scratch()
        self._offsets = np.array(codebook.offsets[:-1], dtype=np.intp)[:, None]
        self._low = codebook.low
        self._width = codebook.width.astype(np.uint64)

    def cumulative(self, logits: Floats) -> NDArray[np.uint32]:
        """uint32[codes, rows]: the running sums of the weights of one column's logits [codes, rows], integers
        (overwritten). The result is void at the next call in the same thread."""
        # a distance beyond the floats' exact integers stays beyond the table's end
        np.subtract(logits.max(axis=0), logits, out=logits)
        distance = self._scratch.array("distance", logits.shape, np.intp)
        np.copyto(distance, logits, casting="unsafe")
        cumulative = self._scratch.array("cumulative", logits.shape, np.uint32)
        # mode="clip" is the min(distance, 768) of the specification; distances are never negative
        self._exp.take(distance, out=cumulative, mode="clip")
        sums = list(cumulative)
        for before, here in itertools.pairwise(sums):
            np.add(here, before, out=here)
        return cumulative

    def codes(self, cumulative: NDArray[np.uint32], low_words: Words) -> NDArray[np.unsignedinteger[Any]]:
        """[rows]: the code each row draws, counted from 0 in its column, from the running sums [codes, rows],
        or [codes, 1] if they are all rows', and the lower halves of the noise words uint64[rows]."""
        target = ((low_words * cumulative[-1]) >> _SHIFT_32).astype(np.uint32)
        # the first code whose cumulative weight exceeds the target = how many do not exceed it; never all
        not_beyond = self._scratch.array("not beyond", (len(cumulative), len(low_words)), np.bool_)
        np.less_equal(cumulative, target, out=not_beyond)
        count = np.uint8 if len(cumulative) <= 256 else np.uint16
        found: NDArray[np.unsignedinteger[Any]] = np.add.reduce(
            not_beyond.view(np.uint8), axis=0, dtype=count
        )
        return found

    def values(self, codes: NDArray[np.intp], words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of all columns' codes [C, rows] and noise words uint64[C, rows] (both overwritten): a
        place in each code by the upper half of the word."""
        codes += self._offsets
        factors = self._scratch.array("factors", codes.shape, np.uint64)
        # codes are in range; without a mode, numpy would copy once more
        self._width.take(codes, out=factors, mode="clip")
        words >>= _SHIFT_32
        words *= factors
        words >>= _SHIFT_32
        low = factors.view(np.int64)
        self._low.take(codes, out=low, mode="clip")
        values = words.view(np.int64)
        values += low
        return values


def low_halves(words: Words) -> Words:
    """The lower 32 bits of noise words, which draw the codes."""
    return words & _LOW_32
