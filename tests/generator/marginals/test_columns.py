"""Independent columns, counted."""

import numpy as np
import pytest

from generator.marginals.columns import columns_likelihood


def test_columns_are_counted_on_the_rows_that_trained() -> None:
    training = np.array([[0, 1], [0, 0], [0, 1]])
    found = columns_likelihood(training, np.array([[0, 1], [1, 0]]), (2, 3))
    assert np.exp(found) == pytest.approx([3.5 / 4 * 2.5 / 4.5, 0.5 / 4 * 1.5 / 4.5])
