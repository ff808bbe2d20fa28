"""Splits and skew of the benchmark's tables."""

import numpy as np
import pytest

from benchmarks.quality.tables import TABLES, skewed_owners, stratified


@pytest.mark.parametrize("name", ["german_credit", "telescope"])
def test_splits_share_no_row_and_keep_the_target_s_shares(name: str) -> None:
    table = TABLES[name]
    split = table.split(1)
    target = table.schema.target_index
    assert abs(len(split.train) / (len(split.train) + len(split.test)) - 0.7) < 0.001
    shares = [np.bincount(part[:, target])[-1] / len(part) for part in (split.train, split.test)]
    assert shares[0] == pytest.approx(shares[1], abs=0.002)
    assert np.array_equal(table.split(1).train, split.train)
    assert not np.array_equal(table.split(2).train[:50], split.train[:50])


def test_every_row_is_on_exactly_one_side() -> None:
    schema = TABLES["german_credit"].schema
    rows = np.repeat(np.arange(100)[:, None], len(schema.columns), axis=1)
    rows[:, schema.target_index or 0] = np.arange(100) % 2
    split = stratified(rows, schema, 0.8, 0)
    assert len(split.train) == 80
    assert sorted([*split.train[:, 0].tolist(), *split.test[:, 0].tolist()]) == list(range(100))


def test_skewed_owners_all_hold_rows_and_differ_in_the_skew_column() -> None:
    table = TABLES["telescope"]
    rows = table.split(0).train
    owners = skewed_owners(rows, table, 4, 0.1, 0)
    counts = np.bincount(owners, minlength=4)
    assert counts.min() >= len(rows) / 100
    shares = [rows[owners == k, -1].mean() for k in range(4)]
    assert max(shares) - min(shares) > 0.3
    assert np.array_equal(owners, skewed_owners(rows, table, 4, 0.1, 0))
