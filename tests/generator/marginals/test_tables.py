"""Workloads, their counts, projections and targets."""

import math

import numpy as np
import pytest

from generator.errors import MarginalError
from generator.marginals.measure import pair_noise_variances, pair_tables, release_tables, table_counts
from generator.marginals.target import (
    SHRINKAGE_ROWS,
    own_weight,
    passes_snr_cut,
    shrink_towards,
    shrinkage_target,
    target_from_counts,
    univariate_marginals,
)
from generator.marginals.workload import (
    MAX_TABLES,
    Workload,
    choose_workload,
    expected_error,
    pair_workload,
    with_target_pairs,
)

COUNTS = (3, 4, 2, 5)


def codes(rows: int = 200) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    random = np.random.default_rng(3)
    return np.stack([random.integers(0, count, rows) for count in COUNTS], axis=1)


def test_refuses_one_column_bad_tables_and_foreign_codes() -> None:
    with pytest.raises(MarginalError, match="one column"):
        choose_workload([4], None)
    with pytest.raises(MarginalError, match="two or three"):
        Workload(COUNTS, ((1, 1),))
    with pytest.raises(MarginalError, match="outside"):
        Workload(COUNTS, ((1, 9),))
    with pytest.raises(MarginalError, match="outside its column"):
        table_counts(codes() + 1, choose_workload(COUNTS, None))


def test_refuses_codes_whose_first_table_alone_would_fill_the_memory() -> None:
    with pytest.raises(MarginalError, match="one table alone"):
        choose_workload([4095, 4095, 30], 2)


def test_refuses_a_release_with_more_noise_than_rows() -> None:
    workload = choose_workload(COUNTS, None)
    with pytest.raises(MarginalError, match="noise is larger"):
        target_from_counts(np.full(workload.cells, -1.0), workload, 0.0, 10)
    error = 100.0 / np.sqrt((1 / np.array(workload.sizes)).sum())
    whole = np.full(workload.cells, 1000.0)
    with pytest.raises(MarginalError, match="noise is larger"):
        target_from_counts(whole, workload, 100.0, 0.99 * error)
    assert target_from_counts(whole, workload, 100.0, 1.01 * error).rows > 1


def test_only_what_noise_leaves_standing_passes_the_snr_cut() -> None:
    workload = choose_workload(COUNTS, 2)
    error = 30.0 / np.sqrt((np.square(workload.weights) / workload.sizes).sum())
    for rows, passes in ((2.9 * error, False), (3.1 * error, True)):
        counts = np.repeat(rows / np.array(workload.sizes), workload.sizes)
        assert passes_snr_cut(target_from_counts(counts, workload, 30.0, rows), rows) == passes
    exact = target_from_counts(np.ones(workload.cells), workload, 0.0, 1)
    assert passes_snr_cut(exact, 1)


def test_the_declared_number_stands_in_for_a_number_below_the_noise() -> None:
    workload = choose_workload(COUNTS, None)
    precision = float((1 / np.array(workload.sizes)).sum())
    counts = np.repeat(3 / np.array(workload.sizes), workload.sizes)  # by the release alone, three rows
    few = target_from_counts(counts, workload, 25 * np.sqrt(precision), 30)
    assert few.rows == pytest.approx(3 + 25**2 / (25**2 + 15**2) * 27)
    assert few.std == pytest.approx(25 * np.sqrt(precision) / few.rows)
    assert target_from_counts(counts, workload, 0.0, 30).rows == pytest.approx(3)


def test_target_makes_tables_three_way_and_pairs_without_it_all() -> None:
    assert choose_workload(COUNTS, 2).tables == ((0, 1, 2), (0, 3, 2), (1, 3, 2))
    assert len(choose_workload(COUNTS, None).tables) == 6
    assert choose_workload([2, 3], 1).tables == ((0, 1),)
    assert choose_workload([2, 3, 40], 2).tables == ((0, 1), (0, 2), (1, 2))


@pytest.mark.parametrize("target", [None, 299])
def test_wide_tables_stay_within_the_limit_and_reach_every_column(target: int | None) -> None:
    workload = choose_workload([6] * 299 + [2], target)
    assert len(workload.tables) == MAX_TABLES
    seen = {column for table in workload.tables for column in table}
    assert seen == set(range(300))


