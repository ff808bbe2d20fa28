from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import ModelError
from provenance.exact import size_class as numbers
from provenance.exact.allowed import AllowedCodes
from provenance.exact.codebook import Codebook
from provenance.exact.conditional import prefix_size_of
from provenance.exact.mlp_model import HiddenLayer, MlpModel, OutputLayer
from provenance.exact.model import AutoregressiveModel, ColumnStep, decode_model, encode_model, size_class
from provenance.exact.size_class import (
    MAX_PREFIX_WORK,
    MAX_PROVABLE_BYTES,
    MAX_PROVABLE_MULTIPLICATIONS,
    ModelSize,
    PrefixSize,
    prefix_size,
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


VECTORS = json.loads((Path(__file__).parents[2] / "vectors/size_class.json").read_text("utf-8"))


def test_the_numbers_are_those_that_the_contract_is_held_to() -> None:
    assert {name: getattr(numbers, name) for name in VECTORS["numbers"]} == VECTORS["numbers"]


def test_prefix_work_is_that_of_the_shared_vectors() -> None:
    assert len(VECTORS["prefixes"]) == 4
    for case in VECTORS["prefixes"]:
        found = prefix_size(*(case[name] for name in ("inputs", "neurons", "codes", "allowed", "named")))
        assert found == PrefixSize(case["steps"], case["work"]), case["name"]


def wide(columns: int, codes: int) -> bytes:
    """One neuron, `codes` codes in each of the columns."""
    book = Codebook(
        *((codes,) * columns, (2,) * columns),
        *(np.tile(np.arange(codes), columns), np.ones(codes * columns, dtype=np.int64)),
    )
    hidden = HiddenLayer(np.zeros((1, 1), np.int8), np.zeros(1, np.int32), np.zeros(1, np.uint8))
    output = OutputLayer(
        *(np.zeros((book.codes, 1), np.int8), np.zeros(book.codes, np.uint8), np.zeros(book.codes, np.int32))
    )
    return encode_model(MlpModel(255, 1, Digest(bytes(32)), book, (hidden,), output))


def test_more_columns_or_codes_than_a_dispute_holds_are_recomputed() -> None:
    assert size_class(wide(128, 8)) == "fraud-provable"
    assert size_class(wide(129, 1)) == "recomputed"
    assert size_class(wide(2, 512)) == "fraud-provable"
    assert size_class(wide(1, 1025)) == "recomputed"


def test_what_is_too_large_is_said_in_numbers() -> None:
    assert (
        ModelSize(80_001, 64_000, 129, 1024).beyond()
        == "80,001 bytes (at most 80,000), 129 columns (at most 128)"
    )
    assert PrefixSize(17, MAX_PREFIX_WORK).beyond() == "17 prefix steps (at most 16)"
    assert not ModelSize(80_000, 64_000, 128, 1024).beyond()


def test_prefix_steps_of_a_model_under_conditions(adult_sized_autoregressive: bytes) -> None:
    model = decode_model(adult_sized_autoregressive)
    assert isinstance(model, AutoregressiveModel)
    column = model.order[1]
    allowed = {column: AllowedCodes(model.codebook, column, ((0, 0),))}
    found = prefix_size_of(model, allowed)
    first = model.codebook.code_counts[model.order[0]]
    assert found.steps == 2
    assert (
        found.work
        == prefix_size(
            model.width, 32, (first, model.codebook.code_counts[column]), (first, 1), (False, True)
        ).work
    )
    assert prefix_size_of(model, {}) == PrefixSize()
    assert prefix_size_of(decode_model(wide(2, 2)), allowed) == PrefixSize()
