"""Fitting the autoregressive net: Adam at a falling rate, averaged weights, decay chosen on held-out rows.

Without privacy the decay of a small table is chosen: from the strongest of a few down, each trains on nine
rows in ten, until the loss on the tenth no longer falls or the net has learnt rows by heart; the strongest
whose loss is near the best is taken. Learning by heart is measured by the attack that the exact likelihood
makes possible, beside a reference (`memorisation`). The chosen decay then trains on every row. Large tables
take one fixed recipe.

With privacy nothing is chosen by looking at rows: the recipe follows from the plan, and every step is
one of `dp_sgd`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.errors import LearningError
from generator.learning.autoregressive import Flat, NetShape
from generator.learning.autoregressive_gradient import AutoregressiveGradient
from generator.learning.descent import Descent
from generator.learning.dp_sgd import DPSGD
from generator.learning.memorisation import memorisation, passes_gate
from generator.learning.recipes import CANDIDATE_DECAYS, CHOSEN_BELOW_ROWS, Recipe
from generator.marginals.columns import columns_likelihood
from generator.privacy.units import Units
from provenance.exact.codebook import Codes

_NEAR_BEST = 0.005
_HELD_OUT_DIVISOR = 10
_REPORT_EVERY = 25


@dataclass(frozen=True, slots=True)
class LikelihoodProgress:
    """steps done, steps in all, mean -log p of the last batch in nats."""

    step: int
    steps: int
    loss: float


ProgressCallback = Callable[[LikelihoodProgress], None]


KeepState = Callable[[Mapping[str, NDArray[np.generic]]], None]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a long training begins and what it leaves behind, so that a kill costs minutes and not the whole.

    state: of `Descent` at the last kept step, None to begin. keep: called with a later one about every
    `seconds`. Under privacy a training that goes on makes no step twice, and the steps after the last kept
    one are made with fresh noise: what a killed process drew was never seen by anybody.
    """

    state: Mapping[str, NDArray[np.generic]] | None
    keep: KeepState
    seconds: float


def train(
    codes: Codes, shape: NetShape, start: Flat, recipe: Recipe, *, seed: int,
    deadline: float | None = None, progress: ProgressCallback | None = None,
    checkpoint: Checkpoint | None = None,
) -> Flat:  # fmt: skip
    """Weights after `recipe` from `start` on codes [n, C], without privacy.

    deadline: time.monotonic() that cuts steps; the rate then follows the time that is left.
    """
    run = _Run(shape, start, recipe, checkpoint)
    random = torch.Generator().manual_seed(seed + run.descent.steps)
    batches = _batches(run.net.tensor(codes), recipe.batch, random)
    started = time.monotonic()
    while (done := run.descent.steps) < recipe.steps:
        fraction = done / recipe.steps
        if deadline is not None:
            now = time.monotonic()
            if done and now >= deadline:
                break
            fraction = max(fraction, (now - started) / max(deadline - started, 1e-9))
        batch = next(batches)
        gradient, loss = run.net.summed(batch)
        if not math.isfinite(loss):
            raise LearningError("the likelihood is not finite; lower the learning rate")
        gradient *= np.float32(1 / batch.shape[1])
        run.step(gradient, fraction)
        if progress is not None and (done % _REPORT_EVERY == 0 or done + 1 == recipe.steps):
            progress(LikelihoodProgress(done + 1, recipe.steps, loss))
    return run.descent.average


