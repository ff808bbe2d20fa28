from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.errors import ModelError, RowRangeError, UnknownVersionError
from provenance.exact import SPEC_VERSION
from provenance.exact.model import MlpModel, decode_model, encode_model
from provenance.exact.reference import reference_row, reference_row_bytes
from provenance.exact.sampler import Sampler, noise_key, sampler_for, words_per_row

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "rows.json").read_text(encoding="utf-8"))
SEED = bytes(range(32))
ROWS = 3000


@pytest.fixture(scope="module", params=["adult_sized_model", "adult_sized_autoregressive"])
def model_bytes(request: pytest.FixtureRequest) -> bytes:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, bytes)
    return found


@pytest.fixture(scope="module")
def sampler(model_bytes: bytes) -> Sampler:
    return Sampler(model_bytes, SEED, 3)


@pytest.fixture(scope="module")
def expected(sampler: Sampler) -> NDArray[np.int64]:
    return sampler.values(0, ROWS, batch_rows=ROWS)


@pytest.mark.parametrize(
    ("seed", "shard"), [(bytes(31), 0), (bytes(33), 0), (bytes(32), -1), (bytes(32), 2**32)]
)
def test_refuses_a_seed_or_shard_index_of_another_size(model_bytes: bytes, seed: bytes, shard: int) -> None:
    with pytest.raises(RowRangeError):
        Sampler(model_bytes, seed, shard)


@pytest.mark.parametrize(("first", "rows"), [(-1, 1), (0, -1), (2**64, 1), (2**64 // 4, 1)])
def test_refuses_row_numbers_whose_counter_would_wrap(sampler: Sampler, first: int, rows: int) -> None:
    with pytest.raises(RowRangeError, match="expected row numbers from 0 to"):
        sampler.values(first, rows)


def test_refuses_no_batch_and_no_thread(sampler: Sampler) -> None:
    with pytest.raises(RowRangeError, match="at least 1 of each"):
        sampler.values(0, 1, batch_rows=0)
    with pytest.raises(RowRangeError, match="at least 1 of each"):
        sampler.values(0, 1, threads=0)


def test_refuses_damaged_model_bytes(model_bytes: bytes) -> None:
    with pytest.raises(ModelError):
        Sampler(model_bytes[:-1], SEED, 0)


@pytest.mark.parametrize("version", [0, SPEC_VERSION + 1, -1])
def test_refuses_an_unknown_specification_version(version: int) -> None:
    with pytest.raises(UnknownVersionError, match=r"expected one of \[1\]"):
        sampler_for(version)


def test_two_shards_of_one_model_share_no_row_stream(model_bytes: bytes) -> None:
    keys = {noise_key(model_bytes, SEED, shard) for shard in range(1000)}
    assert len(keys) == 1000
    rows = [Sampler(model_bytes, SEED, shard).row_bytes(0, 2000) for shard in (0, 1)]
    width = Sampler(model_bytes, SEED, 0).row_width
    streams = [{data[i : i + width] for i in range(0, len(data), width)} for data in rows]
    assert not streams[0] & streams[1]


def test_another_seed_or_model_gives_another_key(vector_models: dict[str, bytes]) -> None:
    small, deep = vector_models["small"], vector_models["deep, clip 255"]
    assert len({noise_key(small, SEED, 0), noise_key(deep, SEED, 0), noise_key(small, bytes(32), 0)}) == 3


@pytest.mark.parametrize("case", VECTORS["rows"], ids=lambda case: f"{case['model']} row {case['row']}")
def test_agrees_with_the_vectors(case: dict[str, Any], vector_models: dict[str, bytes]) -> None:
    data, seed = vector_models[case["model"]], bytes.fromhex(case["seed"][2:])
    assert reference_row(data, seed, case["shard"], case["row"], case["attempt"]) == case["values"]
    if case["attempt"] == 0:
        made = sampler_for(SPEC_VERSION)(data, seed, case["shard"])
        assert made.values(case["row"], 1).tolist() == [case["values"]]
        assert made.row_bytes(case["row"], 1).hex() == case["rowBytes"][2:]


@pytest.mark.parametrize("batch_rows", [7, 1000, 4096])
@pytest.mark.parametrize("threads", [1, 2])
def test_batches_and_threads_change_nothing(
    sampler: Sampler, expected: NDArray[np.int64], batch_rows: int, threads: int
) -> None:
    assert (sampler.values(0, ROWS, batch_rows, threads=threads) == expected).all()


def test_rows_one_by_one_are_the_same(sampler: Sampler, expected: NDArray[np.int64]) -> None:
    assert (sampler.values(0, 200, 1) == expected[:200]).all()


def test_float64_gives_the_same_rows(model_bytes: bytes, expected: NDArray[np.int64]) -> None:
    assert (Sampler(model_bytes, SEED, 3, dtype=np.float64).values(0, ROWS) == expected).all()


def test_plain_python_integers_give_the_same_rows(model_bytes: bytes, expected: NDArray[np.int64]) -> None:
    for row in (0, 1, 2, 777, ROWS - 1):
        assert reference_row(model_bytes, SEED, 3, row) == expected[row].tolist()


def test_any_range_and_any_scattered_rows_are_the_same(sampler: Sampler, expected: NDArray[np.int64]) -> None:
    assert (sampler.values(1234, 100) == expected[1234:1334]).all()
    numbers = np.array([2999, 0, 17, 17, 1234], dtype=np.uint64)
    assert (sampler.values_at(numbers) == expected[numbers.astype(int)]).all()
    near = np.array([1003, 1000, 1003, 1001], dtype=np.uint64)
    assert (sampler.values_at(near) == expected[near.astype(int)]).all()
    assert (np.concatenate(list(sampler.batches(5, 100, 33))) == expected[5:105]).all()
    assert sampler.values(0, 0).shape == sampler.values_at(numbers[:0]).shape == (0, 15)


def test_the_last_row_number_works_and_agrees_with_plain_python(sampler: Sampler, model_bytes: bytes) -> None:
    last = 2**64 // -(-words_per_row(sampler.model) // 4) - 1
    assert sampler.row_bytes(last, 1) == reference_row_bytes(model_bytes, SEED, 3, last)
    assert sampler.values_at(np.array([last], dtype=np.uint64)).tolist() == sampler.values(last, 1).tolist()


def test_every_row_keeps_its_digest(vector_models: dict[str, bytes]) -> None:
    # pinned: a change here is a change of the specification and needs a new version
    rows = Sampler(vector_models["deep, clip 255"], SEED, 3).row_bytes(0, 20_000)
    digest = hashlib.sha256(rows).hexdigest()
    assert digest == "3fdaefb1030abed14bc0136058d7f551e29db4019ea4de5d7b0f9d08f1239e4f"


def test_frequencies_follow_the_weights(vector_models: dict[str, bytes]) -> None:
    """With all weights zero the logits are the biases, so a column's law is known exactly."""
    model = decode_model(vector_models["small"])
    assert isinstance(model, MlpModel)
    output = model.output
    logits = np.array([0, 64, -64], dtype=np.int32)
    bias = np.concatenate([logits, output.bias[3:]])
    flat = replace(model, output=replace(output, weights=np.zeros_like(output.weights), bias=bias))
    values = Sampler(encode_model(flat), SEED, 0).values(0, 40_000)[:, 0]
    law = np.exp(logits / 64) / np.exp(logits / 64).sum()
    found = np.bincount(values, minlength=3) / len(values)
    assert np.abs(found - law).max() < 4 * np.sqrt(0.25 / len(values))
