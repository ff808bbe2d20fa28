"""Rows that repeat a training row exactly. Real tables repeat themselves, so the rate alone says little: it is
read against the rate of rows that never trained.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.int64]


def copy_rate(rows: Values, training: Values) -> float:
    """Share of rows int64[n, C] that are equal in every column to some training row int64[m, C]; 0 for no rows."""
    return float(np.isin(_keys(rows), _keys(training)).mean()) if len(rows) else 0.0


def _keys(rows: Values) -> NDArray[np.void]:
    """One comparable value a row: its bytes."""
    tight = np.ascontiguousarray(rows, dtype=">i8")
    return tight.view(np.dtype((np.void, 8 * rows.shape[1]))).ravel()
