"""Independent columns, counted: what every generator knows, and the cheapest reference of an attacker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codes


def columns_likelihood(counted: Codes, codes: Codes, code_counts: Sequence[int]) -> NDArray[np.float64]:
    """log p float64[n] of codes [n, C] under independent columns, counted on codes [m, C], half a row more a code."""
    total = np.zeros(len(codes))
    for column, size in enumerate(code_counts):
        counts = np.bincount(counted[:, column], minlength=size) + 0.5
        total += np.log(counts / counts.sum())[codes[:, column]]
    return total
