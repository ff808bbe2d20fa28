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
    folded_hidden,
    folded_output,
    logit_type,
    product,
)
from provenance.exact.tables import load_tables


class MlpForward:
    """The layers of one model as float matrices. `dtype` float32 is the fast one; float64 gives the same
    integers."""

    def __init__(self, model: MlpModel, dtype: FloatType = np.float32) -> None:
        output = model.output
        self.dtype = logit_type(output.weights, output.shift, output.bias, model.a_max, dtype)
        self._a_max = self.dtype(model.a_max)
        self._hidden = [
            folded_hidden(layer.weights, layer.bias, layer.shift, self.dtype) for layer in model.hidden
        ]
        self._output = folded_output(output.weights, output.shift, self.dtype)
        self._bias = output.bias.astype(self.dtype)[:, None]
        self._latent, self._latent_words = model.latent, model.latent_words
        self._normal = load_tables().normal.tobytes()
        self._book = model.codebook
        self._sampler = CodeSampler(model.codebook)

    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of the rows' noise words uint64[rows, words]."""
        rows, columns = len(words), self._book.columns
        latent = np.ascontiguousarray(words[:, : self._latent_words], dtype="<u8").tobytes()
        normal = np.frombuffer(latent.translate(self._normal), dtype=np.uint8).reshape(rows, -1)
        logits = self.logits(normal[:, : self._latent].T)
        column_words = np.ascontiguousarray(words[:, self._latent_words : self._latent_words + columns].T)
        halves = low_halves(column_words)
        codes = np.empty((columns, rows), dtype=np.intp)
        for column in range(columns):
            cumulative = self._sampler.cumulative(logits[self._book.column_codes(column)])
            codes[column] = self._sampler.codes(cumulative, halves[column])
        return self._sampler.values(codes, column_words)

    def logits(self, latent: NDArray[np.uint8]) -> Floats:
        """Integers [D, rows] in 1/64 nat of the latent inputs uint8[Z, rows]."""
        # inputs are row-major here, each row followed by the 1 that carries the bias
        x: Floats = np.ones((latent.shape[1], self._latent + 1), dtype=self.dtype)
        x[:, :-1] = latent.T
        x = x.T
        for weights in self._hidden:
            x = product(weights, x, append_one=True)
            activate(x, self._a_max)
        logits = product(self._output, x[:-1])
        np.floor(logits, out=logits)
        logits += self._bias
        return logits
