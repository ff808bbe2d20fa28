"""What shrinking leaves alone, what it takes away, and that what is left is nearer to the truth."""

from __future__ import annotations

import numpy as np
import pytest

from generator.marginals.classes import class_marginals
from generator.marginals.measure import table_counts
from generator.marginals.shrink import shrunk_tables
from generator.marginals.target import MarginalTarget
from generator.marginals.workload import Workload, choose_workload, with_target_pairs

COUNTS = (6, 7, 2, 9)
ROWS = 2000


def codes(dependence: float, seed: int = 3) -> np.ndarray:
    """Columns 0, 1 and 3 follow each other in a part of the rows, beyond what the class in column 2 explains."""
    random = np.random.default_rng(seed)
    hidden = random.integers(0, 6, ROWS)

    def column(size: int) -> np.ndarray:
        return np.where(random.random(ROWS) < dependence, hidden % size, random.integers(0, size, ROWS))

    return np.stack([column(6), column(7), random.integers(0, 2, ROWS), column(9)], axis=1)


def shrunk(exact: np.ndarray, std: float, workload: Workload, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(released, shrunk) probabilities."""
    stds = std / np.repeat(workload.weights, workload.sizes)
    released = exact + np.random.default_rng(seed).normal(0, 1, workload.cells) * stds
    target = MarginalTarget(workload, released, std, ROWS)
    return released, shrunk_tables(target, class_marginals(released, std, workload))


@pytest.mark.parametrize("target", [2, None])
def test_exact_tables_are_left_as_they_are(target: int | None) -> None:
    workload = choose_workload(COUNTS, target)
    released, shrunken = shrunk(table_counts(codes(0.8), workload) / ROWS, 0.0, workload)
    assert np.array_equal(shrunken, released)


@pytest.mark.parametrize("target", [2, None])
def test_strong_dependence_outlives_weak_noise(target: int | None) -> None:
    workload = choose_workload(COUNTS, target)
    exact = table_counts(codes(0.8), workload) / ROWS
    released, shrunken = shrunk(exact, 1e-4, workload)
    assert np.abs(shrunken - released).max() < 3e-4


@pytest.mark.parametrize("target", [2, None])
def test_where_nothing_but_noise_deviates_independence_given_the_class_is_left(target: int | None) -> None:
    workload = choose_workload(COUNTS, target)
    exact = table_counts(codes(0.0), workload) / ROWS
    errors = []
    for seed in range(20):
        released, shrunken = shrunk(exact, 0.05, workload, seed)
        errors.append([np.abs(tables - exact).sum() for tables in (released, shrunken)])
    raw, left = np.mean(errors, axis=0)
    assert left < 0.6 * raw


def test_what_is_left_is_nearer_to_the_truth_than_what_was_released() -> None:
    workload = choose_workload(COUNTS, 2)
    exact = table_counts(codes(0.4), workload) / ROWS
    for std in (0.005, 0.02):
        errors = []
        for seed in range(20):
            errors.append([np.square(tables - exact).sum() for tables in shrunk(exact, std, workload, seed)])
        raw, left = np.mean(errors, axis=0)
        assert left < raw


def test_pairs_with_the_target_are_left_as_they_were_released() -> None:
    workload = with_target_pairs(choose_workload(COUNTS, 2), 0.3)
    released, shrunken = shrunk(table_counts(codes(0.2), workload) / ROWS, 0.05, workload)
    pairs = int(workload.offsets[3])
    assert [len(table) for table in workload.tables[:4]] == [2, 2, 2, 3]
    assert np.array_equal(shrunken[:pairs], released[:pairs])
    assert not np.array_equal(shrunken[pairs:], released[pairs:])
