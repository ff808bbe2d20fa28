from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ConditionError
from provenance.table.conditions import Conditions, Ranges, Segment, merged
from provenance.table.conditions_bytes import conditions_digest, decode_conditions, encode_conditions
from provenance.table.schema import Schema
from provenance.values import Digest, sha256

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "conditions.json").read_text(encoding="utf-8"))
SCHEMA = Schema.parse(VECTORS["bytesSchema"])
ASKED = Conditions(
    SCHEMA, (Segment(500, {0: ((13, 23), (40, 40)), 2: ((1, 1),)}), Segment(500, {2: ((0, 0),)}))
)
BYTES = encode_conditions(ASKED)


def word(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "found 0 bytes, expected at least 2"),
        (BYTES[:-1], f"found {len(BYTES) - 1} bytes, expected at least {len(BYTES)}"),
        (BYTES + b"\0", f"found {len(BYTES) + 1} bytes, expected {len(BYTES)}"),
        (word(0, 2), "found 0 segments"),
        (word(4097, 2) + (word(1, 4) + word(0, 2)) * 4097, "found 4097 segments"),
        (word(1, 2) + word(0, 4) + word(0, 2), "segments of .0. rows"),
        (word(2, 2) + (word(2**32 - 1, 4) + word(0, 2)) * 2, "at most 4,294,967,296 together"),
        # column 2, then column 0
        (
            word(1, 2) + word(5, 4) + word(2, 2) + word(2, 2) + word(1, 4) + bytes(8) + word(0, 2) + word(1, 4)
            + bytes(8),
            "segment 0: found column 0 after column 2",
        ),
        # column 2 twice
        (
            word(1, 2) + word(5, 4) + word(2, 2) + (word(2, 2) + word(1, 4) + bytes(8)) * 2,
            "found column 2 after column 2",
        ),
        (word(1, 2) + word(5, 4) + word(1, 2) + word(3, 2) + word(1, 4) + bytes(8), "found column 3, expected 0 to 2"),
        (word(1, 2) + word(5, 4) + word(1, 2) + word(0, 2) + word(0, 4), "no value is allowed"),
        (
            word(1, 2) + word(5, 4) + word(1, 2) + word(2, 2) + word(1, 4) + word(1, 4) + word(0, 4),
            "a range is empty",
        ),
        (
            word(1, 2) + word(5, 4) + word(1, 2) + word(2, 2) + word(1, 4) + word(0, 4) + word(1, 4),
            "every value is allowed",
        ),
        (
            word(1, 2) + word(5, 4) + word(1, 2) + word(0, 2) + word(2, 4) + word(0, 4) + word(1, 4) + word(2, 4)
            + word(3, 4),
            "out of order or touching",
        ),
        (
            word(1, 2) + word(5, 4) + word(1, 2) + word(0, 2) + word(1, 4) + word(0, 4) + word(2**32 - 1, 4),
            "expected 0 to 73",
        ),
        # more ranges than bytes: refused before anything is made of the count
        (word(1, 2) + word(5, 4) + word(1, 2) + word(0, 2) + word(2**32 - 1, 4), "expected at least 34359738374"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_conditions_of_the_schema_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        decode_conditions(data, SCHEMA)


def test_a_segment_of_more_rows_than_the_bytes_can_say_is_refused() -> None:
    with pytest.raises(ConditionError, match="segment 0: found 4,294,967,296 rows"):
        encode_conditions(Conditions(SCHEMA, (Segment(2**32, {2: ((0, 0),)}),)))


def test_the_bytes_are_those_of_the_shared_vectors() -> None:
    assert len(VECTORS["bytes"]) >= 3
    for case in VECTORS["bytes"]:
        read = decode_conditions(bytes.fromhex(case["bytes"][2:]), SCHEMA)
        assert read.document()["segments"] == case["segments"]
        assert encode_conditions(read).hex() == case["bytes"][2:]
        assert str(conditions_digest(read)) == case["digest"]


def test_whole_tables_have_the_zero_digest() -> None:
    assert conditions_digest(None) == Digest(bytes(32))
    assert conditions_digest(ASKED) == sha256(BYTES)


@st.composite
def asked(draw: st.DrawFn) -> Conditions:
    segments = []
    for _ in range(draw(st.integers(1, 4))):
        allowed: dict[int, Ranges] = {}
        for column, size in enumerate((74, 3, 2)):
            chosen = draw(st.sets(st.integers(0, size - 1), max_size=size - 1))
            if chosen:
                allowed[column] = merged([(value, value) for value in chosen])
        segments.append(Segment(draw(st.integers(1, 2**29)), allowed))
    return Conditions(SCHEMA, tuple(segments))


@given(asked())
def test_any_conditions_come_back_from_their_bytes(conditions: Conditions) -> None:
    data = encode_conditions(conditions)
    assert decode_conditions(data, SCHEMA) == conditions
    sizes = (6 + sum(6 + 8 * len(r) for r in each.allowed.values()) for each in conditions.segments)
    assert len(data) == 2 + sum(sizes)


@given(asked(), st.integers(0, 10**6), st.integers(1, 255))
def test_no_other_bytes_say_the_same(conditions: Conditions, place: int, flip: int) -> None:
    data = bytearray(encode_conditions(conditions))
    data[place % len(data)] ^= flip
    try:
        read = decode_conditions(bytes(data), SCHEMA)
    except ConditionError:
        return
    assert read != conditions
    assert encode_conditions(read) == data


def test_every_cut_is_refused() -> None:
    for size in range(len(BYTES)):
        with pytest.raises(ConditionError):
            decode_conditions(BYTES[:size], SCHEMA)
