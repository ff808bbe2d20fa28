"""Neighbours against a slow loop over pairs of rows."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.evaluation.mixed_space import MixedSpace, nearest
from provenance.table.schema import Schema

MakeRows = Callable[[int, int], NDArray[np.int64]]


def slow_squared(a: list[int], b: list[int], reference: list[list[int]]) -> float:
    present = sorted(row[0] for row in reference if row[0] < 1000)

    def rank(x: int) -> float:
        if x == 1000:
            return 0.5
        return (sum(v < x for v in present) + sum(v <= x for v in present)) / (2 * len(present))

    total = (rank(a[0]) - rank(b[0])) ** 2 + 0.75 * ((a[0] == 1000) != (b[0] == 1000))
    return total + sum(a[c] != b[c] for c in (1, 2, 3))


@pytest.mark.parametrize("same", [False, True])
def test_nearest_equals_a_slow_loop(schema: Schema, same: bool, mixed_rows: MakeRows) -> None:
    reference = mixed_rows(40, 0)
    first = mixed_rows(25, 1)
    others = first if same else mixed_rows(30, 2)
    space = MixedSpace(schema, reference)
    for k in (1, 4):
        distances = nearest(space.points(first), space.points(others), k, same=same)
        for i, row in enumerate(first.tolist()):
            slow = sorted(
                slow_squared(row, other, reference.tolist())
                for j, other in enumerate(others.tolist())
                if not (same and i == j)
            )
            assert distances[i] == pytest.approx(slow[k - 1] ** 0.5, abs=2e-3)


def test_blocks_do_not_change_the_answer(
    schema: Schema, monkeypatch: pytest.MonkeyPatch, mixed_rows: MakeRows
) -> None:
    rows = mixed_rows(50, 3)
    points = MixedSpace(schema, rows).points(rows)
    whole = nearest(points, points, 2, same=True)
    monkeypatch.setattr("generator.evaluation.mixed_space._BLOCK_CELLS", 300)
    assert np.allclose(nearest(points, points, 2, same=True), whole, atol=1e-3)
