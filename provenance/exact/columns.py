"""From logits and one noise word a column to values: an inverse CDF over integer weights, then a place in
the code. Normative text: docs/spec/rows.md."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
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
        self._ranges = [_Ranges.of(codebook, column) for column in range(codebook.columns)]

    def cumulative(self, costs: Floats) -> NDArray[np.uint32]:
        """uint32[codes, rows]: the running sums of the weights of one column's costs [codes, rows]
        (overwritten): floats whose floor is the negated logit, see `products.folded_output`. The result is
        void at the next call in the same thread."""
        least = costs.min(axis=0)
        np.floor(least, out=least)
        # a distance beyond the floats' exact integers stays beyond the table's end
        np.subtract(costs, least, out=costs)
        distance = self._scratch.array("distance", costs.shape, np.intp)
        # never negative, so that cutting off the fraction is the floor
        np.copyto(distance, costs, casting="unsafe")
        cumulative = self._scratch.array("cumulative", costs.shape, np.uint32)
        # mode="clip" is the min(distance, 768) of the specification; distances are never negative
        self._exp.take(distance, out=cumulative, mode="clip")
        sums = list(cumulative)
        for before, here in itertools.pairwise(sums):
            np.add(here, before, out=here)
        return cumulative

    def codes(self, cumulative: NDArray[np.uint32], low_words: Words) -> NDArray[np.unsignedinteger[Any]]:
        """[rows]: the code each row draws, counted from 0 in its column, from the running sums [codes, rows],
        or [codes, 1] if they are all rows', and the lower halves of the noise words uint64[rows]."""
        product = self._scratch.array("product", low_words.shape, np.uint64)
        np.multiply(low_words, cumulative[-1], out=product)
        product >>= _SHIFT_32
        target = product.astype(np.uint32)
        # the first code whose cumulative weight exceeds the target = how many do not exceed it; never all
        not_beyond = self._scratch.array("not beyond", (len(cumulative), len(low_words)), np.bool_)
        np.less_equal(cumulative, target, out=not_beyond)
        count = np.uint8 if len(cumulative) <= 256 else np.uint16
        found: NDArray[np.unsignedinteger[Any]] = np.add.reduce(
            not_beyond.view(np.uint8), axis=0, dtype=count
        )
        return found

    def values(self, codes: NDArray[np.intp], words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of all columns' codes [C, rows], counted from 0 in their column, and noise words
        uint64[C, rows]: a place in each code by the upper half of the word."""
        values = np.empty(codes.shape, dtype=np.int64)
        for ranges, drawn, word, out in zip(self._ranges, codes, words, values, strict=True):
            ranges.places(drawn, word, out)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class _Ranges:
    """One column's codes: `low` int64[m], None if code i stands for value i; `width` uint64[m], None if each
    code is one value, whatever the noise."""

    low: NDArray[np.int64] | None
    width: NDArray[np.uint64] | None

    @classmethod
    def of(cls, codebook: Codebook, column: int) -> _Ranges:
        low, width = (array[codebook.column_codes(column)] for array in (codebook.low, codebook.width))
        return cls(
            None if (low == np.arange(len(low))).all() else low,
            None if (width == 1).all() else width.astype(np.uint64),
        )

    def places(self, codes: NDArray[np.intp], words: Words, out: NDArray[np.int64]) -> None:
        """Values [rows] of codes and noise words [rows]."""
        # codes are in range; without a mode, numpy would copy once more
        if self.low is None:
            out[:] = codes
        else:
            self.low.take(codes, out=out, mode="clip")
        if self.width is not None:
            places = self.width.take(codes, mode="clip")
            places *= words >> _SHIFT_32
            places >>= _SHIFT_32
            out += places.view(np.int64)


def low_halves(words: Words) -> Words:
    """The lower 32 bits of noise words, which draw the codes."""
    return words & _LOW_32
