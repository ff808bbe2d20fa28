"""The network on whole batches: integers carried by floats, so that BLAS may run at full speed.
 Every partial sum is below 2^24 (proved when the model was decoded), so float32 products are exact in any
order; dividing by a power of two and flooring is exact too. Arrays are feature-major: [features, rows].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.exact.columns import ColumnSampler
from provenance.exact.mlp_model import MlpModel
from provenance.exact.philox import Words
from provenance.exact.tables import load_tables

Floats = NDArray[np.floating[Any]]


class MlpForward:
    """The layers of one model as float matrices. `dtype` float32 is the fast one; float64 gives the same
    integers."""

    def __init__(self, model: MlpModel, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._a_max = dtype(model.a_max)
        self._hidden = [
            (layer.weights.astype(dtype), layer.bias.astype(dtype)[:, None], _scales(layer.shift, dtype))
            for layer in model.hidden
        ]
        self._output = (model.output.weights.astype(dtype), _scales(model.output.shift, dtype))
        self._bias = model.output.bias[:, None]
        self._latent, self._latent_words = model.latent, model.latent_words
        self._normal = load_tables().normal
        self._book = model.codebook
        self._columns = ColumnSampler(model.codebook)
        self.dtype = dtype

    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[rows, C] of the rows' noise words uint64[rows, words]."""
        little_endian = np.ascontiguousarray(words[:, : self._latent_words], dtype="<u8")
        latent_bytes = little_endian.view(np.uint8)[:, : self._latent]
        logits = self.logits(self._normal[np.ascontiguousarray(latent_bytes.T)])
        result = np.empty((len(words), self._book.columns), dtype=np.int64)
        for column in range(self._book.columns):
            word = np.ascontiguousarray(words[:, self._latent_words + column])
            code = self._columns.codes(logits[self._book.column_codes(column)], word)
            result[:, column] = self._columns.values(column, code, word)
        return result

    def logits(self, latent: NDArray[np.uint8]) -> NDArray[np.int32]:
        """int32[D, rows] in 1/64 nat of the latent inputs uint8[Z, rows]."""
        x: Floats = latent.astype(self.dtype)
        for weights, bias, scales in self._hidden:
            x = weights @ x
            x += bias
            x *= scales
            np.floor(x, out=x)
            np.clip(x, 0, self._a_max, out=x)
        weights, scales = self._output
        x = weights @ x
        x *= scales
        np.floor(x, out=x)
        # the bias is added to integers: together they may pass 2^24, where float32 would round
        logits = x.astype(np.int32)
        logits += self._bias
        return logits


def _scales(shift: NDArray[np.uint8], dtype: type[np.floating[Any]]) -> Floats:
    return np.ldexp(dtype(1), -shift.astype(np.int32)).astype(dtype)[:, None]
