from __future__ import annotations

import numpy as np
import pytest

from provenance.errors import ModelError
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    MAX_PROVABLE_BYTES,
    MAX_PROVABLE_MULTIPLICATIONS,
    AutoregressiveModel,
    ColumnStep,
    decode_model,
    encode_model,
    size_class,
)
from provenance.values import Digest


def one_column(codes: int, width: int, neurons: int) -> bytes:
    step = ColumnStep(
        np.zeros(width, dtype=np.int32),
        np.zeros((neurons, width), dtype=np.int8),
        np.zeros(neurons, dtype=np.int32),
        np.zeros(neurons, dtype=np.uint8),
        np.zeros((codes, neurons), dtype=np.int8),
        np.zeros(codes, dtype=np.uint8),
        np.zeros(codes, dtype=np.int32),
    )
    book = Codebook((codes,), (2,), np.arange(codes), np.ones(codes, dtype=np.int64))
    embedding = np.zeros((codes, width), dtype=np.int8)
    return encode_model(AutoregressiveModel(127, Digest(bytes(32)), book, (0,), (step,), embedding))


def test_refuses_what_is_no_model() -> None:
    with pytest.raises(ModelError):
        size_class(b"")


def test_more_multiplications_or_bytes_than_a_dispute_holds_are_recomputed() -> None:
    # 1,000 * 63 + 1,000 = 64,000 multiplications; one neuron more is beyond
    assert decode_model(one_column(1, 63, 1000)).multiplications == MAX_PROVABLE_MULTIPLICATIONS
    assert size_class(one_column(1, 63, 1000)) == "fraud-provable"
    assert size_class(one_column(1, 63, 1001)) == "recomputed"
    # few multiplications, but every code costs 14 bytes and its embedding
    small, large = one_column(1020, 64, 1), one_column(1021, 64, 1)
    assert len(small) <= MAX_PROVABLE_BYTES < len(large)
    assert size_class(small) == "fraud-provable"
    assert size_class(large) == "recomputed"


def test_both_architectures_of_an_order_for_adult_are_provable(
    adult_sized_model: bytes, adult_sized_autoregressive: bytes
) -> None:
    assert size_class(adult_sized_model) == size_class(adult_sized_autoregressive) == "fraud-provable"
