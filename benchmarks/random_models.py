"""Small random generators for differential tests: every shape, sign and extreme that the format allows.

Models are sound by construction or drawn again; nothing here has been trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    Model,
    OutputLayer,
    encode_model,
)
from provenance.values import Digest

# below, at and above the widths at which the verifier changes its inner loop
_WIDTHS = (1, 2, 7, 8, 9, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 160)
_NARROW = _WIDTHS[:11]
_WIDE = (65, 191, 256, 300, 700)
_MANY_CODES = (300, 1024, 4095)
_MOST_BYTES = 600_000
"""What a node takes in one request, in hexadecimal twice as long."""
_LARGE = 0.08
"""Of the models are wide nets, of columns with many codes: so many cost most of the time."""
_TIES, _SATURATED, _NEGATIVE, _ORDINARY = range(4)

Allowed = dict[int, list[tuple[int, int]]]


class RandomModels:
    """Models and conditions from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def model(self) -> tuple[Model, bytes]:
        """A model of either architecture and its bytes."""
        while True:
            large = self._random.random() < _LARGE
            model = self._mlp(large) if self._random.random() < 0.4 else self._autoregressive(large)
            try:
                data = encode_model(model)
            except ModelError:  # beyond the bound of 2^24: such a model makes no rows
                continue
            if len(data) <= _MOST_BYTES:
                return model, data

    def sized_mlp(self, widths: Sequence[int], codes: Sequence[int]) -> tuple[MlpModel, bytes]:
        """Of `widths`, latent inputs first, and so many codes a column: unfitted, otherwise as a fit's."""
        book = _plain_codebook(codes)
        hidden = tuple(
            HiddenLayer(*self._plain_hidden(outputs, inputs)) for inputs, outputs in pairwise(widths)
        )
        output = OutputLayer(*self._plain_output(book.codes, widths[-1]))
        model = MlpModel(255, widths[0], self._digest(), book, hidden, output)
        return model, encode_model(model)

    def sized_autoregressive(
        self, width: int, neurons: int, codes: Sequence[int]
    ) -> tuple[AutoregressiveModel, bytes]:
        """Of a running vector of `width`, `neurons` a column and so many codes a column."""
        book = _plain_codebook(codes)
        steps = tuple(
            ColumnStep(
                self._random.integers(-200, 300, width).astype(np.int32),
                *self._plain_hidden(neurons, width),
                *self._plain_output(count, neurons),
            )
            for count in codes
        )
        embedding = self._weights((book.codes, width), _ORDINARY)
        order = tuple(range(book.columns))
        model = AutoregressiveModel(255, self._digest(), book, order, steps, embedding)
        return model, encode_model(model)

    def _plain_hidden(
        self, outputs: int, inputs: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.uint8]]:
        bias = self._random.integers(-3000, 3000, outputs).astype(np.int32)
        return self._weights((outputs, inputs), _ORDINARY), bias, np.full(outputs, 8, dtype=np.uint8)

    def _plain_output(
        self, codes: int, inputs: int
    ) -> tuple[NDArray[np.int8], NDArray[np.uint8], NDArray[np.int32]]:
        bias = self._random.integers(-150, 150, codes).astype(np.int32)
        return self._weights((codes, inputs), _ORDINARY), np.full(codes, 8, dtype=np.uint8), bias

    def seed(self) -> bytes:
        """32 bytes."""
        return self._random.bytes(32)

    def number(self, low: int, high: int) -> int:
        """low .. high - 1."""
        return int(self._random.integers(low, high))

    def conditions(self, model: Model) -> Allowed:
        """Ranges of one to three columns; they may be hard or impossible to meet."""
        book = model.codebook
        count = self.number(1, 1 + min(3, book.columns))
        columns = sorted(self._random.choice(book.columns, count, replace=False).tolist())
        return {column: self._ranges(book, column) for column in columns}

    def _ranges(self, book: Codebook, column: int) -> list[tuple[int, int]]:
        codes = book.column_codes(column)
        end = int((book.low[codes] + book.width[codes]).max())
        edges = np.unique(self._random.integers(0, end, 2 * self.number(1, 5))).tolist()
        ranges: list[tuple[int, int]] = []
        for low, high in zip(edges[::2], edges[1::2], strict=False):
            if not ranges or low > ranges[-1][1] + 1:
                ranges.append((low, high))
        return ranges or [(edges[0], edges[0])]

    def _mlp(self, large: bool) -> MlpModel:
        latent = self._pick(_WIDTHS)
        hidden, inputs = [], latent
        for _ in range(self.number(1, 5)):
            outputs = self._pick(_WIDE if large else _WIDTHS)
            hidden.append(HiddenLayer(*self._hidden(outputs, inputs)))
            inputs = outputs
        book = self._codebook(self.number(1, 6), large)
        weights, shift, bias = self._output(book.codes, inputs)
        return MlpModel(
            self._clip(), latent, self._digest(), book, tuple(hidden), OutputLayer(weights, shift, bias)
        )

    def _autoregressive(self, large: bool) -> AutoregressiveModel:
        width, neurons = (self._pick(_WIDE[:4] if large else _NARROW) for _ in range(2))
        book = self._codebook(self.number(1, 7), large)
        order = self._random.permutation(book.columns).tolist()
        steps = []
        for column in order:
            weights, bias, shift = self._hidden(neurons, width)
            out_weights, out_shift, out_bias = self._output(book.code_counts[column], neurons)
            start = self._random.integers(-200, 300, width).astype(np.int32)
            if self._random.random() < 0.1:
                start = self._random.integers(-(2**23), 2**23, width).astype(np.int32)
            steps.append(ColumnStep(start, weights, bias, shift, out_weights, out_shift, out_bias))
        embedding = self._random.integers(-128, 128, (book.codes, width)).astype(np.int8)
        return AutoregressiveModel(self._clip(), self._digest(), book, tuple(order), tuple(steps), embedding)

    def _codebook(self, columns: int, large: bool) -> Codebook:
        counts, sizes, lows, widths = [], [], [], []
        crowded = self.number(0, columns) if large else -1
        for column in range(columns):
            count, size = self._pick((1, 2, 3, 4, 5, 8, 13, 27)), self.number(1, 5)
            if column == crowded:
                count, size = self._pick(_MANY_CODES), self.number(2, 5)
            step = 256**size // count
            width = self._pick((1, max(1, step // 3), min(step, 2**32 - 1)))
            counts.append(count)
            sizes.append(size)
            lows += [code * step for code in range(count)]
            widths += [width] * count
        low, width_array = np.array(lows, dtype=np.int64), np.array(widths, dtype=np.int64)
        return Codebook(tuple(counts), tuple(sizes), low, width_array)

    def _weights(self, shape: tuple[int, int], kind: int) -> NDArray[np.int8]:
        if kind == _TIES:
            return np.zeros(shape, dtype=np.int8)
        if kind == _SATURATED:
            return self._random.choice(np.array([-128, 127, 127], dtype=np.int8), shape)
        low, high = (-128, 20) if kind == _NEGATIVE else (-60, 70)
        return self._random.integers(low, high, shape).astype(np.int8)

    def _hidden(
        self, outputs: int, inputs: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.uint8]]:
        kind = self.number(0, 8)
        largest = self._pick((1, 3000, 2**20))
        bias = self._random.integers(-largest, largest, outputs).astype(np.int32)
        shift = self._random.integers(0, self._pick((1, 10, 32)), outputs).astype(np.uint8)
        return self._weights((outputs, inputs), kind), bias, shift

    def _output(
        self, codes: int, inputs: int
    ) -> tuple[NDArray[np.int8], NDArray[np.uint8], NDArray[np.int32]]:
        kind = self.number(0, 8)
        largest = self._pick((1, 150, 1000, 2**24 - 1))
        bias = self._random.integers(-largest, largest, codes).astype(np.int32)
        shift = self._random.integers(0, self._pick((1, 8, 32)), codes).astype(np.uint8)
        return self._weights((codes, inputs), kind), shift, bias

    def _pick(self, values: Sequence[int]) -> int:
        return values[self.number(0, len(values))]

    def _clip(self) -> int:
        return self._pick((127, 255))

    def _digest(self) -> Digest:
        return Digest(self._random.bytes(32))


def _plain_codebook(codes: Sequence[int]) -> Codebook:
    """Columns of one byte, their codes of equal width."""
    low = np.concatenate([np.arange(count, dtype=np.int64) * (256 // count) for count in codes])
    width = np.concatenate([np.full(count, 256 // count, dtype=np.int64) for count in codes])
    return Codebook(tuple(codes), (1,) * len(codes), low, width)
