"""The first steps of architecture 2 under conditions: weights that already know which codes are allowed, here
and in the conditioned steps after.

A state is the allowed codes drawn so far. Each state's weights are the model's own, times the share of each
code that is allowed, times the chance that the conditioned steps after it are met: so drawing from them is
drawing from the model given that the conditions hold. Everything is tabulated once. Normative text:
docs/spec/conditions.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.exact.allowed import AllowedCodes
from provenance.exact.autoregressive_forward import AutoregressiveForward, Running
from provenance.exact.philox import Words
from provenance.exact.size_class import MAX_STATES

ONE = np.uint64(2**32)
_SHIFT_32 = np.uint64(32)
_LOW_32 = np.uint64(2**32 - 1)

Tables = NDArray[np.uint64]


def prefix_length(
    order: Sequence[int], code_counts: Sequence[int], allowed: Mapping[int, AllowedCodes]
) -> int:
    """How many first steps are drawn by weights: up to the last conditioned one before which at most MAX_STATES
    choices of allowed codes are possible."""
    states, steps = 1, 0
    for place, column in enumerate(order):
        if states > MAX_STATES:
            break
        if column in allowed:
            steps = place + 1
            states *= len(allowed[column].codes)
        else:
            states *= code_counts[column]
    return steps


class PrefixSteps:
    """Draws the first `steps` (at least 1) steps of a model under conditions."""

    def __init__(
        self, forward: AutoregressiveForward, steps: int, allowed: Mapping[int, AllowedCodes]
    ) -> None:
        self.columns = forward.order[:steps]
        plain: list[Tables] = []
        self._codes: list[NDArray[np.intp]] = []
        factors: list[Tables] = []
        running = forward.start
        for place, column in enumerate(self.columns):
            weights = forward.weights(place, running).astype(np.uint64)
            condition = allowed.get(column)
            codes = np.arange(len(weights)) if condition is None else condition.codes
            factors.append(np.full(len(codes), ONE) if condition is None else condition.factors[codes])
            self._codes.append(codes)
            plain.append(weights)
            self._running = running
            running = (running[:, None] + forward.moves(place)[codes]).reshape(-1, running.shape[1])
        self._cumulative = self._tables(plain, factors)

    def draw(self, codes: NDArray[np.intp], halves: Words) -> Running:
        """Writes the steps' codes into `codes` [C, rows] by the lower halves of the noise words uint64[C, rows].
        The running vectors [rows, H + 1] as they were before the last of the steps."""
        state = np.zeros(codes.shape[1], dtype=np.intp)
        before = state
        for column, allowed, table in zip(self.columns, self._codes, self._cumulative, strict=True):
            cumulative = table[:, state]
            target = scaled(halves[column], cumulative[-1])
            found = (cumulative <= target).sum(axis=0)
            codes[column] = allowed[found]
            before, state = state, state * len(allowed) + found
        return self._running[before]

    def _tables(self, plain: list[Tables], factors: list[Tables]) -> list[Tables]:
        """Running sums uint64[allowed codes, states] of each step's weights, from the last step backwards."""
        tables: list[Tables] = []
        chance: Tables | None = None
        for weights, factor, codes in reversed(list(zip(plain, factors, self._codes, strict=True))):
            states = weights.shape[1]
            share = np.broadcast_to(factor[:, None], (len(codes), states))
            if chance is not None:
                after = chance.reshape(states, len(codes)).T
                # both are at most 2^32, and their product must stay below 2^64
                product = np.where(share == ONE, after, (share % ONE * after) >> _SHIFT_32)
                share = np.maximum(product, np.uint64(1))
            cumulative = np.cumsum(weights[codes] * share, axis=0, dtype=np.uint64)
            chance = np.maximum(cumulative[-1] // weights.sum(axis=0), np.uint64(1))
            tables.append(cumulative)
        return tables[::-1]


def scaled(halves: Words, sums: Tables) -> Words:
    """(u * S) >> 32 for u below 2^32 and S below 2^64, in 64 bits."""
    result: Words = halves * (sums >> _SHIFT_32) + ((halves * (sums & _LOW_32)) >> _SHIFT_32)
    return result
