"""Combining contributors' updates: sum, FedAvg mean, coordinate-wise trimmed mean, norm bound.

Inputs are one array a contributor, all of one shape. Sums run in the order given, in float64, so the same
updates give the same bytes. An update that is left out is named: who, in which step, and why.

FedAvg: McMahan et al. 2017 (arXiv:1602.05629). Trimmed mean: Yin et al. 2018 (arXiv:1803.01498). The norm
bound keeps one contributor from outweighing the others, it does not detect a careful attacker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import UpdatesRejected
from provenance.values import Address

Vector = NDArray[np.float64]
LONGEST = 4.0
"""Of the median length: a longer update is left out, or shortened to it."""
TRIM = 1
"""Smallest and largest values that the trimmed mean leaves out of each coordinate."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """An update that was left out of a step."""

    contributor: Address
    step: str
    reason: str


def summed(arrays: Sequence[Vector]) -> Vector:
    """Elementwise sum of one array a contributor."""
    total = np.array(arrays[0], dtype=np.float64)
    for array in arrays[1:]:
        total = total + array
    return total


def weighted_mean(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """FedAvg: sum_k w_k v_k / sum_k w_k. weights: declared training rows, never counted ones."""
    total = summed([np.asarray(v, dtype=np.float64) * w for v, w in zip(vectors, weights, strict=True)])
    return np.asarray(total / sum(weights), dtype=np.float64)


def trimmed_mean(vectors: Sequence[Vector], trim: int) -> Vector:
    """Mean of each coordinate without its `trim` smallest and largest; needs more than 2 * trim vectors."""
    if len(vectors) <= 2 * trim:
        raise UpdatesRejected(
            f"trimming {trim} from each side needs more than {2 * trim} updates, {len(vectors)} came"
        )
    ordered = np.sort(np.stack([np.asarray(v, dtype=np.float64) for v in vectors]), axis=0)
    kept = ordered[trim : len(vectors) - trim]
    return np.asarray(kept.mean(axis=0), dtype=np.float64)


def bounded(change: Vector, bound: float) -> Vector:
    """The change scaled down to Euclidean length `bound` if it is longer."""
    length = float(np.linalg.norm(change))
    return change if length <= bound else change * (bound / length)


def outliers(
    changes: Mapping[Address, Vector], step: str
) -> tuple[dict[Address, Vector], tuple[Flagged, ...]]:
    """Separate updates of the wrong shape or implausible length from the others.

    Implausible: longer than LONGEST times the median length. Raises UpdatesRejected if fewer than half of the
    updates are left.
    """
    shapes = [change.shape for change in changes.values()]
    shape = max(set(shapes), key=shapes.count)
    sound = {node: change for node, change in changes.items() if change.shape == shape}
    flagged = [
        Flagged(node, step, f"update of shape {change.shape}, the others have {shape}")
        for node, change in changes.items()
        if change.shape != shape
    ]
    lengths = {node: float(np.linalg.norm(change)) for node, change in sound.items()}
    limit = LONGEST * float(np.median(list(lengths.values())))
    for node, length in lengths.items():
        if length > limit:
            flagged.append(
                Flagged(node, step, f"update of length {length:.3g}, at most {limit:.3g} is plausible")
            )
            del sound[node]
    if 2 * len(sound) < len(changes):
        names = "; ".join(f"{f.contributor}: {f.reason}" for f in flagged)
        raise UpdatesRejected(
            f"only {len(sound)} of {len(changes)} updates in {step} are plausible ({names})"
        )
    return sound, tuple(flagged)


def combine(
    start: Vector,
    updates: Mapping[Address, Vector],
    weights: Mapping[Address, float],
    *,
    step: str,
    method: str = "mean",
) -> tuple[Vector, tuple[Flagged, ...]]:
    """One round of averaging: start plus the combined changes (update - start), poisoned ones left out and named.

    method "mean": FedAvg of the changes, each bounded to LONGEST times the median length. method "trimmed":
    coordinate-wise trimmed mean. With two contributors no majority exists, so only the bound protects.
    """
    changes: dict[Address, Vector] = {}
    misshapen: list[Flagged] = []
    for node, vector in updates.items():
        if vector.shape == start.shape:
            changes[node] = np.asarray(vector, dtype=np.float64) - start
        else:
            misshapen.append(Flagged(node, step, f"update of shape {vector.shape}, expected {start.shape}"))
    if 2 * len(changes) < len(updates) or not changes:
        raise UpdatesRejected(
            f"only {len(changes)} of {len(updates)} updates in {step} have the expected shape"
        )
    sound, flagged = outliers(changes, step)
    names = list(sound)
    if method == "trimmed" and len(names) > 2 * TRIM:
        change = trimmed_mean([sound[n] for n in names], TRIM)
    else:
        limit = LONGEST * float(np.median([float(np.linalg.norm(sound[n])) for n in names]))
        change = weighted_mean([bounded(sound[n], limit) for n in names], [weights[n] for n in names])
    return start + change, (*misshapen, *flagged)
