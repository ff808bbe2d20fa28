"""Squared loss between released tables and the generator's EXPECTED tables; no rows are sampled.

For a product of softmaxes the expected table is the mean over latents of p_i p_j (p_t): exact given the
latents. Two independent half batches A and B give the unbiased loss sum w (E_A - target) (E_B - target),
whose expectation is the squared error itself and not squared error plus variance. Weights are 1 / (m + 0.002
+ std^2 * rows), m the cell's probability under independence: the inverse of sampling variance plus noise
variance per row, regularised.

All tables are kept as one dense [T, D, D] block (T codes of the target, or 1), so that a step is four matrix
products and no gather.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.learning.errors import LearningError
from generator.marginals.target import MarginalTarget, one_way_marginals

WEIGHT_FLOOR = 0.002
_MAX_DENSE = 64_000_000


class MarginalLoss:
    """Loss of one target; `value_and_gradient_surrogate` yields what to call backward on."""

    def __init__(self, target: MarginalTarget) -> None:
        workload = target.workload
        counts = workload.code_counts
        self._start = np.cumsum([0, *counts])
        self.third = _third_column(target)
        classes = 1 if self.third is None else counts[self.third]
        codes = int(self._start[-1])
        if classes * codes * codes > _MAX_DENSE:
            raise LearningError(
                f"{codes} codes and {classes} target classes need too large a table; declare coarser grids, fewer "
                "categories, or no target"
            )
        self.one_way = one_way_marginals(target)
        self._wanted = torch.zeros(classes, codes, codes)
        self._weight = torch.zeros(classes, codes, codes)
        noise = target.std**2 * target.rows
        for index, table in enumerate(workload.tables):
            block = target.probabilities[workload.offsets[index] : workload.offsets[index + 1]]
            self._place(table, block, noise)

    def _place(self, table: tuple[int, ...], block: NDArray[np.float64], noise: float) -> None:
        first, second = (slice(int(self._start[c]), int(self._start[c + 1])) for c in table[:2])
        ones = [self.one_way[self._start[c] : self._start[c + 1]] for c in table]
        independent = np.multiply.outer(ones[0], ones[1])
        cells = block.reshape([len(one) for one in ones])
        if len(table) == 2:
            independent, cells = independent[..., None], cells[..., None]
        else:
            independent = independent[..., None] * ones[2]
        weight = 1.0 / (independent + WEIGHT_FLOOR + noise)
        self._wanted[:, first, second] = torch.from_numpy(np.moveaxis(cells, 2, 0).astype(np.float32))
        self._weight[:, first, second] = torch.from_numpy(np.moveaxis(weight, 2, 0).astype(np.float32))

    def __call__(self, first: Tensor, second: Tensor) -> tuple[float, Tensor]:
        """(unbiased loss, surrogate) of two half batches of probabilities [B, D].

        The surrogate's gradient is the loss's gradient (its value is not the loss): the products are
        bilinear, so one product with the symmetrised residual replaces autograd through the table.
        """
        with torch.no_grad():
            residual_first = self._expected(first).sub_(self._wanted)
            residual_second = self._expected(second).sub_(self._wanted)
            loss = float((residual_first * self._weight * residual_second).sum())
            residual_first.mul_(self._weight)
            residual_second.mul_(self._weight)
        surrogate = self._bilinear(first, residual_second) + self._bilinear(second, residual_first)
        return loss, surrogate

    def _gates(self, probabilities: Tensor) -> Tensor:
        """Probability of each target class [T, B, 1], or ones [1, 1, 1]."""
        if self.third is None:
            return torch.ones(1, 1, 1)
        span = slice(int(self._start[self.third]), int(self._start[self.third + 1]))
        return probabilities[:, span].T.unsqueeze(2)

    def _expected(self, probabilities: Tensor) -> Tensor:
        gated = self._gates(probabilities) * probabilities
        return torch.matmul(gated.transpose(1, 2), probabilities).div_(len(probabilities))

    def _bilinear(self, probabilities: Tensor, weights: Tensor) -> Tensor:
        gates = self._gates(probabilities)
        with torch.no_grad():
            product = torch.matmul(probabilities, weights + weights.transpose(1, 2)).div_(len(probabilities))
        through_codes = (gates.detach() * product).sum(0) * probabilities
        if self.third is None:
            return through_codes.sum()
        through_target = 0.5 * (gates.squeeze(2) * (product * probabilities.detach()).sum(2))
        return through_codes.sum() + through_target.sum()


def _third_column(target: MarginalTarget) -> int | None:
    tables = target.workload.tables
    thirds = {table[2] for table in tables if len(table) == 3}
    if len(thirds) > 1 or (thirds and any(len(table) == 2 for table in tables)):
        raise LearningError(
            "the workload mixes targets; expected one target column in all tables, or in none"
        )
    return thirds.pop() if thirds else None
