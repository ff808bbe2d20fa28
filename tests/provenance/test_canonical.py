from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import canonical
from provenance.canonical import MAX_INTEGER, decode, encode
from provenance.errors import CanonicalError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "canonical.json").read_text(encoding="utf-8"))

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["name"])
def test_refuses_bytes_that_are_not_the_canonical_encoding(case: dict[str, str]) -> None:
    with pytest.raises(CanonicalError):
        decode(bytes.fromhex(case["bytes"][2:]))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1.5]}, r"\$\.a\[0\]"),
        ({"a": {"b": 2**53}}, r"\$\.a\.b"),
        ({1: "x"}, r"\$"),
        ({"a": b"x"}, r"\$\.a"),
        (["\ud800"], r"\$\[0\]"),
    ],
)
def test_refuses_a_value_without_canonical_form_and_names_its_place(value: object, place: str) -> None:
    with pytest.raises(CanonicalError, match=place):
        encode(value)


def test_refuses_deep_nesting_both_ways() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(CanonicalError, match="nested"):
        encode(deep)
    with pytest.raises(CanonicalError, match="nested"):
        decode(b"[" * 100_000 + b"]" * 100_000)


def test_refuses_an_integer_of_many_digits() -> None:
    with pytest.raises(CanonicalError):
        decode(b"1" * 10_000)


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=lambda case: case["bytes"][:20])
def test_agrees_with_the_vectors(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["bytes"][2:])
    assert encode(case["value"]) == data
    assert decode(data) == case["value"]


@given(VALUES)
def test_decoding_gives_back_what_was_encoded(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data
    assert json.loads(data) == value


@given(st.binary(max_size=30))
def test_accepts_only_its_own_encoding(data: bytes) -> None:
    try:
        value = decode(data)
    except CanonicalError:
        return
    assert encode(value) == data


def test_tuples_and_mappings_count_as_lists_and_objects() -> None:
    assert encode({"a": (1, 2)}) == b'{"a":[1,2]}'


def test_where_a_value_stands_is_put_in_words_for_an_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long key above many items would be written once an item: time by the square of the size."""

    def never(place: object) -> str:
        raise AssertionError(f"{place} was put in words")

    monkeypatch.setattr(canonical, "_words", never)
    document = b'{"%s":[%s]}' % (b"k" * 200_000, b",".join([b"0"] * 100_000))
    assert encode(decode(document)) == document


def test_the_last_of_many_keys_is_looked_for_among_all_at_once() -> None:
    """By the square of their number it would end at the ceiling of the suite."""
    document = b'{%s,"k99999":0}' % b",".join(b'"k%d":0' % i for i in range(600_000))
    with pytest.raises(CanonicalError, match="k99999"):
        decode(document)


def test_an_error_shows_neither_control_characters_nor_long_names() -> None:
    with pytest.raises(CanonicalError) as caught:
        encode({"\x1b[2J" + "k" * 5000: [1.5]})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
