"""benchmarks/quality/runner.py: the controls."""

import numpy as np

from benchmarks.quality.case import CENTRAL, Case
from benchmarks.quality.cases import REAL, REDRAWN, SHUFFLED
from benchmarks.quality.runner import control_rows

TRAIN = np.column_stack([np.arange(200), np.arange(200)]).astype(np.int64)


def _control(subject: str) -> np.ndarray:
    return control_rows(Case("adult", subject, None, CENTRAL, 0), TRAIN)


def test_real_rows_are_the_training_rows() -> None:
    assert np.array_equal(_control(REAL), TRAIN)


def test_redrawn_rows_are_training_rows_some_of_them_twice() -> None:
    rows = _control(REDRAWN)
    assert len(rows) == len(TRAIN)
    assert np.array_equal(rows[:, 0], rows[:, 1])
    assert len(np.unique(rows[:, 0])) < len(TRAIN)


def test_shuffled_columns_keep_their_values_and_lose_their_rows() -> None:
    rows = _control(SHUFFLED)
    assert all(np.array_equal(np.sort(rows[:, c]), TRAIN[:, c]) for c in range(2))
    assert not np.array_equal(rows[:, 0], rows[:, 1])
