"""What a net has learnt by heart: how well an attacker tells the rows that trained from rows that did not.

The attacker scores a row by its log-likelihood under the net minus that under a reference, which has the columns of the
rows that trained and nothing between them. Without a reference rare rows hide what was learnt: of 250 rows of German
credit, trained at decay 3, the plain likelihood tells .70, this score .80, and one against other rows' columns .82.

What the columns alone tell of a row is in every net, and not in this figure: `tessera audit` has it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

MEMORISATION_GATE: Final = 0.60
"""Largest area under the curve at which a net passes."""
_ONE_SIDED: Final = 1.645
"""Of the normal law: a net that has learnt nothing by heart fails once in twenty."""


def memorisation(seen: NDArray[np.float64], unseen: NDArray[np.float64]) -> float:
    """Area under the ROC curve of telling rows that trained from others by their scores; 0.5 for none."""
    ordered = np.sort(unseen)
    below = np.searchsorted(ordered, seen, side="left") + np.searchsorted(ordered, seen, side="right")
    return float(below.mean() / (2 * len(unseen)))


def passes_gate(area: float, seen: int, unseen: int) -> bool:
    """Whether an area under the curve, estimated on so many rows, is within the gate or no more than chance gives.

    The deviation of chance is that of Mann and Whitney (1947). At 225 rows against 25 chance ends at the gate, .60.
    """
    chance = math.sqrt((1 / seen + 1 / unseen) / 12)
    return area <= max(MEMORISATION_GATE, 0.5 + _ONE_SIDED * chance)
