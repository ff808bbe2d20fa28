"""Splits of rows among contributors."""

import numpy as np
import pytest

from generator.evaluation.errors import EvaluationError
from generator.evaluation.splits import dirichlet_owners

CLASSES = np.random.default_rng(0).integers(0, 7, 8000)


@pytest.mark.parametrize(("contributors", "concentration"), [(0, 0.1), (4, 0.0), (100, 0.1)])
def test_refuses_what_cannot_be_split(contributors: int, concentration: float) -> None:
    with pytest.raises(EvaluationError, match="expected"):
        dirichlet_owners(CLASSES, contributors, concentration, 0)


def test_refuses_to_look_for_ever() -> None:
    with pytest.raises(EvaluationError, match="no split"):
        dirichlet_owners(np.zeros(400, dtype=np.int64), 4, 0.01, 0)


def test_a_small_concentration_skews_and_a_large_one_does_not() -> None:
    def largest_share(concentration: float) -> float:
        owners = dirichlet_owners(CLASSES, 4, concentration, 1)
        assert np.bincount(owners, minlength=4).min() >= 100
        counts = np.zeros((7, 4))
        np.add.at(counts, (CLASSES, owners), 1)
        return float((counts.max(axis=1) / counts.sum(axis=1)).mean())

    assert largest_share(0.1) > 0.7
    assert largest_share(1000.0) < 0.3


def test_the_seed_decides_the_split() -> None:
    splits = [dirichlet_owners(CLASSES, 4, 0.1, seed) for seed in (3, 3, 4)]
    assert np.array_equal(splits[0], splits[1])
    assert not np.array_equal(splits[0], splits[2])
