"""DP-SGD of the autoregressive net from both sides: no less and no more noise or clipping than is counted."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from generator.learning.autoregressive import NetShape, initial_weights
from generator.learning.autoregressive_gradient import AutoregressiveGradient
from generator.learning.dp_sgd import DPSGD
from generator.privacy import noise

SHAPE = NetShape((3, 4, 2), 12, 6)


def net(scale: float = 1.0) -> AutoregressiveGradient:
    uniform = np.concatenate([np.full(count, 1 / count) for count in SHAPE.code_counts])
    weights = initial_weights(SHAPE, uniform, np.random.default_rng(0))
    return AutoregressiveGradient(SHAPE, (weights * np.float32(scale)).astype(np.float32))


def rows(count: int) -> np.ndarray:
    random = np.random.default_rng(1)
    return np.stack([random.integers(0, m, count) for m in SHAPE.code_counts], axis=1)


@pytest.mark.parametrize(("factor", "right"), [(0.97, False), (1.0, True), (1.03, False)])
def test_noise_three_per_cent_off_to_either_side_is_noticed(
    factor: float, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gaussian = noise.gaussian
    monkeypatch.setattr(noise, "gaussian", lambda *asked: np.rint(factor * gaussian(*asked)).astype(np.int64))
    learner = net()
    batch = learner.tensor(rows(20))
    dp = DPSGD(0.1, noise_multiplier=3.0, max_grad_norm=0.5)
    exact = learner.clipped_sum(batch, 0.5)
    summed = partial(learner.clipped_sum, batch)
    drawn = np.concatenate([dp.release(summed, SHAPE.size) - exact for _ in range(120)])
    assert len(drawn) > 25_000
    close = drawn.std() == pytest.approx(1.5, rel=4 / math.sqrt(2 * len(drawn)))
    assert bool(close) is right
    assert abs(drawn.mean()) < 5 * 1.5 / math.sqrt(len(drawn))


def test_a_row_alone_contributes_its_gradient_cut_to_exactly_the_clip_norm() -> None:
    learner = net(3.0)
    codes = learner.tensor(rows(30))
    lengths = learner.norms(codes)
    clip = float(np.median(lengths))
    assert lengths.min() < clip < lengths.max()
    for row, length in enumerate(lengths):
        alone = learner.clipped_sum(codes[:, row : row + 1], clip)
        whole, _ = learner.summed(codes[:, row : row + 1])
        assert np.linalg.norm(alone) == pytest.approx(min(length, clip), rel=1e-4)
        assert alone == pytest.approx(whole * min(1.0, clip / length), abs=1e-4)


@pytest.mark.parametrize("scale", [1e3, 6e4])
def test_the_largest_weights_that_can_be_sent_leave_a_finite_sum_within_the_sensitivity(scale: float) -> None:
    """Weights come as halves, at most 65,504: a coordinator that sends such must not learn from a
    not-a-number who is in the table."""
    signs = np.random.default_rng(2).choice(np.array([-1, 1], dtype=np.float32), SHAPE.size)
    weights = (np.minimum(np.abs(signs * scale), 65_504) * signs).astype(np.float16).astype(np.float32)
    learner = AutoregressiveGradient(SHAPE, weights)
    codes = learner.tensor(rows(50))
    total = learner.clipped_sum(codes, 0.5)
    assert np.isfinite(total).all()
    for row in range(50):
        alone = learner.clipped_sum(codes[:, row : row + 1], 0.5)
        assert np.linalg.norm(alone) <= 0.5 * (1 + 1e-3)
    assert isinstance(codes, torch.Tensor)
