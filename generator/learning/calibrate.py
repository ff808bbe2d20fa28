"""Output biases at which the net's univariate marginals are the released ones. numpy only.

DP-SGD leaves noise in the biases; the released tables know the univariate marginals better, and moving a bias to
them costs no privacy. Columns are set one after another, on rows drawn from the net as corrected so far.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.learning.autoregressive import OUTPUT_BIAS, Flat, NetShape, column_logits, draw_column

_ROWS = 16_384
_PASSES = 12
_STEP = 0.8
_LEAST = 1e-5


def match_univariate(
    shape: NetShape, flat: Flat, univariate: NDArray[np.float64], random: np.random.Generator
) -> Flat:
    """Weights like `flat` whose columns have the probabilities float64[D]; equal generators, equal weights."""
    if univariate.shape != (shape.codes,):
        raise LearningError(f"univariate marginals have shape {univariate.shape}; expected ({shape.codes},)")
    matched = flat.copy()
    running = np.zeros((_ROWS, shape.width), dtype=np.float32)
    for column, own in enumerate(shape.spans):
        wanted = np.maximum(univariate[own], _LEAST)
        wanted /= wanted.sum()
        logits = column_logits(shape, matched, column, running)
        shift = np.zeros(len(wanted))
        for _ in range(_PASSES):
            weights = np.exp(logits + shift - (logits + shift).max(axis=1, keepdims=True))
            found = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
            shift += _STEP * np.log(wanted / np.maximum(found, _LEAST / 100))
        shape.view(matched, OUTPUT_BIAS)[own] += (shift - shift.mean()).astype(np.float32)
        draw_column(shape, matched, column, running, random)
    return matched
