from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import RowRangeError
from provenance.exact.rows import decode_rows, encode_rows


@pytest.mark.parametrize("value", [-1, 256, 2**40])
def test_refuses_a_value_wider_than_its_column(value: int) -> None:
    with pytest.raises(RowRangeError, match="does not fit"):
        encode_rows(np.array([[value]], dtype=np.int64), [1])


def test_refuses_cut_rows_and_another_number_of_columns() -> None:
    with pytest.raises(RowRangeError, match="multiple of the row width 3"):
        decode_rows(bytes(4), [1, 2])
    with pytest.raises(RowRangeError, match=r"shape \(1, 2\)"):
        encode_rows(np.zeros((1, 2), dtype=np.int64), [1])


def test_values_stand_big_endian_side_by_side() -> None:
    values = np.array([[1, 0x0203, 0x04050607], [8, 9, 10]], dtype=np.int64)
    assert encode_rows(values, [1, 2, 4]).hex() == "01020304050607" + "0800090000000a"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 2**32))
def test_bytes_and_values_round_trip(sizes: list[int], tag: int) -> None:
    limits = [256**size for size in sizes]
    values = np.random.default_rng(tag).integers(0, limits, (7, len(sizes)))
    assert (decode_rows(encode_rows(values, sizes), sizes) == values).all()
