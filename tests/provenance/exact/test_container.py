"""`.tsm` files: strict reading, and rows that do not depend on how they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import MalformedError, ModelError, ProvenanceError, RowRangeError
from provenance.exact.container import WEIGHT_SUM, Container, Part, part_weights
from provenance.exact.container_sampler import ContainerSampler
from provenance.exact.sampler import Sampler
from provenance.table.conditions import Conditions, RowConditions, Segment
from provenance.table.schema import Schema
from tests.provenance.verify.publication import SCHEMA, tiny_model

SEED = bytes(range(32))


def container(parts: int = 3) -> Container:
    weights = part_weights([1, 2, 5][:parts])
    made = tuple(Part(weight, tiny_model(k)) for k, weight in enumerate(weights))
    return Container(SCHEMA, "marginal", 1, made, {"epsilon": "none"}, {"seconds": 60})


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


def test_a_flipped_byte_is_an_error_or_only_a_remark() -> None:
    data = container(2).encode()
    for offset in range(len(data)):
        changed = bytearray(data)
        changed[offset] ^= 1
        try:
            parsed = Container.parse(bytes(changed))
        except ProvenanceError:
            continue
        assert parsed.parts == container(2).parts, f"offset {offset}"
        assert parsed.schema.digest == SCHEMA.digest, f"offset {offset}"


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"tessera-model/1\n", b"tessera-model/1\n\xff\xff\xff\xff"]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError, match="model file"):
        Container.parse(data)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0"])
def test_cut_or_extended_file_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ProvenanceError, match="model file"):
        Container.parse(change(container().encode()))


def test_model_of_another_schema_is_refused() -> None:
    other = Schema.parse(SCHEMA.document() | {"name": "other"})
    with pytest.raises(ModelError, match="fit the model again"):
        replace(container(), schema=other)


@pytest.mark.parametrize("weights", [(), (WEIGHT_SUM - 1,), (WEIGHT_SUM, 1), (WEIGHT_SUM, 0)])
def test_weights_that_do_not_sum_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError):
        replace(container(), parts=tuple(Part(weight, tiny_model(0)) for weight in weights))


@pytest.mark.parametrize("bad", [(-1, 1, 1, 1), (0, -1, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0)])
def test_impossible_ranges_are_refused(bad: tuple[int, int, int, int]) -> None:
    with pytest.raises(RowRangeError):
        ContainerSampler(container(), SEED).values(*bad[:3], threads=bad[3])


def test_file_survives_its_bytes() -> None:
    assert Container.parse(container().encode()) == container()


@pytest.mark.parametrize("parts", [1, 3])
def test_batches_threads_and_ranges_give_the_same_rows(parts: int) -> None:
    file = container(parts)
    sampler = ContainerSampler(file, SEED)
    whole = sampler.values(0, 500)
    for batch_rows, threads in ((1, 1), (7, 2), (1000, 1), (100, 2)):
        assert digest(sampler.values(0, 500, batch_rows, threads=threads)) == digest(whole)
    assert np.array_equal(sampler.values(123, 45, 7), whole[123:168])
    assert np.array_equal(np.concatenate(list(sampler.batches(0, 500, 64))), whole)
    assert len(sampler.values(5, 0)) == 0


def test_a_row_is_that_of_its_part_under_its_own_number() -> None:
    file = container()
    owners = file.part_of_row(np.arange(200, dtype=np.uint64))
    whole = ContainerSampler(file, SEED).values(0, 200)
    for part, each in enumerate(file.parts):
        own = Sampler(each.model_bytes, SEED, part).values(0, 200)
        assert np.array_equal(whole[owners == part], own[owners == part])


def test_every_part_makes_its_rows_under_the_conditions_of_their_numbers() -> None:
    file = container()
    asked = Conditions(SCHEMA, (Segment(150, {1: ((0, 1),)}), Segment(50, {0: ((20, 250),)})))
    places = asked.segment_of(np.arange(200, dtype=np.uint64))
    sampler = ContainerSampler(file, SEED, conditions=asked)
    whole = sampler.values(0, 200)
    assert (whole[places == 0, 1] <= 1).all()
    assert ((whole[places == 1, 0] >= 20) & (whole[places == 1, 0] <= 250)).all()
    owners = file.part_of_row(np.arange(200, dtype=np.uint64))
    for part, each in enumerate(file.parts):
        own = Sampler(each.model_bytes, SEED, part, conditions=RowConditions(asked)).values(0, 200)
        assert np.array_equal(whole[owners == part], own[owners == part])
    assert np.array_equal(sampler.values(120, 30, 7, threads=2), whole[120:150])
    assert np.array_equal(np.concatenate(list(sampler.batches(0, 200, 64))), whole)
    assert ContainerSampler(file, SEED).tally.rows == 0


def test_parts_get_exactly_their_weights_over_65536_rows() -> None:
    file = container()
    owners = file.part_of_row(np.arange(WEIGHT_SUM, dtype=np.uint64) + np.uint64(10**6))
    assert np.bincount(owners).tolist() == [part.weight for part in file.parts]


@settings(max_examples=100)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
def test_weights_sum_and_nobody_gets_nothing(rows: list[int]) -> None:
    weights = part_weights(rows)
    assert sum(weights) == WEIGHT_SUM
    assert min(weights) >= 1
