from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.canonical import decode
from provenance.errors import ConditionError, DocumentError, RowRangeError
from provenance.table.conditions import MAX_ROWS, Conditions, Ranges, RowConditions, Segment, merged
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "people",
        "columns": [
            {"name": "age", "type": "integer", "minimum": 17, "maximum": 90},
            {
                "name": "work",
                "type": "string",
                "enum": ["Private", "State"],
                "nullable": True,
                "missing": "?",
            },
            {"name": "income", "type": "string", "enum": ["<=50K", ">50K"]},
        ],
    }
)
ASKED = Conditions(
    SCHEMA, (Segment(500, {0: ((13, 23), (40, 40)), 2: ((1, 1),)}), Segment(500, {2: ((0, 0),)}))
)


def changed(change: Callable[[Any], object]) -> object:
    document = decode(ASKED.encode())
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="tessera-conditions/2"), "format"),
        (lambda d: d.update(more=1), "unknown members"),
        (lambda d: d.pop("schema"), "missing members"),
        (lambda d: d.update(segments=[]), "found 0 segments"),
        (lambda d: d["segments"][0].update(rows=0), "rows"),
        (lambda d: d["segments"][0].update(rows="5"), "rows"),
        (lambda d: d["segments"][0].update(rows=MAX_ROWS), "at most 4,294,967,296 together"),
        (lambda d: d["segments"][0]["where"][0].update(column="wage"), "no column 'wage'"),
        (lambda d: d["segments"][0]["where"].reverse(), "out of the schema's order"),
        (lambda d: d["segments"][0]["where"].append(d["segments"][0]["where"][1]), "or twice"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[]), "no value is allowed"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[5, 4]]), "a range is empty"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[7, 8], [1, 2]]), "out of order"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[1, 2], [3, 4]]), "touching"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[1, 4], [2, 3]]), "touching"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[-1, 4]]), "expected 0 to 73"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[4, 74]]), "expected 0 to 73"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[0, 73]]), "leave the column out"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[1]]), "expected two integers"),
        (lambda d: d["segments"][0]["where"][0].update(ranges=[[1, True]]), "expected two integers"),
    ],
)
def test_refuses_every_other_spelling(change: Callable[[Any], object], message: str) -> None:
    with pytest.raises((ConditionError, DocumentError), match=message):
        Conditions.parse(changed(change), SCHEMA)


def test_refuses_the_conditions_of_another_schema() -> None:
    other = Schema.parse(dict(SCHEMA.document(), name="others"))
    with pytest.raises(ConditionError, match=r"made for schema .* state the conditions again"):
        Conditions.parse(ASKED.document(), other)


def test_refuses_a_column_number_that_is_none() -> None:
    with pytest.raises(ConditionError, match="expected 0 to 2"):
        Conditions(SCHEMA, (Segment(1, {3: ((0, 0),)}),))


def test_refuses_rows_beyond_the_request() -> None:
    with pytest.raises(RowRangeError, match="about rows 0 to 999"):
        ASKED.segment_of(np.array([1000], dtype=np.uint64))
    with pytest.raises(RowRangeError, match="row 1001"):
        RowConditions(ASKED, 990).segment_of(np.array([3, 11], dtype=np.uint64))


def test_reads_back_what_it_wrote_and_keeps_its_digest() -> None:
    assert Conditions.parse(decode(ASKED.encode()), SCHEMA) == ASKED
    # pinned: another digest is another format
    assert str(ASKED.digest) == "0x0250421a10a27a1a86e0a1d58b545c44fdf78383a7df43bb2d275678e218f58a"


def test_says_conditions_in_the_words_of_the_table() -> None:
    assert ASKED.describe(0) == "age=30..40|57 and income=>50K"
    missing = Conditions(SCHEMA, (Segment(1, {1: ((2, 2),)}), Segment(1)))
    assert [missing.describe(0), missing.describe(1)] == ["work=?", "no condition"]
    two = Conditions(SCHEMA, (Segment(1, {1: ((1, 2),)}),))
    assert two.describe(0) == "work=State|?"
    many = Conditions(SCHEMA, (Segment(1, {0: tuple((2 * i, 2 * i) for i in range(9))}),))
    assert many.describe(0) == "age=17|19|21|23|25|27|3 more"


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_segments_get_exactly_their_rows_and_every_stretch_its_proportion(counts: list[int]) -> None:
    asked = Conditions(SCHEMA, tuple(Segment(count) for count in counts))
    places = asked.segment_of(np.arange(asked.rows, dtype=np.uint64))
    assert np.bincount(places, minlength=len(counts)).tolist() == counts
    for count, segment in zip(counts, range(len(counts)), strict=True):
        share = np.cumsum(places == segment)
        even = np.arange(1, asked.rows + 1) * count / asked.rows
        assert np.abs(share - even).max() <= 2 + 2 * np.log2(asked.rows + 1)


def test_the_largest_request_does_not_wrap() -> None:
    half = MAX_ROWS // 2
    asked = Conditions(SCHEMA, (Segment(half), Segment(half)))
    rows = [0, 1, 12_345, MAX_ROWS - 1]
    stride = MAX_ROWS * 40_503 // 65_536
    stride += stride % 2 == 0
    expected = [int(row * stride % MAX_ROWS >= half) for row in rows]
    assert asked.segment_of(np.array(rows, dtype=np.uint64)).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda p: (min(p), max(p)))))
def test_merging_keeps_the_values(pairs: list[tuple[int, int]]) -> None:
    found: Ranges = merged(pairs)

    def values(ranges: object) -> set[int]:
        assert isinstance(ranges, list | tuple)
        return {value for low, high in ranges for value in range(low, high + 1)}

    assert values(found) == values(pairs)
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(found))