def test_one_row_moves_one_cell_of_each_table() -> None:
    workload = choose_workload(COUNTS, 2)
    change = table_counts(codes(), workload) - table_counts(codes()[1:], workload)
    assert np.abs(change).sum() == len(workload.tables)
    assert np.linalg.norm(change) == pytest.approx(workload.sensitivity)


def weighted() -> Workload:
    return with_target_pairs(choose_workload(COUNTS, 2), 0.3)


def test_refuses_weights_and_shares_out_of_range() -> None:
    with pytest.raises(MarginalError, match="weights"):
        Workload(COUNTS, ((0, 1), (1, 2)), (1.0,))
    with pytest.raises(MarginalError, match="weights"):
        Workload(COUNTS, ((0, 1),), (0.0,))
    with pytest.raises(MarginalError, match="share"):
        with_target_pairs(choose_workload(COUNTS, 2), 1.0)
    with pytest.raises(MarginalError, match="mixes targets"):
        _ = Workload(COUNTS, ((0, 1, 2), (0, 1, 3))).target
    with pytest.raises(MarginalError, match="mixes targets"):
        _ = Workload(COUNTS, ((0, 1, 2), (0, 1))).target


def test_pairs_with_the_target_get_their_share_of_the_budget() -> None:
    workload = weighted()
    assert workload.tables[:3] == ((0, 2), (1, 2), (3, 2))
    of_pairs = sum(weight**2 for weight in workload.weights[:3])
    assert of_pairs == pytest.approx(0.3 * workload.sensitivity**2)
    assert with_target_pairs(choose_workload(COUNTS, None), 0.3) == choose_workload(COUNTS, None)


def test_one_row_moves_the_weighted_counts_by_the_sensitivity() -> None:
    """The release is counts + noise / weight: the same, for privacy, as weight * counts + noise."""
    workload = weighted()
    weights = np.repeat(workload.weights, workload.sizes)
    change = table_counts(codes(), workload) - table_counts(codes()[1:], workload)
    assert np.linalg.norm(weights * change) == pytest.approx(workload.sensitivity)


def test_weighted_release_has_neither_more_nor_less_noise_than_declared() -> None:
    workload = weighted()
    rows = np.zeros((5, 4), dtype=np.int64)
    exact = table_counts(rows, workload)
    noise = np.stack([release_tables(rows, workload, 4.0) - exact for _ in range(400)])
    stds = 4.0 * workload.sensitivity / np.repeat(workload.weights, workload.sizes)
    ratio = noise.std(axis=0) / stds
    assert np.abs(ratio - 1).max() < 6 / math.sqrt(2 * 400)
    assert ratio.mean() == pytest.approx(1, abs=6 / math.sqrt(2 * 400 * workload.cells))


def test_expected_error_is_what_noise_alone_does_to_a_mean_table() -> None:
    workload = choose_workload([10, 12, 14, 2], 3)
    std, rows = 3.0 * workload.sensitivity, 5000
    noise = release_tables(np.zeros((0, 4), dtype=np.int64), workload, 3.0)
    distance = np.add.reduceat(np.abs(noise), workload.offsets[:-1]).mean() / 2 / rows
    assert distance == pytest.approx(expected_error(workload, std, rows), rel=0.15)


def test_counts_equal_a_slow_loop() -> None:
    workload = choose_workload(COUNTS, 2)
    slow = np.zeros(workload.cells)
    for row in codes():
        for table, start in zip(workload.tables, workload.offsets, strict=False):
            cell = 0
            for column in table:
                cell = cell * COUNTS[column] + row[column]
            slow[start + cell] += 1
    assert np.array_equal(table_counts(codes(), workload), slow)


def test_release_adds_noise_of_sensitivity_times_multiplier() -> None:
    workload = choose_workload([10, 10, 10, 10], 3)
    rows = np.zeros((5, 4), dtype=np.int64)
    noise = release_tables(rows, workload, 4.0) - table_counts(rows, workload)
    assert noise.std() == pytest.approx(4.0 * math.sqrt(3), rel=5 / math.sqrt(2 * workload.cells))


