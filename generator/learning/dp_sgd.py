"""One step of DP-SGD in named stages, the same for both nets that train on private rows.

    poisson_sample        every unit, a row or a person with its rows, is in the batch with probability `sample_rate`,
                          independently of the others
    clip_and_accumulate   every row's gradient scaled to Euclidean norm `max_grad_norm` if it is longer; their sum,
                          in whole steps of a power of two
    add_noise             N(0, (noise_multiplier * unit_rows * max_grad_norm)^2) on each number of the sum, rounded to a
                          step: the release
    scale_grad            the sum over the expected batch; post-processing

Rounding is inside the sensitivity: rows are clipped to a little less than `max_grad_norm`, and what is left covers the
rounding of two sums to the grid, at most sqrt(P) steps, and that of the arithmetic before it, at most 2^-7 of that
norm. A person's k rows move the sum by k times what a row does at the most, and have a k-th of the rounding each.
docs/spec/noise.md has the argument.

After Abadi et al. 2016 (arXiv:1607.00133); stages and names as in Opacus (`optimizers/optimizer.py`). Batches and
noise come from the operating system's entropy. `n` steps are one SubsampledGaussianEvent(noise_multiplier,
sample_rate, n), which the caller has in its privacy ledger beforehand. Where noise is distributed, a contributor
adds its share in place of `add_noise` (`privacy.secure_sum`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.errors import LearningError, PrivacyError
from generator.privacy import noise
from generator.privacy.units import Units

Flat: TypeAlias = NDArray[np.float32]
ClippedSum: TypeAlias = Callable[[float], NDArray[np.float64]]
"""A batch's sum of gradients float64[P], every row's first scaled to the given norm if it is longer. A further row
moves it by that norm and rounding of at most `_ARITHMETIC` of the norm."""
_LEAST_NORM = 1e-12
_GRID = 2.0**-11
_ARITHMETIC = 2.0**-7
_MOST_FOR_ROUNDING = 0.1


@dataclass(frozen=True, slots=True)
class DPSGD:
    """sample_rate: Poisson rate of every unit, a public figure. noise_multiplier: the noise's standard
    deviation over what a unit adds at the most, unit_rows * max_grad_norm. expected_batch_size: what
    `scale_grad` divides by, of DECLARED rows; None leaves the sum, for optimisers that do not see a scale.
    unit_rows: the schema's.
    """

    sample_rate: float
    noise_multiplier: float
    max_grad_norm: float
    expected_batch_size: float | None = None
    unit_rows: int = 1

    def __post_init__(self) -> None:
        figures = (self.noise_multiplier, self.max_grad_norm, self.unit_rows)
        if not (0 < self.sample_rate <= 1 and all(figure > 0 for figure in figures)):
            raise LearningError(
                f"{self}: expected a sample rate in (0, 1], and a noise multiplier, a norm and unit rows above 0"
            )

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on each number of a sum."""
        return self.noise_multiplier * self.unit_rows * self.max_grad_norm

    def poisson_sample(self, units: Units) -> NDArray[np.int64]:
        """Indices of a step's rows. LearningError where a unit may have more rows than the noise is for."""
        if units.most > self.unit_rows:
            raise LearningError(
                f"the noise is for {self.unit_rows} rows of one unit, the table has up to {units.most} of one"
            )
        return units.poisson_sample(self.sample_rate)

    def exponent(self, size: int) -> int:
        """Of the grid that sums of `size` numbers are released on: sqrt(size) steps are at most 2^-11 of the norm."""
        return math.floor(math.log2(self.max_grad_norm * _GRID / math.sqrt(size)))

    def clip_and_accumulate(
        self, clipped_sum: ClippedSum, size: int, exponent: int | None = None
    ) -> NDArray[np.int64]:
        """The batch's sum of clipped gradients [size] in steps of 2^exponent (`exponent` where none is given).
        Private: add noise before it leaves.

        Raises PrivacyError for a grid so coarse that rounding takes a tenth of the norm.
        """
        exponent = self.exponent(size) if exponent is None else exponent
        rounding = _ARITHMETIC * self.max_grad_norm + math.sqrt(size) * 2.0**exponent / self.unit_rows
        if rounding > _MOST_FOR_ROUNDING * self.max_grad_norm:
            raise PrivacyError(
                f"rounding {size} numbers to steps of 2^{exponent} can move them by {rounding:.3g}, a tenth of the "
                f"clip norm {self.max_grad_norm:g} is the most: ask for fewer rows a round or a larger clip norm"
            )
        return np.rint(np.ldexp(clipped_sum(self.max_grad_norm - rounding), -exponent)).astype(np.int64)

    def add_noise(self, summed_grad: NDArray[np.int64]) -> Flat:
        """A step's release, of a sum in the steps of `exponent`."""
        exponent = self.exponent(len(summed_grad))
        noisy = summed_grad + noise.gaussian(len(summed_grad), self.noise_std, exponent)
        return noise.from_steps(noisy, exponent).astype(np.float32)

    def scale_grad(self, grad: Flat) -> Flat:
        """The mean gradient of the expected batch."""
        return grad if self.expected_batch_size is None else grad * np.float32(1 / self.expected_batch_size)

    def release(self, clipped_sum: ClippedSum, size: int) -> Flat:
        """The noisy sum of clipped gradients, float32[size]."""
        return self.add_noise(self.clip_and_accumulate(clipped_sum, size))

    def step(self, clipped_sum: ClippedSum, size: int) -> Flat:
        """The gradient that the optimiser takes, float32[size]."""
        return self.scale_grad(self.release(clipped_sum, size))


def clip_factor(norms: Tensor, max_grad_norm: float) -> Tensor:
    """What scales gradients of these norms [n] to at most `max_grad_norm`, [n]."""
    return torch.clamp(max_grad_norm / norms.clamp_min(_LEAST_NORM), max=1.0)
