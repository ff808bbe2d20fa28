"""The tables every other rests on: how each column is distributed within each class of the target.

Every released table that holds the column says something about it; the estimates are averaged by the inverse
of their noise variance, then moved to the nearest probabilities. Post-processing: free of privacy cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.workload import Workload

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassMarginals:
    """probabilities float64[T, D]: of class and code together, each column's part sums to 1 (T is 1 without a
    target; of the target's own codes only the diagonal is not 0). classes float64[T]: of the classes.
    variances float64[C]: noise variance of a cell of each column.
    """

    probabilities: Floats
    classes: Floats
    variances: Floats

    @property
    def univariate(self) -> Floats:
        """Univariate probabilities float64[D]."""
        return np.asarray(self.probabilities.sum(axis=0))

    def independent(self, first: slice, second: slice) -> Floats:
        """Probabilities float64[T, codes, codes] of two columns' codes if they depend on the class alone."""
        left = self.probabilities[:, first, None] / self.classes[:, None, None]
        return np.asarray(left * self.probabilities[:, None, second])


def class_marginals(probabilities: Floats, std: float, workload: Workload) -> ClassMarginals:
    """Of released cell probabilities float64[K] with noise of `std` in the tables of weight 1."""
    target = workload.target
    classes = 1 if target is None else workload.code_counts[target]
    columns = len(workload.code_counts)
    sums = [np.zeros((classes, count)) for count in workload.code_counts]
    precisions = np.zeros(columns)
    for index, table in enumerate(workload.tables):
        block = probabilities[workload.offsets[index] : workload.offsets[index + 1]]
        block = block.reshape([workload.code_counts[column] for column in table])
        if target is None:
            block = block[..., None]
        for axis, column in enumerate(c for c in table if c != target):
            others = tuple(a for a in range(block.ndim - 1) if a != axis)
            found = block.sum(axis=others).T
            precision = workload.weights[index] ** 2 * found.size / block.size
            sums[column] += precision * found
            precisions[column] += precision
    present = np.flatnonzero(precisions)
    if len(present) < columns - (target is not None):
        raise MarginalError("a column is in no table of the workload; release one for every column")
    for column in range(columns):
        if precisions[column]:
            sums[column] /= precisions[column]
    shares = _classes(
        [sums[c].sum(axis=1) for c in present], [precisions[c] / sums[c].shape[1] for c in present]
    )
    parts = [
        np.diag(shares) if column == target else _nearest_probabilities(sums[column], shares)
        for column in range(columns)
    ]
    variances = np.zeros(columns)
    variances[present] = std**2 / precisions[present]
    return ClassMarginals(np.concatenate(parts, axis=1), shares, variances)


def nearest_to_total(counts: Floats, total: float) -> Floats:
    """The non-negative counts of this total that are nearest: noise in empty cells cancels instead of adding
    up.
    """
    if total <= 0:
        return np.zeros_like(counts)
    ordered = np.sort(counts)[::-1]
    shift = (np.cumsum(ordered) - total) / np.arange(1, len(ordered) + 1)
    last = int(np.flatnonzero(ordered - shift >= 0)[-1])
    return np.asarray(np.maximum(counts - shift[last], 0.0))


_SMALLEST_CLASS = 1e-6


def _classes(estimates: list[Floats], precisions: list[float]) -> Floats:
    found = np.average(np.stack(estimates), axis=0, weights=precisions)
    found = np.maximum(nearest_to_total(found, 1.0), _SMALLEST_CLASS)
    return np.asarray(found / found.sum())


def _nearest_probabilities(noisy: Floats, shares: Floats) -> Floats:
    return np.stack([nearest_to_total(row, share) for row, share in zip(noisy, shares, strict=True)])
