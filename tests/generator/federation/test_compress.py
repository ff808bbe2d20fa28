"""One byte a number: what arrives, what is left, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from generator.errors import TaskFormatError
from generator.federation.compress import EXPONENTS, STEPS, compressed, expanded


def test_messages_of_another_length_or_type_are_refused() -> None:
    message, _ = compressed(np.ones(70, dtype=np.float32))
    for broken in (
        {},
        {STEPS: message[STEPS]},
        {**message, STEPS: message[STEPS][:-1]},
        {**message, EXPONENTS: message[EXPONENTS].astype(np.int64)},
    ):
        with pytest.raises(TaskFormatError, match="70 numbers"):
            expanded(broken, 70)


@given(arrays(np.float32, st.integers(1, 80), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_what_arrives_and_what_is_left_are_the_whole(vector: np.ndarray) -> None:
    message, left = compressed(vector)
    received = expanded(message, len(vector))
    assert received + left == pytest.approx(vector.astype(np.float64), rel=1e-6, abs=1e-25)
    for start in range(0, len(vector), 32):
        block = slice(start, start + 32)
        assert np.abs(left[block]).max() <= np.abs(vector[block]).max() / 127 + 1e-25


def test_small_numbers_beside_large_ones_arrive_late_and_not_never() -> None:
    vector = np.full(32, 0.001, dtype=np.float32)
    vector[0] = 1.0
    left = np.zeros(32, dtype=np.float32)
    arrived = np.zeros(32)
    for _ in range(1000):
        message, left = compressed(vector + left)
        arrived += expanded(message, 32)
    assert arrived / 1000 == pytest.approx(vector, rel=0.02)


def test_a_number_costs_little_more_than_a_byte() -> None:
    message, _ = compressed(np.random.default_rng(0).standard_normal(56_000).astype(np.float32))
    assert sum(array.nbytes for array in message.values()) <= 56_000 * 1.04
