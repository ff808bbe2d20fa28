"""The network on whole batches: integers carried by floats, so that BLAS may run at full speed.
 Every partial sum is below 2^24 (proved when the model was decoded), so float32 products are exact in any
order; dividing by a power of two and flooring is exact too. Arrays are feature-major: [features, rows].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.exact.model import MlpModel

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
        self.dtype = dtype

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
