"""Reading the members of a schema document: every refusal names the place, what was found and what was expected."""

from __future__ import annotations

from collections.abc import Mapping

from provenance.errors import SchemaError


def members(value: object, place: str) -> dict[str, object]:
    """The members of a JSON object."""
    if not isinstance(value, Mapping):
        raise SchemaError(f"{place}: found {type(value).__name__}, expected a JSON object")
    return {str(key): item for key, item in value.items()}


def no_extra(document: Mapping[str, object], known: set[str], place: str) -> None:
    """Refuses members that are not `known`."""
    for key in document:
        if key not in known:
            raise SchemaError(
                f"{place}: found the unknown field {key!r}, expected only {', '.join(sorted(known))}"
            )


def text_member(document: Mapping[str, object], key: str, place: str) -> str:
    """A member that is 1 to 128 characters of plain text without outer spaces."""
    value = document.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or value != value.strip():
        raise SchemaError(f"{place}, field {key!r}: found {value!r}, expected 1 to 128 characters of text")
    if any(ord(c) < 32 for c in value):
        raise SchemaError(f"{place}, field {key!r}: found control characters, expected plain text")
    return value


def flag_member(document: Mapping[str, object], key: str, place: str) -> bool:
    """A member that is true or false; false when it is left out."""
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise SchemaError(f"{place}, field {key!r}: found {value!r}, expected true or false")
    return value
