"""One training run: what neighbouring bins share, and going on after a kill."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from generator.errors import LearningError
from generator.learning.adam import Adam
from generator.learning.autoregressive import (
    EMBEDDING,
    OUTPUT_WEIGHTS,
    NetShape,
    decay_mask,
    initial_weights,
)
from generator.learning.autoregressive_gradient import AutoregressiveGradient
from generator.learning.descent import Descent, neighbourhood
from generator.learning.dp_sgd import DPSGD
from generator.learning.fit_autoregressive import Checkpoint, train, train_privately
from generator.learning.recipes import Recipe

SHAPE = NetShape((12, 5, 2), width=8, neurons=6, ordered=(11, 0, 0))
RECIPE = Recipe(40, 64, rate=1e-2, decay=0.2)


def start_of(shape: NetShape, seed: int = 0) -> np.ndarray:
    return initial_weights(shape, np.full(shape.codes, 0.2), np.random.default_rng(seed))


def codes_of(shape: NetShape, rows: int) -> np.ndarray:
    random = np.random.default_rng(5)
    return np.stack([random.integers(0, m, rows) for m in shape.code_counts], axis=1)


def steep_codes(bins: int, rows: int, seed: int) -> np.ndarray:
    """A number in many bins, and a class whose odds rise smoothly along it."""
    random = np.random.default_rng(seed)
    number = random.integers(0, bins, rows)
    odds = 1 / (1 + np.exp(-8 * (number / bins - 0.5)))
    return np.stack([number, random.random(rows) < odds], axis=1).astype(np.int64)


@pytest.mark.parametrize("ordered", [(3,), (13, 0, 0), (-1, 0, 0)])
def test_ordered_codes_that_a_column_does_not_have_are_refused(ordered: tuple[int, ...]) -> None:
    with pytest.raises(LearningError, match="ordered codes"):
        NetShape((12, 5, 2), ordered=ordered)


def test_a_kept_state_of_another_net_is_refused() -> None:
    other = NetShape((3, 2), width=8, neurons=6)
    kept = Descent(other, start_of(other), RECIPE).state()
    with pytest.raises(LearningError, match="kept training"):
        Descent(SHAPE, start_of(SHAPE), RECIPE).restore(kept)
    with pytest.raises(LearningError, match="kept training"):
        Descent(SHAPE, start_of(SHAPE), RECIPE).restore({})


@pytest.mark.parametrize("codes", [4, 11, 64])
def test_a_neighbourhood_averages_and_loses_nothing(codes: int) -> None:
    shares = neighbourhood(codes).astype(np.float64)
    assert shares.min() >= 0
    assert shares.sum(axis=1) == pytest.approx(np.ones(codes), abs=1e-5)
    assert np.linalg.matrix_rank(shares) == codes, "some weights could not be reached"
    assert (np.argmax(shares, axis=1) == np.arange(codes)).all()


def test_only_rows_of_ordered_codes_are_shared() -> None:
    start = start_of(SHAPE)
    weights = Descent(SHAPE, start, RECIPE).weights
    for name in SHAPE.parts:
        before, after = SHAPE.view(start, name), SHAPE.view(weights, name)
        if name in (EMBEDDING, OUTPUT_WEIGHTS):
            assert after[:11] == pytest.approx(neighbourhood(11) @ before[:11], abs=1e-6)
            before, after = before[11:], after[11:]
        assert np.array_equal(before, after)


def test_without_ordered_codes_a_descent_is_adam() -> None:
    shape = replace(SHAPE, ordered=())
    start, random = start_of(shape), np.random.default_rng(1)
    descent, weights = Descent(shape, start, RECIPE), start.copy()
    adam = Adam(weights, decay_mask(shape) * np.float32(RECIPE.decay), RECIPE.averaging)
    for step in range(5):
        gradient = random.standard_normal(shape.size).astype(np.float32)
        descent.step(gradient, step / 10)
        adam.step(gradient, RECIPE.rate_at(step / 10))
    assert np.array_equal(descent.weights, weights)
    assert np.array_equal(descent.average, adam.average)


def test_a_shared_step_goes_downhill_as_the_gradient_says() -> None:
    """The latent gradient is the chain rule's: a short step lowers the loss by rate * |latent gradient|, Adam's
    first step having the gradient's signs."""
    codes, start = codes_of(SHAPE, 200), start_of(SHAPE)
    recipe = Recipe(1, 200, rate=1e-4, decay=0.0)
    descent = Descent(SHAPE, start, recipe)
    net = AutoregressiveGradient(SHAPE, descent.weights)
    rows = net.tensor(codes)
    gradient, before = net.summed(rows)
    gradient /= len(codes)
    latent = gradient.copy()
    for name in (EMBEDDING, OUTPUT_WEIGHTS):
        view = SHAPE.view(latent, name)
        view[:11] = neighbourhood(11).T @ view[:11]
    descent.step(gradient, 0.5)
    wanted = recipe.rate_at(0.5) * float(np.abs(latent).sum())
    assert before - net.summed(rows)[1] == pytest.approx(wanted, rel=0.05)


def test_sharing_learns_a_smooth_dependence_from_few_rows() -> None:
    codes, unseen = steep_codes(40, 300, 0), steep_codes(40, 4000, 1)
    losses = {}
    for name, ordered in (("alone", (0, 0)), ("shared", (40, 0))):
        shape = NetShape((40, 2), width=16, neurons=16, ordered=ordered)
        start = initial_weights(shape, np.r_[np.full(40, 1 / 40), 0.5, 0.5], np.random.default_rng(2))
        weights = train(codes, shape, start, Recipe(200, 64, rate=1e-2, decay=0.1), seed=0)
        net = AutoregressiveGradient(shape, weights)
        losses[name] = -float(net.log_likelihood(net.tensor(unseen)).mean())
    assert losses["shared"] < losses["alone"] - 0.05
    assert losses["shared"] < math.log(40) + math.log(2), "no better than independent columns"


def test_a_state_goes_on_bit_for_bit() -> None:
    random = np.random.default_rng(3)
    gradients = random.standard_normal((12, SHAPE.size)).astype(np.float32)
    whole = Descent(SHAPE, start_of(SHAPE), RECIPE)
    for step, gradient in enumerate(gradients):
        whole.step(gradient, step / 12)
        if step == 6:
            kept = whole.state()
    second = Descent(SHAPE, start_of(SHAPE, seed=9), RECIPE)
    second.restore(kept)
    assert second.steps == 7
    for step, gradient in enumerate(gradients[7:], 7):
        second.step(gradient, step / 12)
    assert np.array_equal(second.weights, whole.weights)
    assert np.array_equal(second.average, whole.average)


class KilledError(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("private", [False, True])
def test_a_killed_training_makes_each_kept_step_once(private: bool) -> None:
    kept: list[Mapping[str, np.ndarray]] = []
    codes, start = codes_of(SHAPE, 300), start_of(SHAPE)

    def keep(state: Mapping[str, np.ndarray]) -> None:
        kept.append(state)
        if len(kept) == 25:
            raise KilledError

    def run(checkpoint: Checkpoint) -> None:
        if private:
            dp = DPSGD(0.2, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=60)
            train_privately(codes, SHAPE, start, RECIPE, dp, checkpoint=checkpoint)
        else:
            train(codes, SHAPE, start, RECIPE, seed=0, checkpoint=checkpoint)

    with pytest.raises(KilledError):
        run(Checkpoint(None, keep, seconds=0.0))
    run(Checkpoint(kept[-1], keep, seconds=0.0))
    assert [int(state["steps"][0]) for state in kept] == list(range(1, RECIPE.steps + 1))