def train_privately(
    codes: Codes, shape: NetShape, start: Flat, recipe: Recipe, dp: DPSGD,
    *, units: Units | None = None, progress: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Flat:  # fmt: skip
    """Weights after DP-SGD; every step of the recipe is made, whatever it takes.

    units: of the rows; None where each is its own.

    The caller has recipe.steps steps of `dp` in its privacy ledger beforehand. progress: steps done; no loss, which
    would be computed on private rows.
    """
    run = _Run(shape, start, recipe, checkpoint)
    rows = run.net.tensor(codes)
    sampled = Units(len(codes)) if units is None else units
    while (done := run.descent.steps) < recipe.steps:
        batch = rows.index_select(1, torch.from_numpy(dp.poisson_sample(sampled)))
        run.step(dp.step(partial(run.net.clipped_sum, batch), shape.size), done / recipe.steps)
        if progress is not None and (done % _REPORT_EVERY == 0 or done + 1 == recipe.steps):
            progress(done + 1)
    return run.descent.average


def choose_decay(
    codes: Codes, shape: NetShape, start: Flat, recipe: Recipe, *, seed: int, units: Units | None = None,
    deadline: float | None = None,
) -> Recipe:  # fmt: skip
    """The recipe with the decay for codes [n, C]; see the module. Reads rows freely: only without privacy. No unit is
    parted between training and held-out rows."""
    if len(codes) >= CHOSEN_BELOW_ROWS or len(codes) < 2 * _HELD_OUT_DIVISOR:
        return recipe
    validation, training = _parted(codes, units, np.random.default_rng(seed))
    parts = (training, validation)
    columns = [columns_likelihood(training, part, shape.code_counts) for part in parts]
    losses: dict[float, float] = {}
    for decay in CANDIDATE_DECAYS:
        if losses and deadline is not None and time.monotonic() >= deadline:
            break
        weights = train(training, shape, start, replace(recipe, decay=decay), seed=seed, deadline=deadline)
        trained = [log_likelihood(shape, weights, part) for part in parts]
        seen, unseen = (own - known for own, known in zip(trained, columns, strict=True))
        if losses and not passes_gate(memorisation(seen, unseen), len(seen), len(unseen)):
            break
        loss = -float(trained[1].mean())
        if losses and loss > min(losses.values()):
            break
        losses[decay] = loss
    best = min(losses.values())
    return replace(recipe, decay=max(d for d, loss in losses.items() if loss <= best * (1 + _NEAR_BEST)))


def _parted(codes: Codes, units: Units | None, random: np.random.Generator) -> tuple[Codes, Codes]:
    """(a tenth of the rows, the others), whole units each."""
    if units is None or units.number is None:
        order = random.permutation(len(codes))
        held_out = max(1, len(codes) // _HELD_OUT_DIVISOR)
        return codes[order[:held_out]], codes[order[held_out:]]
    different = np.unique(units.number)
    chosen = random.permutation(different)[: max(1, len(different) // _HELD_OUT_DIVISOR)]
    is_held_out = np.isin(units.number, chosen)
    return codes[is_held_out], codes[~is_held_out]


def log_likelihood(shape: NetShape, weights: Flat, codes: Codes) -> NDArray[np.float64]:
    """float64[n] of codes [n, C]."""
    net = AutoregressiveGradient(shape, weights)
    return net.log_likelihood(net.tensor(codes))


class _Run:
    """A descent, the gradient that follows it, and what it leaves on the way."""

    def __init__(self, shape: NetShape, start: Flat, recipe: Recipe, checkpoint: Checkpoint | None) -> None:
        self.descent = Descent(shape, start, recipe)
        if checkpoint is not None and checkpoint.state is not None:
            self.descent.restore(checkpoint.state)
        self.net = AutoregressiveGradient(shape, self.descent.weights, recipe.batch)
        self._checkpoint = checkpoint
        self._kept = time.monotonic()

    def step(self, gradient: Flat, fraction: float) -> None:
        """One step; keeps the state when it is time."""
        self.descent.step(gradient, fraction)
        now = time.monotonic()
        if self._checkpoint is not None and now - self._kept >= self._checkpoint.seconds:
            self._checkpoint.keep(self.descent.state())
            self._kept = now


def _batches(rows: Tensor, batch: int, random: torch.Generator) -> Iterator[Tensor]:
    """Batches of a fresh order of the rows each epoch; what is left of an epoch waits for the next."""
    count = rows.shape[1]
    size = min(batch, count)
    while True:
        order = torch.randperm(count, generator=random)
        for start in range(0, count - size + 1, size):
            yield rows.index_select(1, order[start : start + size])
