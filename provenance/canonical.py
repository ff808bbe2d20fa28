"""Canonical JSON: RFC 8785 (JCS) restricted to values that every language reads alike.

Rules: strings, integers of at most 2^53 - 1 in size, booleans, null, lists, objects with string keys; no
floats (a decimal is a string); object keys sorted by UTF-16 code units; no white space; UTF-8 without lone
surrogates. `decode` accepts only the one canonical encoding of a value, so hash what you received.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NoReturn, TypeAlias, Union

from provenance.errors import CanonicalError
from provenance.printable import shown_name

JsonValue: TypeAlias = Union[str, int, bool, list["JsonValue"], dict[str, "JsonValue"], None]  # noqa: UP007

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_Place: TypeAlias = Union[tuple[()], tuple["_Place", Union[str, int]]]  # noqa: UP007
"""Where a value stands: the place of what holds it, and its key or index there."""
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def encode(value: object) -> bytes:
    """The canonical bytes of `value` (tuples and mappings count as lists and objects).

    Raises CanonicalError naming the place of a value that has no canonical form.
    """
    tree = _checked(value, (), 0)
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def decode(data: bytes) -> JsonValue:
    """The value whose canonical encoding is exactly `data`; anything else raises CanonicalError."""
    check_depth(data)
    try:
        value: JsonValue = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float
        )
    except CanonicalError:
        raise
    except ValueError as error:
        raise CanonicalError(f"not JSON in UTF-8: {error}") from error
    if encode(value) != data:
        raise CanonicalError(
            "JSON that is not canonical (white space, key order or escapes); "
            "expected RFC 8785: write it with provenance.canonical.encode"
        )
    return value


def decode_object(data: bytes) -> dict[str, JsonValue]:
    """As `decode`, for bytes that must hold an object."""
    value = decode(data)
    if not isinstance(value, dict):
        raise CanonicalError(f"found {type(value).__name__}, expected a JSON object")
    return value


def refuse_twice(data: bytes) -> None:
    """CanonicalError for a member that stands twice in one object: of the two every reader believes another one.

    `data` is known to be JSON in UTF-8 that is not deeply nested.
    """
    json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_int=len, parse_float=len)


def check_depth(data: bytes) -> None:
    """CanonicalError for deep nesting, before the parser sees it: a library may have raised the recursion limit,
    and then the parser's C code overflows its stack and ends the process instead of raising.
    """
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH + 1:
                raise CanonicalError(f"nested too deeply, expected at most {MAX_DEPTH} levels")
        elif first in b"]}":
            depth -= 1


def _checked(value: object, place: _Place, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise CanonicalError(f"{_words(place)}: nested too deeply, expected at most {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _checked_text(value, place)
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise CanonicalError(
                f"{_words(place)}: found a number of {value.bit_length()} bits, expected at most 2^53 - 1; "
                "write it as a string"
            )
        return int(value)
    if isinstance(value, list | tuple):
        return [_checked(item, (place, i), depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise CanonicalError(f"{_words(place)}: found the key {key!r:.80}, expected a string")
            _checked_text(key, place)
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return {str.__str__(key): _checked(item, (place, key), depth + 1) for key, item in ordered}
    raise CanonicalError(
        f"{_words(place)}: found {type(value).__name__}, expected string, integer, boolean, null, list or object; "
        "write a decimal as a string"
    )


def _checked_text(text: str, place: _Place) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError(f"{_words(place)}: found a lone surrogate, expected Unicode text") from error
    return str.__str__(text)


def _words(place: _Place) -> str:
    """A place as "$.shards[1]". Put together when it is told: for every item it would cost the square of the size."""
    parts: list[str] = []
    while place:
        place, part = place
        parts.append(f"[{part}]" if isinstance(part, int) else f".{shown_name(part)}")
    return "$" + "".join(reversed(parts))


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise CanonicalError(f"the key {key!r:.80} stands twice in one object; keep one")
            seen.add(key)
    return result


def _no_float(text: str) -> NoReturn:
    raise CanonicalError(f"found the number {text:.40}, expected integers only; write a decimal as a string")
