"""The stages of a DP-SGD step, one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from generator.errors import LearningError, PrivacyError
from generator.learning.dp_sgd import DPSGD, clip_factor

DP = DPSGD(0.2, noise_multiplier=1.5, max_grad_norm=2.0, expected_batch_size=50)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 0.0},
        {"sample_rate": 1.1},
        {"noise_multiplier": 0.0},
        {"noise_multiplier": float("nan")},
        {"max_grad_norm": 0.0},
        {"unit_rows": 0},
    ],
)
def test_refuses_a_step_without_a_guarantee(change: dict[str, float]) -> None:
    values: dict[str, Any] = {"sample_rate": 0.2, "noise_multiplier": 1.0, "max_grad_norm": 1.0, **change}
    with pytest.raises(LearningError, match="expected a sample rate"):
        DPSGD(**values)


def test_rows_are_clipped_to_the_norm_and_shorter_ones_stay() -> None:
    factor = clip_factor(torch.tensor([0.0, 1.0, 2.0, 8.0]), 2.0)
    assert factor.tolist() == [1.0, 1.0, 1.0, 0.25]


def test_a_grid_on_which_rounding_takes_a_tenth_of_the_norm_is_refused() -> None:
    with pytest.raises(PrivacyError, match="ask for fewer rows a round"):
        DP.clip_and_accumulate(lambda _: np.ones(10_000), 10_000, exponent=-8)


def test_the_first_stage_asks_for_less_than_the_norm_by_what_rounding_can_add() -> None:
    asked: list[float] = []

    def clipped_sum(max_grad_norm: float) -> np.ndarray:
        asked.append(max_grad_norm)
        return np.array([1.0, -2.0, 0.3])

    exponent = DP.exponent(3)
    assert DP.clip_and_accumulate(clipped_sum, 3).tolist() == [
        2**-exponent,
        -(2 ** (1 - exponent)),
        round(0.3 * 2**-exponent),
    ]
    rounding = math.sqrt(3) * 2.0**exponent + 2.0 * 2**-7
    assert asked == [2.0 - rounding]
    assert rounding < 2.0 * 2**-6


def test_the_second_stage_adds_noise_of_multiplier_times_norm() -> None:
    exponent = DP.exponent(60_000)
    noisy = DP.add_noise(np.full(60_000, 100 << -exponent))
    assert noisy.dtype == np.float32
    assert noisy.mean() == pytest.approx(100.0, abs=5 * 3.0 / math.sqrt(len(noisy)))
    assert noisy.std() == pytest.approx(3.0, rel=5 / math.sqrt(2 * len(noisy)))


def test_the_third_stage_divides_by_the_expected_batch_or_leaves_the_sum() -> None:
    total = np.full(4, 100.0, dtype=np.float32)
    assert DP.scale_grad(total).tolist() == [2.0] * 4
    assert DPSGD(0.2, 1.0, 1.0).scale_grad(total).tolist() == [100.0] * 4


def test_a_step_is_the_three_stages_in_their_order() -> None:
    step = DP.step(lambda norm: np.full(60_000, 100.0 * norm), 60_000)
    assert step.mean() == pytest.approx(4 * (1 - 2**-7 - 2**-11), abs=5 * 3.0 / 50 / math.sqrt(len(step)))
    assert step.std() == pytest.approx(3.0 / 50, rel=5 / math.sqrt(2 * len(step)))
