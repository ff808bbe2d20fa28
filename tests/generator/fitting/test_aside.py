"""Rows that a fit without epsilon sets aside."""

from __future__ import annotations

import numpy as np
import pytest

from generator.federation.state import held_out
from generator.fitting.aside import set_aside

VALUES = np.random.default_rng(0).integers(0, 1_000, (4_000, 3))
SECRET = bytes(range(32))


@pytest.mark.parametrize(("rows", "epsilon"), [(1_999, None), (4_000, 1.0)])
def test_nothing_is_set_aside_of_few_rows_or_under_epsilon(rows: int, epsilon: float | None) -> None:
    assert not set_aside(VALUES[:rows], SECRET, epsilon).any()


def test_one_row_in_twenty_is_set_aside_the_same_in_any_order_and_none_trains_on_the_owners_node() -> None:
    found = set_aside(VALUES, SECRET, None)
    assert 150 < found.sum() < 250
    order = np.random.default_rng(1).permutation(len(VALUES))
    assert (set_aside(VALUES[order], SECRET, None) == found[order]).all()
    assert held_out(VALUES, SECRET)[found].all()
    assert (set_aside(VALUES, bytes(31) + b"1", None) != found).any()
