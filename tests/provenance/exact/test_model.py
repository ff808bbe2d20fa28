from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ModelError, UnknownVersionError
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    HiddenLayer,
    MlpModel,
    OutputLayer,
    decode_model,
    encode_model,
    model_digest,
    prove_bound,
)
from provenance.exact.tables import TABLES_DIGEST
from provenance.values import Digest

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "model.json").read_text(encoding="utf-8"))


@st.composite
def any_model(draw: st.DrawFn) -> MlpModel:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    sizes = tuple(draw(st.integers(1, 4)) for _ in counts)
    codes = sum(counts)
    limits = np.repeat([min(256**size, 2**32 - 1) for size in sizes], counts)
    width = random.integers(1, limits // 2 + 1)
    book = Codebook(counts, sizes, random.integers(0, limits - width + 1), width)
    latent = draw(st.integers(1, 20))
    widths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    hidden = []
    for inputs, out in zip([latent, *widths], widths, strict=False):
        hidden.append(
            HiddenLayer(
                random.integers(-128, 128, (out, inputs)).astype(np.int8),
                random.integers(-(2**23), 2**23, out).astype(np.int32),
                random.integers(0, 32, out).astype(np.uint8),
            )
        )
    output = OutputLayer(
        random.integers(-128, 128, (codes, widths[-1])).astype(np.int8),
        random.integers(0, 32, codes).astype(np.uint8),
        random.integers(-(2**24) + 1, 2**24, codes).astype(np.int32),
    )
    a_max = draw(st.sampled_from([127, 255]))
    return MlpModel(a_max, latent, Digest(random.bytes(32)), book, tuple(hidden), output)


def decode_mlp(data: bytes) -> MlpModel:
    model = decode_model(data)
    assert isinstance(model, MlpModel)
    return model


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_refuses_the_vectors_that_break_a_rule(case: dict[str, str]) -> None:
    with pytest.raises((ModelError, UnknownVersionError)):
        decode_model(bytes.fromhex(case["bytes"][2:]))


@pytest.mark.parametrize("name", ["one column, one code", "small", "autoregressive, small"])
def test_every_flipped_bit_is_refused_or_another_model_of_another_digest(
    vector_models: dict[str, bytes], name: str
) -> None:
    data = vector_models[name]
    accepted = 0
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            changed = bytes(flipped)
            try:
                model = decode_model(changed)
            except (ModelError, UnknownVersionError):
                continue
            accepted += 1
            assert model_digest(changed) != model_digest(data)
            # one byte string a model: nothing in the bytes is ignored
            assert encode_model(model) == changed
    assert accepted > 0


@given(any_model(), st.data())
def test_refuses_cut_and_prolonged_bytes(model: MlpModel, data: st.DataObject) -> None:
    whole = encode_model(model)
    with pytest.raises((ModelError, UnknownVersionError)):
        decode_model(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ModelError, match="follow the last field"):
        decode_model(whole + data.draw(st.binary(min_size=1, max_size=9)))


@pytest.mark.parametrize("architecture", [b"\1", b"\2"])
@given(data=st.binary(max_size=200))
def test_refuses_noise_without_falling_over(architecture: bytes, data: bytes) -> None:
    with pytest.raises((ModelError, UnknownVersionError)):
        decode_model(b"TSM1" + architecture + b"\x7f" + data)


def test_refuses_sums_that_float32_would_round(vector_models: dict[str, bytes]) -> None:
    model = decode_mlp(vector_models["small"])
    layer = model.hidden[0]
    room = 2**24 - int(np.abs(layer.weights[0].astype(int)).sum()) * model.a_max
    for bias, fits in ((room - 1, True), (-room + 1, True), (room, False), (-room, False), (-(2**31), False)):
        biases = layer.bias.copy()
        biases[0] = bias
        changed = replace(model, hidden=(replace(layer, bias=biases),))
        if fits:
            assert prove_bound(changed) <= 2**24 - 1
            decode_model(encode_model(changed))
        else:
            with pytest.raises(ModelError, match=r"hidden layer 0, neuron 0: .* expected below 2\^24"):
                encode_model(changed)


def test_refuses_arrays_of_another_shape_or_type(vector_models: dict[str, bytes]) -> None:
    model = decode_mlp(vector_models["small"])
    with pytest.raises(ModelError, match="layer 0: found shapes"):
        encode_model(replace(model, latent=11))
    wide = model.hidden[0].weights.astype(np.int16)
    with pytest.raises(ModelError, match="found types"):
        encode_model(replace(model, hidden=(replace(model.hidden[0], weights=wide),)))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="found 0 latent bytes"):
        encode_model(replace(model, latent=0))
    with pytest.raises(ModelError, match="a_max 100"):
        encode_model(replace(model, a_max=100))
    with pytest.raises(ModelError, match="made for tables"):
        encode_model(replace(model, tables_digest=Digest(bytes(32))))


@pytest.mark.parametrize("case", VECTORS["models"], ids=lambda case: case["name"])
def test_agrees_with_the_vectors(case: dict[str, str]) -> None:
    data = bytes.fromhex(case["bytes"][2:])
    assert encode_model(decode_model(data)) == data
    assert model_digest(data).hex0x == case["digest"]


@given(any_model())
def test_decoding_gives_back_what_was_encoded(model: MlpModel) -> None:
    data = encode_model(model)
    found = decode_mlp(data)
    assert encode_model(found) == data
    assert (found.a_max, found.latent, found.schema_digest) == (
        model.a_max,
        model.latent,
        model.schema_digest,
    )
    assert found.codebook.low.tolist() == model.codebook.low.tolist()
    layers: list[HiddenLayer | OutputLayer] = [*model.hidden, model.output]
    decoded: list[HiddenLayer | OutputLayer] = [*found.hidden, found.output]
    for mine, theirs in zip(decoded, layers, strict=True):
        assert (mine.weights == theirs.weights).all()
        assert (mine.bias == theirs.bias).all()
        assert (mine.shift == theirs.shift).all()


def test_an_order_for_adult_fits_a_dispute(adult_sized_model: bytes) -> None:
    assert len(adult_sized_model) < 80_000
    assert decode_model(adult_sized_model).multiplications == 64 * 128 + 128 * 128 + 128 * 237
    assert adult_sized_model[48:80] == TABLES_DIGEST
