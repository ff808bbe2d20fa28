"""Adam with decoupled decay and a running average of the weights, on one flat vector. numpy only.

The coordinator of a federated net and a net that trains alone take the same steps, bit for bit on equal
gradients. After Kingma and Ba 2015 (arXiv:1412.6980), Loshchilov and Hutter 2019 (arXiv:1711.05101).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.errors import LearningError

Flat = NDArray[np.float32]
_FIRST, _SECOND, _TINY = 0.9, 0.99, 1e-8


class Adam:
    """`weights` are updated in place; `average` follows them.

    decay: float32[P], decoupled weight decay of each number. averaging: the average's decay a step, reached
    after a warm-up so that a short fit is not dragged to its start.
    """

    def __init__(self, weights: Flat, decay: Flat, averaging: float, momentum: float = _FIRST) -> None:
        if decay.shape != weights.shape or not 0 <= averaging < 1:
            raise LearningError(f"decay has shape {decay.shape}, averaging is {averaging}; expected one "
                                f"decay a weight and 0 <= averaging < 1")  # fmt: skip
        self.weights = weights
        self.average = weights.copy()
        self.steps = 0
        self._decay = decay
        self._averaging = averaging
        self._momentum = momentum
        self.mean = np.zeros_like(weights)
        self.square = np.zeros_like(weights)
        self._scratch = np.empty_like(weights)

    def step(self, gradient: Flat, rate: float) -> None:
        """One step along a mean gradient at learning rate `rate`."""
        self.steps += 1
        mean, square, scratch = self.mean, self.square, self._scratch
        mean *= np.float32(self._momentum)
        mean += np.float32(1 - self._momentum) * gradient
        square *= np.float32(_SECOND)
        np.multiply(gradient, gradient, out=scratch)
        scratch *= np.float32(1 - _SECOND)
        square += scratch
        np.multiply(self._decay, np.float32(-rate), out=scratch)
        scratch *= self.weights
        self.weights += scratch
        np.divide(square, np.float32(1 - _SECOND**self.steps), out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += np.float32(_TINY)
        np.divide(mean, scratch, out=scratch)
        scratch *= np.float32(-rate / (1 - self._momentum**self.steps))
        self.weights += scratch
        keep = np.float32(min(self._averaging, (1 + self.steps) / (10 + self.steps)))
        np.subtract(self.weights, self.average, out=scratch)
        scratch *= np.float32(1) - keep
        self.average += scratch
