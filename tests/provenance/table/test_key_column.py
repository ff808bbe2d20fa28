from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import SchemaError, TableError
from provenance.table.key_column import DIGIT, LETTER, MAX_KEYS, KeyColumn

PATTERNS = st.text(alphabet="#@P-0", min_size=1, max_size=5).filter(lambda p: DIGIT in p or LETTER in p)


def key(pattern: str, name: str = "id") -> KeyColumn:
    return KeyColumn.parse({"name": name, "type": "string", "format": "key", "pattern": pattern}, name)


@pytest.mark.parametrize("pattern", ["", "P-", " #", "#\n#", "#" * 19, "@" * 14, "#" * 129])
def test_refuses_a_pattern_without_keys_or_with_too_many(pattern: str) -> None:
    with pytest.raises(SchemaError, match="column 'id', field 'pattern': found"):
        key(pattern)


@pytest.mark.parametrize("extra", [{"nullable": True}, {"missing": "?"}, {"enum": ["a"]}])
def test_refuses_members_that_a_key_does_not_have(extra: dict[str, Any]) -> None:
    document = {"name": "id", "type": "string", "format": "key", "pattern": "#", **extra}
    with pytest.raises(SchemaError, match="unknown field"):
        KeyColumn.parse(document, "id")


def test_refuses_a_row_beyond_the_last_key_and_says_what_to_do() -> None:
    assert len(key("P-#").texts(0, 10)) == 10
    with pytest.raises(
        TableError, match=r"column 'id': found row 11, expected at most 10, .* put more # or @"
    ):
        key("P-#").texts(3, 8)


@given(PATTERNS, st.text(min_size=1, max_size=5))
def test_every_key_of_a_pattern_comes_exactly_once_and_has_its_form(pattern: str, name: str) -> None:
    column = key(pattern, name)
    rows = min(column.count, 30_000)
    texts = column.texts(column.count - rows, rows)
    assert len(set(texts)) == rows
    form = re.escape(pattern).replace(r"\#", "[0-9]").replace("@", "[A-Z]")
    assert all(re.fullmatch(form, text) for text in texts[:200])


@given(PATTERNS, st.integers(0, 10**6), st.integers(0, 3000), st.integers(0, 3000))
def test_a_key_depends_on_its_row_alone(pattern: str, first: int, before: int, rows: int) -> None:
    column = key(pattern)
    first %= column.count
    rows = min(before + rows, column.count - first)
    before = min(before, rows)
    assert column.texts(first + before, rows - before) == column.texts(first, rows)[before:]


def test_the_largest_patterns_are_exact() -> None:
    column = key("#" * 18)
    assert column.count <= MAX_KEYS
    factor, shift = column._affine
    row = 10**18 - 2000
    assert column.texts(row, 1500)[-1] == str((factor * (row + 1499) + shift) % 10**18).zfill(18)


def test_two_key_columns_do_not_run_in_step() -> None:
    assert key("####", "a").texts(0, 50) != key("####", "b").texts(0, 50)


def test_these_keys_never_change() -> None:
    assert key("P-####").texts(0, 3) == ["P-1250", "P-6969", "P-2688"]


@pytest.mark.parametrize(
    ("pattern", "is_integer"), [("1####", True), ("#", True), ("##", False), ("0#", False), ("P#", False)]
)
def test_only_keys_without_leading_zeros_are_integers(pattern: str, is_integer: bool) -> None:
    assert key(pattern).is_integer is is_integer
