"""Architecture 2 on whole batches: integers carried by floats, exact below 2^24 as in `provenance.exact.mlp`.

The running vector is row-major, [rows, H], so that adding a code's embedding copies whole lines; a column's
logits are feature-major, [codes, rows], for the draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.exact.autoregressive import AutoregressiveModel, ColumnStep
from provenance.exact.columns import ColumnSampler
from provenance.exact.philox import Words

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A column's arrays as floats, each shift folded into weights and bias: a power of two rounds nothing."""

    input_bias: Floats
    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: NDArray[np.int32]
    embedding: Floats


class AutoregressiveForward:
    """The steps of one model as float matrices. `dtype` float32 is the fast one; float64 gives the same
    integers."""

    def __init__(self, model: AutoregressiveModel, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._a_max = dtype(model.a_max)
        self._width = model.width
        self._columns = ColumnSampler(model.codebook)
        self._steps = [
            _float_step(step, model.embedding[model.codebook.column_codes(column)], dtype)
            for column, step in enumerate(model.steps)
        ]
        self.dtype = dtype

    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[rows, C] of the rows' noise words uint64[rows, words]."""
        running = np.zeros((len(words), self._width), dtype=self.dtype)
        result = np.empty((len(words), len(self._steps)), dtype=np.int64)
        for column, step in enumerate(self._steps):
            word = np.ascontiguousarray(words[:, column])
            code = self._columns.codes(self._logits(step, running), word)
            running += step.embedding[code]
            result[:, column] = self._columns.values(column, code, word)
        return result

    def _logits(self, step: _Step, running: Floats) -> NDArray[np.int32]:
        x = np.clip(running + step.input_bias, 0, self._a_max)
        x = x @ step.hidden
        x += step.hidden_bias
        np.floor(x, out=x)
        np.clip(x, 0, self._a_max, out=x)
        x = step.output @ x.T
        np.floor(x, out=x)
        # the bias is added to integers: together they may pass 2^24, where float32 would round
        logits = x.astype(np.int32)
        logits += step.output_bias
        return logits


def _float_step(step: ColumnStep, embedding: NDArray[np.int8], dtype: type[np.floating[Any]]) -> _Step:
    hidden_scale = np.ldexp(dtype(1), -step.hidden_shift.astype(np.int32))
    output_scale = np.ldexp(dtype(1), -step.output_shift.astype(np.int32))
    return _Step(
        step.input_bias.astype(dtype),
        np.ascontiguousarray((step.hidden_weights * hidden_scale[:, None]).T.astype(dtype)),
        (step.hidden_bias * hidden_scale).astype(dtype),
        (step.output_weights * output_scale[:, None]).astype(dtype),
        step.output_bias[:, None],
        embedding.astype(dtype),
    )
