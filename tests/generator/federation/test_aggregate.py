"""Combining updates: arithmetic by hand, and poisoned updates named."""

from __future__ import annotations

import numpy as np
import pytest

from generator.errors import UpdatesRejected
from generator.federation.aggregate import bounded, combine, summed, trimmed_mean, weighted_mean
from provenance.values import Address

A, B, C, D = (Address(bytes([i]) * 20) for i in range(1, 5))
START = np.array([1.0, 1.0])


def test_a_poisoned_update_is_left_out_and_named() -> None:
    honest = {
        A: START + np.array([0.1, 0.0]),
        B: START + np.array([0.0, 0.1]),
        C: START + np.array([0.1, 0.1]),
    }
    result, flagged = combine(
        START,
        {**honest, D: START + np.array([900.0, 0.0])},
        dict.fromkeys([A, B, C, D], 1),
        step="round/0002",
    )
    assert [(f.contributor, f.step) for f in flagged] == [(D, "round/0002")]
    assert "length 900" in flagged[0].reason
    assert result == pytest.approx(START + np.array([0.2 / 3, 0.2 / 3]))


def test_an_update_of_another_shape_is_left_out_and_named() -> None:
    updates = {A: START + 0.1, B: START - 0.1, C: np.zeros(3)}
    result, flagged = combine(START, updates, dict.fromkeys(updates, 1.0), step="round/0001")
    assert [f.contributor for f in flagged] == [C]
    assert result == pytest.approx(START)


def test_the_round_fails_when_most_updates_are_of_another_shape() -> None:
    with pytest.raises(UpdatesRejected, match="1 of 3"):
        combine(
            START, {A: np.zeros(2), B: np.zeros(3), C: np.zeros(1)}, dict.fromkeys([A, B, C], 1.0), step="r"
        )


def test_trimming_needs_more_updates_than_it_drops() -> None:
    with pytest.raises(UpdatesRejected, match="more than 2"):
        trimmed_mean([np.zeros(1), np.zeros(1)], 1)


def test_federated_averaging_weights_by_declared_rows() -> None:
    result, flagged = combine(
        START, {A: START + np.array([1.0, 0.0]), B: START + np.array([0.0, 1.0])}, {A: 300, B: 100}, step="r"
    )
    assert result == pytest.approx([1.75, 1.25])
    assert flagged == ()


def test_sums_and_means_by_hand() -> None:
    assert summed([np.array([1, 2]), np.array([3, 4])]).tolist() == [4.0, 6.0]
    assert weighted_mean([np.array([1.0]), np.array([4.0])], [2, 1]).tolist() == [2.0]
    assert trimmed_mean([np.array([float(v)]) for v in (-100, 1, 2, 3, 100)], 1).tolist() == [2.0]
    assert bounded(np.array([3.0, 4.0]), 1.0) == pytest.approx([0.6, 0.8])
    assert bounded(np.array([3.0, 4.0]), 5.0).tolist() == [3.0, 4.0]


def test_a_trimmed_mean_ignores_one_extreme_of_plausible_length() -> None:
    updates = {
        A: START + np.array([0.1, 0.0]),
        B: START + np.array([0.1, 0.0]),
        C: START + np.array([0.1, 0.0]),
        D: START - np.array([0.35, 0.0]),
    }
    result, flagged = combine(START, updates, dict.fromkeys(updates, 1.0), step="r", method="trimmed")
    assert flagged == ()
    assert result == pytest.approx(START + np.array([0.1, 0.0]))


def test_equal_updates_that_change_nothing_are_kept() -> None:
    result, flagged = combine(START, {A: START, B: START}, {A: 1, B: 1}, step="r")
    assert result.tolist() == START.tolist()
    assert flagged == ()
