"""Columns by class of the target, from tables of unequal noise."""

import numpy as np
import pytest

from generator.errors import MarginalError
from generator.marginals.classes import class_marginals, nearest_to_total
from generator.marginals.measure import table_counts
from generator.marginals.workload import Workload, choose_workload, with_target_pairs

COUNTS = (3, 4, 2, 5)
START = np.cumsum([0, *COUNTS])


def codes(rows: int = 3000) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    random = np.random.default_rng(3)
    label = random.integers(0, 2, rows)
    first = np.where(random.random(rows) < 0.7, label, random.integers(0, 3, rows))
    return np.stack([first, random.integers(0, 4, rows), label, random.integers(0, 5, rows)], axis=1)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_exact_tables_give_exact_class_marginals(share: float) -> None:
    workload = with_target_pairs(choose_workload(COUNTS, 2), share)
    found = class_marginals(table_counts(codes(), workload) / 3000, 0.0, workload)
    for c in range(4):
        slow = np.zeros((2, COUNTS[c]))
        np.add.at(slow, (codes()[:, 2], codes()[:, c]), 1 / 3000)
        assert np.allclose(found.probabilities[:, START[c] : START[c + 1]], slow)
    assert np.allclose(found.univariate[START[2] : START[3]], found.classes)
    assert not found.variances.any()


def test_without_a_target_there_is_one_class() -> None:
    workload = choose_workload(COUNTS, None)
    found = class_marginals(table_counts(codes(), workload) / 3000, 0.0, workload)
    assert found.probabilities.shape == (1, 14)
    assert np.allclose(found.univariate[:3], np.bincount(codes()[:, 0]) / 3000)
    assert np.allclose(
        found.independent(slice(0, 3), slice(3, 7))[0], np.outer(found.univariate[:3], found.univariate[3:7])
    )


def test_noise_of_the_average_has_the_stated_variance() -> None:
    workload = with_target_pairs(choose_workload(COUNTS, 2), 0.3)
    exact = table_counts(codes(), workload) / 3000
    stds = 1e-4 / np.repeat(workload.weights, workload.sizes)
    random = np.random.default_rng(1)
    first = [
        class_marginals(exact + random.normal(0, stds), 1e-4, workload).probabilities[:, :3]
        for _ in range(1500)
    ]
    stated = class_marginals(exact, 1e-4, workload).variances[0]
    found = float(np.var(first, axis=0).mean())
    assert 0.6 * stated < found < 1.05 * stated  # moving to the class's total takes out up to a third


def test_probabilities_stay_probabilities_under_any_noise() -> None:
    workload = choose_workload(COUNTS, 2)
    noisy = np.random.default_rng(2).normal(0, 50.0, workload.cells)
    found = class_marginals(noisy, 50.0, workload)
    assert found.probabilities.min() >= 0
    for c in range(4):
        assert found.probabilities[:, START[c] : START[c + 1]].sum() == pytest.approx(1)


def test_refuses_a_workload_that_leaves_a_column_out() -> None:
    workload = Workload(COUNTS, ((0, 1), (0, 2)))
    with pytest.raises(MarginalError, match="no table"):
        class_marginals(np.ones(workload.cells), 0.0, workload)


def test_projection_keeps_the_total_and_takes_the_noise_out_of_empty_cells() -> None:
    noisy = np.array([10.0, -1.0, 0.5, -2.0])
    moved = nearest_to_total(noisy, 7.5)
    assert moved.sum() == pytest.approx(7.5)
    assert np.array_equal(moved > 0, [True, False, False, False])
    assert not nearest_to_total(noisy, -3.0).any()
