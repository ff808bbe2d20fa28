"""Torch against the reference, on the CPU and, where there is one, on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import DeviceError
from generator.sampling import forward_on
from provenance.exact.model import AutoregressiveModel, encode_model
from provenance.exact.reference import reference_row
from provenance.exact.sampler import Sampler
from tests.provenance.exact.conftest import *  # noqa: F403 - the models there
from tests.provenance.exact.test_autoregressive import any_model

SEED = bytes(range(32))
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("name", ["", "gpu", "meta"])
def test_refuses_what_is_no_device_to_compute_on(name: str) -> None:
    with pytest.raises(DeviceError, match="expected cpu"):
        forward_on(name)


def test_refuses_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="use cpu, which gives the same rows"):
        forward_on("cuda")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fixture", ["adult_sized_model", "adult_sized_autoregressive"])
@pytest.mark.parametrize("threads", [1, 2])
def test_gives_numpy_s_rows(device: str, fixture: str, threads: int, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(fixture)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        values = Sampler(data, SEED, 3, forward=forward_on(device)).values(17, 3000, 1000)
    finally:
        torch.set_num_threads(before)
    assert (values == Sampler(data, SEED, 3).values(17, 3000)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_gives_the_rows_of_every_vector_model(device: str, vector_models: dict[str, bytes]) -> None:
    for data in vector_models.values():
        values = Sampler(data, SEED, 1, forward=forward_on(device)).values(40, 3)
        assert values.tolist() == [reference_row(data, SEED, 1, row) for row in range(40, 43)]


@settings(deadline=None)
@given(any_model(), st.integers(0, 2**40))
def test_any_model_gives_the_reference_s_rows(model: AutoregressiveModel, first: int) -> None:
    data = encode_model(model)
    for device in DEVICES:
        values = Sampler(data, SEED, 1, forward=forward_on(device)).values(first, 4, 3)
        assert values.tolist() == [reference_row(data, SEED, 1, row) for row in range(first, first + 4)]


def test_threads_of_the_sampler_change_nothing(adult_sized_autoregressive: bytes) -> None:
    made = Sampler(adult_sized_autoregressive, SEED, 3, forward=forward_on("cpu"))
    assert np.array_equal(made.values(0, 2000, 300, threads=2), made.values(0, 2000))
