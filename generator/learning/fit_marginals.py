"""Fitting a generator to released tables. Post-processing: it reads no private row and spends no privacy.

Adam with a cosine learning rate on the unbiased marginal loss; the result is the running average of the
weights. `seed` fixes initialisation and latent batches. The number of steps is fixed before the first one; a
deadline can only cut it short, and then the learning rate follows the time that is left, so that a short fit
still anneals.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.learning.adam import Adam
from generator.learning.marginal_loss import MarginalLoss
from generator.learning.nets import MarginalNet, NetSettings
from generator.marginals.target import MarginalTarget, univariate_marginals
from provenance.exact.codebook import Codebook


@dataclass(frozen=True, slots=True)
class MarginalFitSettings:
    """Every knob of a marginal fit. `batch` latents a half batch; `average` the decay of the weight
    average.
    """

    net: NetSettings = field(default_factory=NetSettings)
    steps: int = 800
    batch: int = 256
    learning_rate: float = 1e-2
    average: float = 0.98

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or not self.learning_rate > 0 or not 0 <= self.average < 1:
            raise LearningError(f"{self}: expected steps >= 1, batch >= 2, a positive rate, 0 <= average < 1")


@dataclass(frozen=True, slots=True)
class MarginalFitProgress:
    """Where a fit is: steps done, steps in all, the (noisy, unbiased) loss."""

    step: int
    steps: int
    loss: float


class MarginalFitter:
    """One generator, its optimiser and its running average; `step` is one update."""

    def __init__(
        self, net: MarginalNet, target: MarginalTarget, settings: MarginalFitSettings, seed: int
    ) -> None:
        self.net = net
        self.settings = settings
        self.loss = MarginalLoss(target)
        self.random = torch.Generator().manual_seed(seed)
        weights = _as_one_vector(net)
        # torch's own optimisers import its compiler: 70 MB of memory and a folder among the temporary files
        self._adam = Adam(weights, np.zeros_like(weights), settings.average)

    def step(
        self,
        progress: float,
        extra: Callable[[torch.Tensor], torch.Tensor] | None = None,
        weight: float = 1.0,
    ) -> float:
        """One step at `progress` in [0, 1) on `weight` times the marginal loss; `extra` maps logits of both
        halves [2B, D] to one more loss term. Returns the marginal loss itself.
        """
        logits = self.net(self.net.draw_latent(2 * self.settings.batch, self.random))
        first, second = self.net.probabilities(logits).chunk(2)
        loss, surrogate = self.loss(first, second)
        if not math.isfinite(loss):
            raise LearningError("the marginal loss is not finite; lower the learning rate")
        surrogate = weight * surrogate
        if extra is not None:
            surrogate = surrogate + extra(logits)
        gradients = torch.autograd.grad(surrogate, list(self.net.parameters()))
        gradient = torch.cat([part.ravel() for part in gradients]).numpy()
        self._adam.step(
            gradient, self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        )
        return loss

    def averaged(self) -> MarginalNet:
        """The net itself, its weights replaced by their running average."""
        self._adam.weights[:] = self._adam.average
        return self.net


def _as_one_vector(net: MarginalNet) -> NDArray[np.float32]:
    """The net's parameters moved into one vector, whose memory they share from now on."""
    weights = np.concatenate([parameter.detach().numpy().ravel() for parameter in net.parameters()])
    start = 0
    for parameter in net.parameters():
        end = start + parameter.numel()
        parameter.data = torch.from_numpy(weights[start:end]).view_as(parameter)
        start = end
    return weights


def new_net(codebook: Codebook, target: MarginalTarget, settings: NetSettings, seed: int) -> MarginalNet:
    """A net for the codebook's codes whose univariate marginals start at the target's."""
    if tuple(codebook.code_counts) != target.workload.code_counts:
        raise LearningError("target and codebook have different codes; build the workload from this codebook")
    net = MarginalNet(codebook.code_counts, settings, torch.Generator().manual_seed(seed))
    net.set_output_bias(univariate_marginals(target))
    return net


def fit_marginals(
    codebook: Codebook,
    target: MarginalTarget,
    settings: MarginalFitSettings,
    *,
    seed: int,
    deadline: float | None = None,
    progress: Callable[[MarginalFitProgress], None] | None = None,
) -> MarginalNet:
    """Fit a new net to `target`. `deadline` is a time.monotonic() value; at least one step is always made."""
    fitter = MarginalFitter(new_net(codebook, target, settings.net, seed), target, settings, seed + 1)
    started = time.monotonic()
    for step in range(settings.steps):
        fraction = step / settings.steps
        if deadline is not None:
            now = time.monotonic()
            if step and now >= deadline:
                break
            fraction = max(fraction, (now - started) / max(deadline - started, 1e-9))
        loss = fitter.step(fraction)
        if progress is not None and (step % 25 == 0 or step + 1 == settings.steps):
            progress(MarginalFitProgress(step + 1, settings.steps, loss))
    return fitter.averaged()
