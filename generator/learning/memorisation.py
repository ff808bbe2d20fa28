"""How well a net's exact likelihood tells rows that trained from rows that did not, and how well it may. numpy only."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MEMORISATION_GATE = 0.60
"""Largest area under the curve at which a net still passes, beside two standard errors of the estimate."""


def memorisation(seen: NDArray[np.float64], unseen: NDArray[np.float64]) -> float:
    """Area under the ROC curve of telling rows that trained from others by their log-likelihoods; 0.5 for none."""
    ordered = np.sort(unseen)
    below = np.searchsorted(ordered, seen, side="left") + np.searchsorted(ordered, seen, side="right")
    return float(below.mean() / (2 * len(unseen)))


def passes_gate(area: float, seen: int, unseen: int) -> bool:
    """Whether an area under the curve, estimated on so many rows, may be within the gate."""
    error = math.sqrt((1 / seen + 1 / unseen) / 12)
    return area <= MEMORISATION_GATE + 2 * error
