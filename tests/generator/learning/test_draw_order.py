from __future__ import annotations

import numpy as np

from generator.learning.draw_order import DrawOrder
from provenance.exact.codebook import Codebook

BOOK = Codebook((3, 7, 2, 2), (1,) * 4, np.zeros(14, dtype=np.int64), np.ones(14, dtype=np.int64))


def test_the_columns_named_come_first_few_codes_before_many_and_the_rest_as_it_stood() -> None:
    assert DrawOrder.of(BOOK, ()).columns == (0, 1, 2, 3)
    assert DrawOrder.of(BOOK, (3,)).columns == (3, 0, 1, 2)
    assert DrawOrder.of(BOOK, (1, 3, 1, 2)).columns == (2, 3, 1, 0)


def test_codes_move_with_their_columns() -> None:
    order = DrawOrder((2, 0, 3, 1))
    assert order.code_counts(BOOK) == (2, 3, 2, 7)
    assert order.codes(BOOK).tolist() == [10, 11, 0, 1, 2, 12, 13, 3, 4, 5, 6, 7, 8, 9]
