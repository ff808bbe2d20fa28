"""Squared loss between released tables and the generator's EXPECTED tables; no rows are sampled.

For a product of softmaxes the expected table is the mean over latents of p_i p_j (p_t): exact given the
latents. Two independent half batches A and B give the unbiased loss sum w (E_A - target) (E_B - target),
whose expectation is the squared error itself and not squared error plus variance. Weights are 1 / (m + 0.002
+ std^2 * rows), m the cell's probability under independence: the inverse of sampling variance plus noise
variance per row, regularised. Noisy tables are shrunk first (`shrink.py`).

Two more terms of the same form. The columns' own tables by class of the target, averaged over all tables that
tell of them (`classes.py`): without it a small net fits noise in many tables and loses what they agree on. And,
for pairs of columns in no table, the prior that they depend on the target alone, held as if it had been released
with much noise.

All tables are kept as one dense [T, D, D] block (T codes of the target, or 1), so that a step is four matrix
products and no gather.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from generator.errors import LearningError
from generator.marginals.classes import class_marginals
from generator.marginals.shrink import shrunk_tables
from generator.marginals.target import MarginalTarget

WEIGHT_FLOOR = 0.002
PRIOR_NOISE = 0.1
CLASS_WEIGHT = 2.0
_MAX_DENSE = 64_000_000


class MarginalLoss:
    """Loss of one target; `value_and_gradient_surrogate` yields what to call backward on."""

    def __init__(self, target: MarginalTarget) -> None:
        workload = target.workload
        counts = workload.code_counts
        self._start = np.cumsum([0, *counts])
        self.third = workload.target
        classes = 1 if self.third is None else counts[self.third]
        codes = int(self._start[-1])
        if classes * codes * codes > _MAX_DENSE:
            raise LearningError(
                f"{codes} codes and {classes} target classes need too large a table; declare coarser grids, fewer "
                "categories, or no target"
            )
        self._classes = class_marginals(target.probabilities, target.std, workload)
        self._probabilities = shrunk_tables(target, self._classes)
        self._noise = target.std**2 * target.rows
        self._wanted = torch.zeros(classes, codes, codes)
        self._weight = torch.zeros(classes, codes, codes)
        self._place_prior(len(counts))
        for index, table in enumerate(workload.tables):
            if self.third is None or len(table) == 3:
                self._place_table(target, index)
        self._place_classes(target)

    def _span(self, column: int) -> slice:
        return slice(int(self._start[column]), int(self._start[column + 1]))

    def _place_prior(self, columns: int) -> None:
        for first in range(columns):
            for second in range(first + 1, columns):
                if self.third in (first, second):
                    continue
                spans = self._span(first), self._span(second)
                prior = torch.from_numpy(self._classes.independent(*spans).astype(np.float32))
                self._wanted[:, spans[0], spans[1]] = prior
                self._weight[:, spans[0], spans[1]] = 1.0 / (prior + WEIGHT_FLOOR + PRIOR_NOISE)

    def _place_table(self, target: MarginalTarget, index: int) -> None:
        table = target.workload.tables[index]
        spans = [self._span(column) for column in table]
        ones = [self._classes.univariate[span] for span in spans]
        block = self._probabilities[target.workload.offsets[index] : target.workload.offsets[index + 1]]
        cells = block.reshape([len(one) for one in ones])
        independent = np.multiply.outer(ones[0], ones[1])[..., None]
        if len(table) == 2:
            cells = cells[..., None]
        else:
            independent = independent * ones[2]
        weight = 1.0 / (independent + WEIGHT_FLOOR + self._noise)
        first, second = spans[:2]
        if table[0] > table[1]:  # the prior lies above the diagonal only
            self._weight[:, second, first] = 0.0
        self._wanted[:, first, second] = torch.from_numpy(np.moveaxis(cells, 2, 0).astype(np.float32))
        self._weight[:, first, second] = torch.from_numpy(np.moveaxis(weight, 2, 0).astype(np.float32))

    def _place_classes(self, target: MarginalTarget) -> None:
        known = self._classes
        noise = np.repeat(known.variances, target.workload.code_counts) * target.rows
        weight = CLASS_WEIGHT / (np.outer(known.classes, known.univariate) + WEIGHT_FLOOR + noise)
        if self.third is not None:
            weight[:, self._span(self.third)] = 0.0
        self._class_wanted = torch.from_numpy(known.probabilities.astype(np.float32))
        self._class_weight = torch.from_numpy(weight.astype(np.float32))

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
        by_class = self._class_loss(first, second)
        return loss + float(by_class.detach()), surrogate + by_class

    def _class_loss(self, first: Tensor, second: Tensor) -> Tensor:
        """The term of the columns' tables by class; small, so autograd takes it as it stands."""
        residuals = [
            self._gates(half).squeeze(2).expand(-1, len(half)) @ half / len(half) - self._class_wanted
            for half in (first, second)
        ]
        return (self._class_weight * residuals[0] * residuals[1]).sum()

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