@pytest.mark.parametrize("target", [None, 0, 2])
def test_pair_tables_of_exact_counts_are_the_pairs_own_counts(target: int | None) -> None:
    workload = choose_workload(COUNTS, target)
    projected = pair_tables(table_counts(codes(), workload), workload)
    assert np.allclose(projected, table_counts(codes(), pair_workload(workload)))


@pytest.mark.parametrize("workload", [choose_workload(COUNTS, 2), weighted()], ids=["equal", "weighted"])
def test_projected_noise_has_the_stated_variance(workload: Workload) -> None:
    stated = np.repeat(pair_noise_variances(workload, 3.0), pair_workload(workload).sizes)
    random = np.random.default_rng(0)
    stds = 3.0 / np.repeat(workload.weights, workload.sizes)
    drawn = np.stack([pair_tables(random.normal(0, stds), workload) for _ in range(3000)])
    assert np.allclose(drawn.var(axis=0), stated, rtol=0.2)


def test_blending_leans_on_own_rows_by_their_number() -> None:
    workload = choose_workload(COUNTS, None)
    own = target_from_counts(table_counts(codes(1500), workload), workload, 2.0, 1500)
    everybody = target_from_counts(table_counts(codes(6000)[::-1], workload), workload, 3.0, 6000)
    blended = shrink_towards(own, everybody)
    assert own.rows == pytest.approx(SHRINKAGE_ROWS)
    mean_cell = 6 / workload.cells
    share = 1 / (2 + (2.0 / 1500) ** 2 * 1500 / mean_cell)
    assert 0.4 < share < 0.5
    expected = share * own.probabilities + (1 - share) * everybody.probabilities
    assert np.allclose(blended.probabilities, expected)


def test_noisy_own_tables_are_shrunk_further_towards_the_others() -> None:
    workload = choose_workload(COUNTS, None)
    counts = table_counts(codes(1500), workload)
    everybody = target_from_counts(table_counts(codes(6000)[::-1], workload), workload, 200.0, 6000)
    blended = shrink_towards(target_from_counts(counts, workload, 200.0, 1500), everybody)
    assert np.abs(blended.probabilities - everybody.probabilities).max() < 1e-3


@pytest.mark.parametrize("std", [0.0, 5.0])
def test_blends_of_a_skewed_split_add_up_to_the_pooled_table(std: float) -> None:
    workload = choose_workload(COUNTS, 2)
    large, small = codes(9000), codes(700)
    large = large[large[:, 0] > 0]
    owns = [
        (len(rows), target_from_counts(table_counts(rows, workload), workload, std, len(rows)))
        for rows in (large, small)
    ]
    target = shrinkage_target(owns)
    made = sum(rows * shrink_towards(own, target).probabilities for rows, own in owns)
    pooled = table_counts(np.concatenate([large, small]), workload)
    assert np.allclose(made, pooled)
    assert target.rows == pytest.approx(len(large) + 700)
    assert own_weight(owns[0][1]) > 2 * own_weight(owns[1][1])


def test_unequal_workloads_are_not_blended() -> None:
    targets = [
        target_from_counts(np.ones(workload.cells), workload, 0.0, 1)
        for workload in (choose_workload(COUNTS, None), choose_workload(COUNTS, 2))
    ]
    with pytest.raises(MarginalError, match="different workloads"):
        shrink_towards(*targets)


def test_univariate_marginals_trust_small_tables_more_under_noise() -> None:
    """Column 0 stands beside columns of 2 and of 50 codes; the second's sums are five times as noisy."""
    counts = (4, 2, 50)
    random = np.random.default_rng(0)
    rows = np.stack([random.integers(0, count, 2000) for count in counts], axis=1)
    workload = Workload(counts, ((0, 1), (0, 2)))
    exact = np.bincount(rows[:, 0], minlength=4) / len(rows)
    errors = []
    for _ in range(200):
        noisy = table_counts(rows, workload) + random.normal(0, 20.0, workload.cells)
        errors.append(
            (univariate_marginals(target_from_counts(noisy, workload, 20.0, 2000))[:4] - exact) * 2000
        )
    best = 20.0 * np.sqrt(1 / (1 / 2 + 1 / 50))
    assert 0.7 * best < np.std(errors) < 1.15 * best
    even = target_from_counts(table_counts(rows, workload), workload, 0.0, 2000)
    assert univariate_marginals(even)[:4] == pytest.approx(exact)
