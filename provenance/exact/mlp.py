"""Architecture 1 on whole batches: noise bytes through the layers to all columns' logits at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from provenance.exact.columns import CodeSampler, low_halves
from provenance.exact.mlp_model import MlpModel
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
from provenance.exact.tables import load_tables


class MlpForward:
    """The layers of one model as float matrices. `dtype` float32 is the fast one; float64 gives the same integers."""

    def __init__(self, model: MlpModel, dtype: FloatType = np.float32) -> None:
        output = model.output
        self.dtype = cost_type(output.weights, output.bias, output.shift, model.a_max, dtype)
        self._a_max = self.dtype(model.a_max)
        self._hidden = [
            folded_hidden(layer.weights, layer.bias, layer.shift, self.dtype) for layer in model.hidden
        ]
        self._output = folded_output(output.weights, output.bias, output.shift, self.dtype)
        self._latent, self._latent_words = model.latent, model.latent_words
        self._normal = load_tables().normal.tobytes()
        self._book = model.codebook
        self._scratch = Scratch()
        self._sampler = CodeSampler(model.codebook)

    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of the rows' noise words uint64[rows, words], which may be overwritten."""
        rows, columns = len(words), self._book.columns
        latent = np.ascontiguousarray(words[:, : self._latent_words], dtype="<u8").tobytes()
        normal = np.frombuffer(latent.translate(self._normal), dtype=np.uint8).reshape(rows, -1)
        costs = self.costs(normal[:, : self._latent].T)
        column_words = np.ascontiguousarray(words[:, self._latent_words : self._latent_words + columns].T)
        halves = low_halves(column_words)
        codes = np.empty((columns, rows), dtype=np.intp)
        for column in range(columns):
            cumulative = self._sampler.cumulative(costs[self._book.column_codes(column)])
            codes[column] = self._sampler.codes(cumulative, halves[column])
        return self._sampler.values(codes, column_words)

    def costs(self, latent: NDArray[np.uint8]) -> Floats:
        """[D, rows] of the latent inputs uint8[Z, rows]: the floor is the negated logit, in 1/64 nat. Void at
        the next call in the same thread."""
        # inputs are row-major here, each row followed by the 1 that carries the bias
        rows = latent.shape[1]
        lines = self._scratch.array("latent", (rows, self._latent + 1), self.dtype)
        lines[:, :-1] = latent.T
        lines[:, -1] = 1
        x: Floats = lines.T
        for i, weights in enumerate(self._hidden):
            y = self._scratch.array(f"hidden {i}", (len(weights) + 1, rows), self.dtype)
            product(weights, x, y[:-1])
            y[-1] = 1
            activate(y, self._a_max)
            x = y
        costs = self._scratch.array("costs", (self._book.codes, rows), self.dtype)
        product(self._output, x, costs)
        return costs
