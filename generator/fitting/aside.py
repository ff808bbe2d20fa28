"""Rows that a fit without epsilon never sees, so that somebody can tell what its model gives away."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.federation.state import rows_held_out
from provenance.table.persons import Rows

ASIDE_FROM_ROWS: Final = 2_000
"""Smaller tables need every row: what their models give away is measured on fits of four rows in five."""
_ASIDE_DIVISOR: Final = 20
_ASIDE_ENOUGH: Final = 1_200


def set_aside(rows: Rows, secret: bytes, epsilon: float | None) -> NDArray[np.bool_]:
    """Rows to set aside, bool[rows], whole persons where there are: about one in twenty, about 1,200 at most; none
    under epsilon or of few rows.

    secret: of the table's owner, so that the same rows are found again, and none of them trains on the owner's node.
    """
    count = len(rows.values)
    if epsilon is not None or count < ASIDE_FROM_ROWS:
        return np.zeros(count, dtype=np.bool_)
    return rows_held_out(rows, secret, max(_ASIDE_DIVISOR, count / _ASIDE_ENOUGH))
