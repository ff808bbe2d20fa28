from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.errors import ConditionError, ConditionUnmetError, RowRangeError
from provenance.exact import prefix_steps
from provenance.exact.allowed import AllowedCodes
from provenance.exact.codebook import Codebook
from provenance.exact.conditional import SegmentForward
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    encode_model,
)
from provenance.exact.reference import row_words
from provenance.exact.reference_conditions import conditioned_row
from provenance.exact.sampler import Sampler, forward_of
from provenance.table.conditions import Conditions, Ranges, RowConditions, Segment, merged
from provenance.table.schema import Schema

SEED = bytes(range(32))
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "conditions.json").read_text(encoding="utf-8"))
Integers = np.random.Generator


def schema_of(cardinalities: tuple[int, ...]) -> Schema:
    columns = [
        {"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": values - 1}
        for i, values in enumerate(cardinalities)
    ]
    return Schema.parse({"format": "tessera-schema/1", "name": "numbers", "columns": columns})


def codebook_of(schema: Schema, counts: tuple[int, ...]) -> Codebook:
    """Equal codes that cover every value once."""
    low, width = [], []
    for column, count in zip(schema.columns, counts, strict=True):
        edges = [column.cardinality * i // count for i in range(count + 1)]
        low += edges[:-1]
        width += [b - a for a, b in itertools.pairwise(edges)]
    return Codebook(counts, schema.value_widths, np.array(low), np.array(width))


def autoregressive(schema: Schema, book: Codebook, order: tuple[int, ...], random: Integers) -> bytes:
    inputs, neurons = 6, 5

    def int8(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        return random.integers(-100, 101, shape).astype(np.int8)

    def int32(limit: int, length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        return random.integers(-limit, limit + 1, length).astype(np.int32)

    def uint8(low: int, high: int, length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return random.integers(low, high, length).astype(np.uint8)

    steps = tuple(
        ColumnStep(
            int32(100, inputs),
            int8(neurons, inputs),
            int32(3000, neurons),
            uint8(3, 6, neurons),
            int8(book.code_counts[column], neurons),
            uint8(6, 8, book.code_counts[column]),
            int32(60, book.code_counts[column]),
        )
        for column in order
    )
    return encode_model(AutoregressiveModel(255, schema.digest, book, order, steps, int8(book.codes, inputs)))


def mlp(schema: Schema, book: Codebook, random: Integers) -> bytes:
    hidden = HiddenLayer(
        random.integers(-60, 61, (8, 6)).astype(np.int8),
        random.integers(-3000, 3001, 8).astype(np.int32),
        random.integers(4, 7, 8).astype(np.uint8),
    )
    output = OutputLayer(
        random.integers(-60, 61, (book.codes, 8)).astype(np.int8),
        random.integers(6, 8, book.codes).astype(np.uint8),
        random.integers(-60, 61, book.codes).astype(np.int32),
    )
    return encode_model(MlpModel(127, 6, schema.digest, book, (hidden,), output))


@st.composite
def asked(draw: st.DrawFn) -> tuple[Schema, bytes, Conditions]:
    """A small model and conditions on some of its columns."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    schema = schema_of(tuple(count * draw(st.sampled_from([1, 3, 70_000])) for count in counts))
    book = codebook_of(schema, counts)
    order = tuple(draw(st.permutations(range(len(counts)))))
    model = autoregressive(schema, book, order, random) if draw(st.booleans()) else mlp(schema, book, random)
    segments = []
    for _ in range(draw(st.integers(1, 3))):
        allowed: dict[int, Ranges] = {}
        for column, owner in enumerate(schema.columns):
            if owner.cardinality > 1 and draw(st.booleans()):
                top = owner.cardinality - 1
                points = draw(st.lists(st.integers(0, top), min_size=1, max_size=5))
                ranges = merged(
                    [(low, min(top, low + draw(st.sampled_from([0, 1, top // 2])))) for low in points]
                )
                if ranges != ((0, top),):
                    allowed[column] = ranges
        segments.append(Segment(draw(st.integers(1, 9)), allowed))
    return schema, model, Conditions(schema, tuple(segments))


def numbers(*rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return np.array(rows, dtype=np.uint64)


@settings(deadline=None)
@given(asked(), st.sampled_from([0, 1, 4, 256]))
def test_any_conditions_give_the_reference_s_rows(
    case: tuple[Schema, bytes, Conditions], states: int
) -> None:
    _, model, conditions = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("provenance.exact.prefix_steps.MAX_STATES", states)
        patch.setattr("provenance.exact.reference_conditions.MAX_STATES", states)
        places = conditions.segment_of(np.arange(conditions.rows, dtype=np.uint64))
        expected, attempts = [], 0
        try:
            for row, place in enumerate(places.tolist()):
                values, attempt = conditioned_row(model, SEED, 2, row, conditions.segments[place].allowed)
                expected.append(values)
                attempts += attempt + 1
        except ConditionUnmetError:
            with pytest.raises(ConditionUnmetError, match=f"row {len(expected)} did not meet"):
                Sampler(model, SEED, 2, conditions=RowConditions(conditions)).values(len(expected), 1)
            return
        sampler = Sampler(model, SEED, 2, conditions=RowConditions(conditions))
        assert sampler.values(0, conditions.rows).tolist() == expected
        if not conditions.is_free:
            assert sampler.tally is not None
            assert (sampler.tally.rows, sampler.tally.attempts) == (conditions.rows, attempts)
        assert sampler.values(0, conditions.rows, 2).tolist() == expected
        picked = numbers(conditions.rows - 1, 0)
        assert sampler.values_at(picked).tolist() == [expected[-1], expected[0]]
        for segment, rows in enumerate(np.bincount(places, minlength=len(conditions.segments)).tolist()):
            assert conditions.segments[segment].rows == rows


@pytest.mark.parametrize("case", VECTORS["rows"], ids=lambda case: f"{case['model']} row {case['row']}")
def test_agrees_with_the_vectors(case: dict[str, Any], vector_models: dict[str, bytes]) -> None:
    """The vectors' models have no schema, so the segment is asked directly."""
    data = vector_models[case["model"]]
    allowed = {each["column"]: tuple(map(tuple, each["ranges"])) for each in case["where"]}
    assert conditioned_row(data, SEED, 1, case["row"], allowed) == (case["values"], case["attempt"])
    sampler = Sampler(data, SEED, 1)
    book = sampler.model.codebook
    tries = SegmentForward(
        forward_of(sampler.model, np.float32),
        sampler.model,
        {column: AllowedCodes(book, column, ranges) for column, ranges in allowed.items()},
    )
    words = [row_words(sampler.model, sampler.key, case["row"], a) for a in range(case["attempt"] + 1)]
    values, met = tries.attempt(np.array(words, dtype=np.uint64))
    assert met.tolist() == [False] * case["attempt"] + [True]
    assert values[:, -1].tolist() == case["values"]


@pytest.mark.parametrize("case", VECTORS["segments"], ids=lambda case: str(case["counts"]))
def test_rows_belong_to_the_segments_of_the_vectors(case: dict[str, Any]) -> None:
    asked = Conditions(schema_of((2,)), tuple(Segment(rows) for rows in case["counts"]))
    assert asked.segment_of(numbers(*case["rows"])).tolist() == case["segments"]


@pytest.fixture(scope="module")
def table() -> tuple[Schema, bytes]:
    schema = schema_of((4, 30, 3, 1000, 2))
    book = codebook_of(schema, (4, 6, 3, 8, 2))
    return schema, autoregressive(schema, book, (4, 1, 0, 3, 2), np.random.default_rng(5))


def sampler_of(table: tuple[Schema, bytes], allowed: Mapping[int, Ranges], rows: int = 10**6) -> Sampler:
    conditions = Conditions(table[0], (Segment(rows, allowed),))
    return Sampler(table[1], SEED, 0, conditions=RowConditions(conditions))


def test_refuses_conditions_about_another_schema(table: tuple[Schema, bytes]) -> None:
    conditions = Conditions(schema_of((4, 30, 3, 1000, 3)), (Segment(5, {0: ((1, 2),)}),))
    with pytest.raises(ConditionError, match="state them again for this model"):
        Sampler(table[1], SEED, 0, conditions=RowConditions(conditions))


def test_refuses_before_the_first_row_what_no_code_can_be(table: tuple[Schema, bytes]) -> None:
    schema, _ = table
    book = codebook_of(schema, (4, 6, 3, 8, 2))
    # no code of column 1 reaches its last five values
    gap = replace(book, width=np.where(np.arange(book.codes) == 9, 1, book.width))
    model = autoregressive(schema, gap, (4, 1, 0, 3, 2), np.random.default_rng(5))
    conditions = Conditions(schema, (Segment(3, {}), Segment(5, {1: ((27, 29),)})))
    with pytest.raises(ConditionError, match=r"no row of this model can meet c1=27\.\.29: .* loosen"):
        Sampler(model, SEED, 0, conditions=RowConditions(conditions))


def test_says_which_row_which_condition_and_what_to_do_when_64_attempts_fail(
    table: tuple[Schema, bytes],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_steps, "MAX_STATES", 1)
        with pytest.raises(
            ConditionUnmetError,
            match=r"row \d+ did not meet c3=999 in 64 attempts \(about 0\.\d\d% .* condition on c3, or fit",
        ):
            sampler_of(table, {3: ((999, 999),)}).values(0, 2000)


def test_a_net_without_draw_order_is_advised_to_be_fitted_by_the_family_that_has_one() -> None:
    schema = schema_of((1000, 50))
    model = mlp(schema, codebook_of(schema, (4, 4)), np.random.default_rng(2))
    with pytest.raises(ConditionUnmetError, match='fit the model again by family "autoregressive" with'):
        sampler_of((schema, model), {0: ((999, 999),)}).values(0, 2000)


def test_refuses_rows_beyond_those_asked_for(table: tuple[Schema, bytes]) -> None:
    with pytest.raises(RowRangeError, match="about rows 0 to 99; ask for fewer"):
        sampler_of(table, {0: ((1, 1),)}, 100).values(50, 51)


def test_no_conditions_are_the_rows_of_today(table: tuple[Schema, bytes]) -> None:
    free = Sampler(table[1], SEED, 0)
    assert (sampler_of(table, {}).values(0, 3000) == free.values(0, 3000)).all()
    assert sampler_of(table, {}).tally is None


def test_a_condition_that_lets_everything_through_changes_no_row(table: tuple[Schema, bytes]) -> None:
    """Weights times 2^32 draw what the weights draw; the codes of column 1 end at 29 either way."""
    schema, model = table
    book = codebook_of(schema, (4, 6, 3, 8, 2))
    free = Sampler(model, SEED, 0)
    allowed = AllowedCodes(book, 1, ((0, 29),))
    assert (allowed.factors == 2**32).all()
    for states in (1, 256):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prefix_steps, "MAX_STATES", states)
            patch.setattr("provenance.table.conditions._check_ranges", lambda *_: None)
            assert (sampler_of(table, {1: ((0, 29),)}).values(0, 3000) == free.values(0, 3000)).all()


@pytest.mark.parametrize("batch_rows", [1, 7, 1000, 3000])
@pytest.mark.parametrize("threads", [1, 2])
def test_batches_and_threads_change_nothing(
    table: tuple[Schema, bytes], batch_rows: int, threads: int
) -> None:
    conditions = Conditions(
        table[0],
        (Segment(1000, {4: ((0, 0),), 2: ((1, 1),)}), Segment(2000, {1: ((3, 11),), 3: ((0, 500),)})),
    )
    sampler = Sampler(table[1], SEED, 3, conditions=RowConditions(conditions))
    expected = sampler.values(0, 3000)
    rows = 300 if batch_rows == 1 else 3000
    assert (sampler.values(0, rows, batch_rows, threads=threads) == expected[:rows]).all()
    picked = numbers(2999, 0, 17, 17)
    assert (sampler.values_at(picked) == expected[picked.astype(int)]).all()


def test_a_run_that_starts_inside_a_request_has_the_request_s_segments(table: tuple[Schema, bytes]) -> None:
    conditions = Conditions(table[0], (Segment(60, {4: ((0, 0),)}), Segment(40, {4: ((1, 1),)})))
    later = Sampler(table[1], SEED, 0, conditions=RowConditions(conditions, 70))
    places = conditions.segment_of(np.arange(70, 100, dtype=np.uint64))
    assert later.values(0, 30)[:, 4].tolist() == places.tolist()


def chi_square(found: np.ndarray, expected: np.ndarray) -> float:
    """Two-sample statistic of two tables of counts with the same number of cells, in standard deviations."""
    both = found + expected
    kept = both >= 10
    a, b = found[kept], expected[kept]
    ratio = np.sqrt(b.sum() / a.sum())
    statistic = float((((a * ratio - b / ratio) ** 2) / (a + b)).sum())
    return float((statistic - (kept.sum() - 1)) / np.sqrt(2 * (kept.sum() - 1)))


@pytest.mark.parametrize(
    "allowed",
    [
        {4: ((1, 1),)},
        {1: ((3, 7), (11, 11), (20, 22))},
        {4: ((0, 0),), 1: ((3, 12),)},
        {1: ((0, 14),), 3: ((130, 700),)},
        {0: ((1, 2),), 3: ((0, 400), (600, 612)), 2: ((0, 1),)},
    ],
)
def test_rows_under_conditions_follow_the_law_of_rows_that_happen_to_meet_them(
    table: tuple[Schema, bytes], allowed: dict[int, Ranges]
) -> None:
    free = Sampler(table[1], SEED, 0).values(0, 200_000)
    for column, ranges in allowed.items():
        free = free[
            np.any([(free[:, column] >= low) & (free[:, column] <= high) for low, high in ranges], axis=0)
        ]
    made = sampler_of(table, allowed).values(300_000, 40_000)
    for column, ranges in allowed.items():
        assert np.any([(made[:, column] >= a) & (made[:, column] <= b) for a, b in ranges], axis=0).all()
    # one number a row: which code of every column
    coarse = np.array([1, 5, 1, 125, 1])
    sizes = np.array([4, 6, 3, 8, 2])
    steps = np.cumprod(np.append(1, sizes[:-1]))
    cells = (free // coarse) @ steps, (made // coarse) @ steps
    counts = [np.bincount(each, minlength=int(np.prod(sizes))) for each in cells]
    assert abs(chi_square(counts[0], counts[1])) < 4
    # inside the codes too
    for column in (1, 3):
        fine = [
            np.bincount(each[:, column] // (1 if column == 1 else 10), minlength=100) for each in (free, made)
        ]
        assert abs(chi_square(fine[0], fine[1])) < 4


def test_columns_behind_more_states_than_are_tabulated_are_met_by_attempts() -> None:
    # 20 * 20 choices stand before the third column
    schema = schema_of((20, 20, 2))
    book = codebook_of(schema, (20, 20, 2))
    model = autoregressive(schema, book, (0, 1, 2), np.random.default_rng(1))
    for allowed, tried in (
        ({2: ((1, 1),)}, True),
        ({0: ((3, 3),), 2: ((1, 1),)}, False),
        ({1: ((3, 3),)}, False),
        ({0: ((0, 12),), 2: ((1, 1),)}, True),
    ):
        sampler = sampler_of((schema, model), allowed)
        assert (sampler.values(0, 500)[:, 2] == 1).all() or 2 not in allowed
        assert sampler.tally is not None
        assert (sampler.tally.attempts > 500) == tried


def test_attempts_are_rows_of_the_free_stream_and_attempt_0_is_today_s() -> None:
    schema = schema_of((4, 4))
    model = mlp(schema, codebook_of(schema, (4, 4)), np.random.default_rng(2))
    free = Sampler(model, SEED, 0).values(0, 500)
    made = sampler_of((schema, model), {0: ((0, 1),)}).values(0, 500)
    fine = free[:, 0] <= 1
    assert 50 < fine.sum() < 450
    assert (made[fine] == free[fine]).all()
