"""Rows that a fit without epsilon sets aside."""

from __future__ import annotations

import numpy as np
import pytest

from generator.federation.state import held_out
from generator.fitting.aside import set_aside
from provenance.table.persons import Rows

VALUES = np.random.default_rng(0).integers(0, 1_000, (4_000, 3))
SECRET = bytes(range(32))


@pytest.mark.parametrize(("rows", "epsilon"), [(1_999, None), (4_000, 1.0)])
def test_nothing_is_set_aside_of_few_rows_or_under_epsilon(rows: int, epsilon: float | None) -> None:
    assert not set_aside(Rows(VALUES[:rows]), SECRET, epsilon).any()


def test_one_row_in_twenty_is_set_aside_the_same_in_any_order_and_none_trains_on_the_owners_node() -> None:
    found = set_aside(Rows(VALUES), SECRET, None)
    assert 150 < found.sum() < 250
    order = np.random.default_rng(1).permutation(len(VALUES))
    assert (set_aside(Rows(VALUES[order]), SECRET, None) == found[order]).all()
    assert held_out(VALUES, SECRET)[found].all()
    assert (set_aside(Rows(VALUES), bytes(31) + b"1", None) != found).any()


def test_a_person_is_set_aside_with_all_rows_or_not_at_all() -> None:
    persons = np.repeat(np.random.default_rng(1).integers(0, 2**60, (1_000, 2)), 4, axis=0)
    found = set_aside(Rows(VALUES, persons), SECRET, None)
    assert found.reshape(-1, 4).all(axis=1).sum() * 4 == found.sum()
    assert 120 < found.sum() < 280
