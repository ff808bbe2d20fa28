from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import ModelError
from provenance.exact import autoregressive_forward
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    decode_model,
    encode_model,
    prove_bound,
)
from provenance.exact.reference import reference_row
from provenance.exact.sampler import Sampler
from provenance.values import Digest

SEED = bytes(range(32))


@st.composite
def any_model(draw: st.DrawFn) -> AutoregressiveModel:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    sizes = tuple(draw(st.integers(1, 4)) for _ in counts)
    limits = np.repeat([min(256**size, 2**32 - 1) for size in sizes], counts)
    width = random.integers(1, limits // 2 + 1)
    book = Codebook(counts, sizes, random.integers(0, limits - width + 1), width)
    inputs, neurons = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    # small numbers give live columns, large ones saturate every clip and leave int16 and float32
    reach = draw(st.sampled_from([300, 40_000, 2**23]))
    bias = draw(st.sampled_from([200, 2**24 - 1]))
    shifts = draw(st.sampled_from([(0, 8), (0, 32), (5, 9)]))

    order = tuple(draw(st.permutations(range(len(counts)))))

    def int8(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        return random.integers(-128, 128, shape).astype(np.int8)

    def int32(limit: int, length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        return random.integers(-limit, limit + 1, length).astype(np.int32)

    steps = tuple(
        ColumnStep(
            int32(reach, inputs),
            int8(neurons, inputs),
            int32(reach, neurons),
            random.integers(*shifts, neurons).astype(np.uint8),
            int8(codes, neurons),
            random.integers(*shifts, codes).astype(np.uint8),
            int32(bias, codes),
        )
        for codes in (counts[column] for column in order)
    )
    a_max = draw(st.sampled_from([127, 255]))
    return AutoregressiveModel(a_max, Digest(random.bytes(32)), book, order, steps, int8(sum(counts), inputs))


@pytest.fixture
def small(vector_models: dict[str, bytes]) -> AutoregressiveModel:
    model = decode_model(vector_models["autoregressive, small"])
    assert isinstance(model, AutoregressiveModel)
    return model


def with_step(model: AutoregressiveModel, place: int, step: ColumnStep) -> AutoregressiveModel:
    return replace(model, steps=(*model.steps[:place], step, *model.steps[place + 1 :]))


@given(any_model(), st.data())
def test_refuses_cut_and_prolonged_bytes(model: AutoregressiveModel, data: st.DataObject) -> None:
    whole = encode_model(model)
    with pytest.raises(ModelError):
        decode_model(whole[: data.draw(st.integers(5, len(whole) - 1))])
    with pytest.raises(ModelError, match="follow the last field"):
        decode_model(whole + data.draw(st.binary(min_size=1, max_size=9)))


def test_refuses_running_vectors_that_float32_would_round(small: AutoregressiveModel) -> None:
    column = 2
    # whatever was drawn in the two columns before: the largest entry of each
    sizes = np.abs(small.embedding[:, 0].astype(int))
    reach = int(sizes[small.codebook.column_codes(0)].max() + sizes[small.codebook.column_codes(1)].max())
    room = 2**24 - reach
    for bias, fits in ((room - 1, True), (-room + 1, True), (room, False), (-room, False), (-(2**31), False)):
        biases = small.steps[column].input_bias.copy()
        biases[0] = bias
        changed = with_step(small, column, replace(small.steps[column], input_bias=biases))
        if fits:
            assert prove_bound(changed) == 2**24 - 1
            decode_model(encode_model(changed))
        else:
            with pytest.raises(ModelError, match=r"step 2, running vector, neuron 0: .* below 2\^24"):
                encode_model(changed)


def test_refuses_sums_that_float32_would_round(small: AutoregressiveModel) -> None:
    step = small.steps[1]
    room = 2**24 - int(np.abs(step.hidden_weights[1].astype(int)).sum()) * small.a_max
    for bias, fits in ((room - 1, True), (-room + 1, True), (room, False), (-room, False)):
        biases = step.hidden_bias.copy()
        biases[1] = bias
        changed = with_step(small, 1, replace(step, hidden_bias=biases))
        if fits:
            assert prove_bound(changed) == 2**24 - 1
        else:
            with pytest.raises(ModelError, match=r"step 1, hidden layer, neuron 1: .* below 2\^24"):
                encode_model(changed)
    for bias in (2**24, -(2**24)):
        biases = step.output_bias.copy()
        biases[0] = bias
        with pytest.raises(ModelError, match="step 1, output bias, neuron 0"):
            encode_model(with_step(small, 1, replace(step, output_bias=biases)))
    # 515 * 128 * 255 is the first sum of largest weights beyond 2^24
    for inputs, fits in ((514, True), (515, False)):
        wide = wide_model(inputs)
        if fits:
            assert prove_bound(wide) == inputs * 128 * 255
        else:
            with pytest.raises(ModelError, match="step 0, hidden layer, neuron 0"):
                prove_bound(wide)


def wide_model(inputs: int) -> AutoregressiveModel:
    step = ColumnStep(
        np.zeros(inputs, dtype=np.int32),
        np.full((1, inputs), -128, dtype=np.int8),
        np.zeros(1, dtype=np.int32),
        np.zeros(1, dtype=np.uint8),
        np.zeros((1, 1), dtype=np.int8),
        np.zeros(1, dtype=np.uint8),
        np.zeros(1, dtype=np.int32),
    )
    book = Codebook((1,), (1,), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64))
    return AutoregressiveModel(
        255, Digest(bytes(32)), book, (0,), (step,), np.zeros((1, inputs), dtype=np.int8)
    )


def test_refuses_arrays_of_another_shape_or_type(small: AutoregressiveModel) -> None:
    step = small.steps[0]
    refused = [
        (replace(small, order=(0, 1, 1)), "each of the columns 0 to 2 once"),
        (replace(small, order=(0, 1)), "each of the columns 0 to 2 once"),
        (replace(small, order=(1, 2, 3)), "each of the columns 0 to 2 once"),
        (replace(small, steps=small.steps[:-1]), "expected one a column, 3"),
        (replace(small, embedding=small.embedding[:-1]), r"expected int8\[9, 5\]"),
        (replace(small, embedding=small.embedding.astype(np.int16)), r"found an embedding int16"),
        (replace(small, embedding=small.embedding[:, :4]), "step 0: found an input bias"),
        (with_step(small, 0, replace(step, input_bias=step.input_bias[:4])), "step 0: found an input bias"),
        (with_step(small, 1, replace(small.steps[1], hidden_bias=step.hidden_bias[:2])), "step 1, hidden"),
        (with_step(small, 2, step), "step 2, output layer: found shapes"),
        (with_step(small, 0, replace(step, output_shift=step.output_shift + np.uint8(32))), "found a shift"),
        (replace(small, a_max=128), "a_max 128"),
        (replace(small, tables_digest=Digest(bytes(32))), "made for tables"),
    ]
    for model, message in refused:
        with pytest.raises(ModelError, match=message):
            encode_model(model)


@given(any_model())
def test_decoding_gives_back_what_was_encoded(model: AutoregressiveModel) -> None:
    data = encode_model(model)
    found = decode_model(data)
    assert isinstance(found, AutoregressiveModel)
    assert encode_model(found) == data
    for name in ("a_max", "schema_digest", "order", "width", "hidden_width"):
        assert getattr(found, name) == getattr(model, name)
    assert (found.embedding == model.embedding).all()
    for mine, theirs in zip(found.steps, model.steps, strict=True):
        for field in ColumnStep.__slots__:
            assert (getattr(mine, field) == getattr(theirs, field)).all()


@settings(deadline=None)
@given(any_model(), st.integers(0, 2**40), st.integers(1, 1500))
def test_any_model_gives_the_reference_s_rows(model: AutoregressiveModel, first: int, states: int) -> None:
    data = encode_model(model)
    expected = [reference_row(data, SEED, 1, row) for row in range(first, first + 4)]
    assert Sampler(data, SEED, 1).values(first, 4, 3).tolist() == expected
    assert Sampler(data, SEED, 1, dtype=np.float64).values(first, 4).tolist() == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoregressive_forward, "MAX_TABULATED_STATES", states)
        assert Sampler(data, SEED, 1).values(first, 4).tolist() == expected


@pytest.mark.parametrize("states", [0, 24, 300, 10**5])
def test_how_many_states_are_tabulated_changes_nothing(
    adult_sized_autoregressive: bytes, states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Sampler(adult_sized_autoregressive, SEED, 3).values(0, 500)
    monkeypatch.setattr(autoregressive_forward, "MAX_TABULATED_STATES", states)
    assert (Sampler(adult_sized_autoregressive, SEED, 3).values(0, 500) == expected).all()


def test_equal_logits_share_a_column_evenly_and_far_ones_get_the_last_weight(
    small: AutoregressiveModel,
) -> None:
    """Ties, and distances beyond the table's end: weight EXP[768] = 6 of 2^20, never 0."""
    model = small
    for place, bias in enumerate(([0, 0, 0], [2**24 - 1, -(2**24) + 1], [-500, -500, -500, -500])):
        step = model.steps[place]
        step = replace(
            step,
            output_weights=np.zeros_like(step.output_weights),
            output_bias=np.array(bias, dtype=np.int32),
        )
        model = with_step(model, place, step)
    data = encode_model(model)
    values = Sampler(data, SEED, 0).values(0, 40_000)
    assert np.abs(np.bincount(values[:, 0], minlength=3) / 40_000 - 1 / 3).max() < 0.01
    assert (values[:, 1] < 300).mean() > 0.999
    assert np.abs(np.bincount(values[:, 2] // 5, minlength=4) / 40_000 - 1 / 4).max() < 0.01
    for row in range(20):
        assert values[row].tolist() == reference_row(data, SEED, 0, row)


def test_a_column_follows_what_was_drawn_before_it() -> None:
    """Column 1 copies column 0: its logits are 0 for the code drawn and -255 * 32 for the others."""
    codes = 4
    embedding = np.zeros((2 * codes, codes), dtype=np.int8)
    embedding[:codes] = 127 * np.eye(codes, dtype=np.int8)
    eye = np.eye(codes, dtype=np.int8)
    step = ColumnStep(
        np.zeros(codes, dtype=np.int32),
        2 * eye,
        np.zeros(codes, dtype=np.int32),
        np.zeros(codes, dtype=np.uint8),
        32 * eye,
        np.zeros(codes, dtype=np.uint8),
        np.zeros(codes, dtype=np.int32),
    )
    book = Codebook((codes,) * 2, (1, 1), np.tile(np.arange(codes), 2), np.ones(2 * codes, dtype=np.int64))
    data = encode_model(AutoregressiveModel(255, Digest(bytes(32)), book, (0, 1), (step, step), embedding))
    values = Sampler(data, SEED, 0).values(0, 4000)
    assert (values[:, 0] == values[:, 1]).mean() > 0.999
    assert np.abs(np.bincount(values[:, 0]) / 4000 - 1 / 4).max() < 0.03


def test_an_order_for_adult_fits_a_dispute(adult_sized_autoregressive: bytes) -> None:
    model = decode_model(adult_sized_autoregressive)
    assert len(adult_sized_autoregressive) < 80_000
    assert model.multiplications == 15 * 64 * 32 + 237 * 32
    assert model.latent_words == 0
