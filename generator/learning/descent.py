"""One training run of the autoregressive net: Adam on weights that neighbouring codes of a number share.

The codes of a number are bins in ascending order, and what bin 17 says about a row is nearly what bin 18
says. So what Adam steps is not the rows of embedding and output weights but `latent` ones, and the rows are
local averages of these (`neighbourhood`). It is a prior and no limit: the averages can take any value, but
what neighbours agree on is learnt faster, from all their rows, and decay pulls harder at what they do not.
Weights outside are the plain ones; nothing but this file knows of latent weights.

The coordinator of a federated net and a net that trains alone take the same steps. numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.learning.adam import Adam
from generator.learning.autoregressive import EMBEDDING, OUTPUT_WEIGHTS, Flat, NetShape, decay_mask
from generator.learning.recipes import Recipe

_ALONE = 0.1
_SPREADS = (1.5, 5.0)
_FEWEST_CODES = 4
_LATENT, _STEPS = "latent", "steps"


@lru_cache(maxsize=256)
def neighbourhood(codes: int) -> NDArray[np.float32]:
    """float32[codes, codes]: row i holds the shares of latent rows in row i; each row sums to 1.

    A tenth is the code's own, the rest comes from Gaussian windows of 1.5 and 5 codes.
    """
    distance = np.arange(codes)[:, None] - np.arange(codes)[None, :]
    shares = _ALONE * np.eye(codes)
    for spread in _SPREADS:
        window = np.exp(-(distance**2) / (2 * spread**2))
        shares += (1 - _ALONE) / len(_SPREADS) * window / window.sum(axis=1, keepdims=True)
    single = shares.astype(np.float32)
    single.setflags(write=False)
    return single


class Descent:
    """`weights` change in place with every step; `average` is the net to keep."""

    FIELDS: Final = (_LATENT, "mean", "square", "average")

    def __init__(self, shape: NetShape, start: Flat, recipe: Recipe) -> None:
        self._shape = shape
        self._recipe = recipe
        self._latent = start.copy()
        self._adam = Adam(self._latent, decay_mask(shape) * np.float32(recipe.decay), recipe.averaging)
        self.weights = self._shared(self._latent)

    @property
    def steps(self) -> int:
        """Steps taken."""
        return self._adam.steps

    @property
    def average(self) -> Flat:
        """The running average's weights."""
        return self._shared(self._adam.average)

    def step(self, gradient: Flat, fraction: float) -> None:
        """One step along the mean gradient by `weights`, when `fraction` of the recipe is done."""
        self._adam.step(self._shared(gradient, transposed=True), self._recipe.rate_at(fraction))
        self.weights[:] = self._shared(self._latent)

    def state(self) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
        """Everything that the next step depends on, as arrays; `restore` is the inverse."""
        return {
            _LATENT: self._latent.copy(),
            "mean": self._adam.mean.copy(),
            "square": self._adam.square.copy(),
            "average": self._adam.average.copy(),
            _STEPS: np.array([self.steps], dtype=np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on where `state` was taken, on the same shape and recipe; LearningError if it does not fit."""
        fits = all(name in state and state[name].shape == self._latent.shape for name in self.FIELDS)
        if not fits or _STEPS not in state:
            raise LearningError(
                f"the kept training does not fit a net of {self._latent.size} numbers; remove it to train anew"
            )
        self._latent[:] = state[_LATENT]
        self._adam.mean[:], self._adam.square[:] = state["mean"], state["square"]
        self._adam.average[:] = state["average"]
        self._adam.steps = int(state[_STEPS][0])
        self.weights[:] = self._shared(self._latent)

    def _shared(self, flat: Flat, *, transposed: bool = False) -> Flat:
        result = flat.copy()
        for name in (EMBEDDING, OUTPUT_WEIGHTS):
            rows = self._shape.view(result, name)
            for start, ordered in zip(self._shape.offsets, self._shape.ordered, strict=False):
                if ordered >= _FEWEST_CODES:
                    own = slice(start, start + ordered)
                    shares = neighbourhood(ordered)
                    rows[own] = (shares.T if transposed else shares) @ rows[own]
        return result
