"""Architecture 2 on whole batches.

The running vector is kept in integers, row-major, so that a code's embedding joins it by copying lines; it
already holds the next column's input bias. The first columns, whose few earlier codes leave few states of the
running vector, are not computed a row: their weights are tabulated once for every state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.exact.autoregressive import AutoregressiveModel, ColumnStep
from provenance.exact.columns import CodeSampler, low_halves
from provenance.exact.layout import magnitudes
from provenance.exact.philox import Words
from provenance.exact.products import (
    Floats,
    FloatType,
    activate,
    cost_type,
    folded_hidden,
    folded_output,
    product,
)
from provenance.exact.scratch import Scratch

Running = NDArray[np.int16 | np.int32]

MAX_TABULATED_STATES = 8192
"""Tens of thousands take longer to tabulate than they save in a million rows; the number changes no bit."""


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """hidden [G, H + 1] and output [m, G + 1] with shifts and biases folded in; move [m, H + 1]: what a drawn
    code adds to the running vector, the difference to the next column's input bias included."""

    hidden: Floats
    output: Floats
    move: Running


class AutoregressiveForward:
    """The steps of one model as matrices. `dtype` float32 is the fast one; float64 gives the same integers."""

    def __init__(self, model: AutoregressiveModel, dtype: FloatType = np.float32) -> None:
        for step in model.steps:
            dtype = cost_type(step.output_weights, step.output_bias, step.output_shift, model.a_max, dtype)
        self.dtype = dtype
        self._a_max = model.a_max
        self.order = model.order
        self._scratch = Scratch()
        self._sampler = CodeSampler(model.codebook)
        self.start, moves = _moves(model)
        self._steps = [_float_step(step, move, dtype) for step, move in zip(model.steps, moves, strict=True)]
        self._tables, self._tabulated = self._tabulate(self.start)

    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of the rows' noise words uint64[rows, words], which may be overwritten."""
        rows, columns = len(words), len(self._steps)
        column_words = np.ascontiguousarray(words[:, :columns].T)
        halves = low_halves(column_words)
        codes = np.empty((columns, rows), dtype=np.intp)
        order = self.order
        codes[order[0]] = self._sampler.codes(self._tables[0], halves[order[0]])
        state = np.zeros(rows, dtype=np.intp)
        for place, table in enumerate(self._tables[1:], start=1):
            state = state * len(self._steps[place - 1].move) + codes[order[place - 1]]
            cumulative = self._scratch.array("cumulative", (len(table), rows), np.uint32)
            table.take(state, axis=1, out=cumulative, mode="clip")
            codes[order[place]] = self._sampler.codes(cumulative, halves[order[place]])
        running = self._scratch.array("running", (rows, self._tabulated.shape[1]), self._tabulated.dtype.type)
        # indices are in range; without a mode, numpy would copy once more
        self._tabulated.take(state, axis=0, out=running, mode="clip")
        self.resume(len(self._tables), running, codes, halves)
        return self._sampler.values(codes, column_words)

    def resume(self, place: int, running: Running, codes: NDArray[np.intp], halves: Words) -> None:
        """Draws the steps from `place` (at least 1) on into `codes` [C, rows]. `running` [rows, H + 1], as it
        was before the step at place - 1 (overwritten); `halves` uint64[C, rows]: lower halves of the words."""
        order = self.order
        moves = self._scratch.array("lines", running.shape, running.dtype.type)
        for here in range(place, len(order)):
            self._steps[here - 1].move.take(codes[order[here - 1]], axis=0, out=moves, mode="clip")
            running += moves
            cumulative = self._sampler.cumulative(self._costs(self._steps[here], running))
            codes[order[here]] = self._sampler.codes(cumulative, halves[order[here]])

    def code_values(self, codes: NDArray[np.intp], column_words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of the codes [C, rows] and the noise words uint64[C, rows] ."""
        return self._sampler.values(codes, column_words)

    def weights(self, place: int, running: Running) -> NDArray[np.uint32]:
        """uint32[m, rows]: the weights of the codes of the step at `place` for running vectors [rows, H + 1]."""
        cumulative = self._sampler.cumulative(self._costs(self._steps[place], running))
        return np.diff(cumulative, axis=0, prepend=np.uint32(0))

    def moves(self, place: int) -> Running:
        """[m, H + 1]: what each code of the step at `place` adds to the running vector."""
        return self._steps[place].move

    def _costs(self, step: _Step, running: Running) -> Floats:
        """[m, rows] of the running vector [rows, H + 1]; the floor is the negated logit."""
        rows = len(running)
        clipped = self._scratch.array("lines", running.shape, running.dtype.type)
        running.clip(0, self._a_max, out=clipped)
        x = self._scratch.array("x", running.shape, self.dtype)
        np.copyto(x, clipped)
        hidden = self._scratch.array("hidden", (len(step.hidden) + 1, rows), self.dtype)
        product(step.hidden, x.T, hidden[:-1])
        activate(hidden[:-1], self.dtype(self._a_max))
        # the input that carries the output's constants
        hidden[-1] = 1
        costs = self._scratch.array("costs", (len(step.output), rows), self.dtype)
        product(step.output, hidden, costs)
        return costs

    def _tabulate(self, running: Running) -> tuple[list[NDArray[np.uint32]], Running]:
        """Cumulative weights [m, states] of each of the first columns, and the last one's running vectors
        [states, H + 1]. A state is the codes so far as one number, the latest code its last digit."""
        tables: list[NDArray[np.uint32]] = []
        for step in self._steps:
            tables.append(self._sampler.cumulative(self._costs(step, running)).copy())
            if len(running) * len(step.move) > MAX_TABULATED_STATES:
                break
            last = running
            running = (running[:, None] + step.move).reshape(-1, running.shape[1])
        else:
            running = last
        return tables, running


def _moves(model: AutoregressiveModel) -> tuple[Running, list[Running]]:
    """The running vector [1, H + 1] before the first step and, a step, what each code adds; a last entry is
    always 1, the input of the hidden bias. int16 if no choice of codes can leave it, else int32, which the
    2^24 bound never leaves."""
    start = np.append(model.steps[0].input_bias, 1).astype(np.int32)[None]
    biases = [step.input_bias for step in model.steps]
    moves = []
    # of the running vector without bias, whatever the codes
    reach = np.zeros(model.width, dtype=np.int64)
    largest = 1
    for place, bias in enumerate(biases):
        following = biases[place + 1] if place + 1 < len(biases) else bias
        codes = model.codebook.column_codes(model.order[place])
        move = np.zeros((codes.stop - codes.start, start.shape[1]), dtype=np.int32)
        move[:, :-1] = model.embedding[codes] + (following - bias)
        moves.append(move)
        before = int((reach + magnitudes(bias)).max())
        reach += magnitudes(model.embedding[codes]).max(axis=0)
        largest = max(
            largest, before, int((reach + magnitudes(following)).max()), int(magnitudes(move).max())
        )
    if largest < 2**15:
        return start.astype(np.int16), [move.astype(np.int16) for move in moves]
    return start, list(moves)


def _float_step(step: ColumnStep, move: Running, dtype: FloatType) -> _Step:
    return _Step(
        folded_hidden(step.hidden_weights, step.hidden_bias, step.hidden_shift, dtype),
        folded_output(step.output_weights, step.output_bias, step.output_shift, dtype),
        move,
    )
