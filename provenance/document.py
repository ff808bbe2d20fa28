"""Strict reading of JSON objects: exactly the named members, each of the stated type, or a DocumentError
that says where.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar, cast

from provenance.canonical import JsonValue
from provenance.errors import DocumentError
from provenance.printable import shown_name
from provenance.values import Address, Cid, Digest, Signature

T = TypeVar("T")
MOST_NAMED = 20
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*\Z")


class Reader:
    """Reads one JSON object. `where` is the path shown in errors, for example `manifest.shards[1]`."""

    __slots__ = ("_object", "_where")

    def __init__(self, document: object, where: str, members: Iterable[str]) -> None:
        if not isinstance(document, Mapping):
            raise DocumentError(f"{where}: found {type(document).__name__}, expected a JSON object")
        expected = set(members)
        found = set(document)
        if found != expected:
            missing, unknown = sorted(expected - found), sorted(map(str, found - expected))
            raise DocumentError(
                f"{where}: missing members {_names(missing)}, unknown members {_names(unknown)}"
            )
        self._object = document
        self._where = where

    def where(self, name: str) -> str:
        """The path of a member, for errors."""
        return f"{self._where}.{name}"

    def member(self, name: str) -> JsonValue:
        return cast(JsonValue, self._object[name])

    def text(self, name: str) -> str:
        value = self._object[name]
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def constant(self, name: str, expected: str) -> None:
        """Unknown formats are errors, never guesses."""
        if self._object[name] != expected:
            raise self._wrong(name, repr(expected))

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._object[name]
        if not isinstance(value, str) or value not in allowed:
            raise self._wrong(name, f"one of {', '.join(allowed)}")
        return value

    def integer(self, name: str, minimum: int = 0, maximum: int = 2**53 - 1) -> int:
        value = self._object[name]
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise self._wrong(name, f"an integer from {minimum} to {maximum}")
        return value

    def decimal(self, name: str) -> int:
        """An unsigned integer of up to 256 bits written as a decimal string (token amounts)."""
        value = self._object[name]
        if not isinstance(value, str) or not re.fullmatch(r"0|[1-9][0-9]{0,77}", value, re.ASCII):
            raise self._wrong(name, "a decimal integer in a string")
        return int(value)

    def digest(self, name: str) -> Digest:
        data = self.hex(name)
        if len(data) != 32:
            raise self._wrong(name, "32 bytes in 0x-hex")
        return Digest(data)

    def signature(self, name: str) -> Signature:
        return Signature(self.hex(name))

    def address(self, name: str) -> Address:
        return Address.parse(self.text(name))

    def cid(self, name: str) -> Cid:
        return Cid(self.text(name))

    def hex(self, name: str) -> bytes:
        value = self._object[name]
        if not isinstance(value, str) or not _HEX.match(value):
            raise self._wrong(name, "bytes in lower-case 0x-hex")
        return bytes.fromhex(value[2:])

    def optional_hex(self, name: str) -> bytes | None:
        return None if self._object[name] is None else self.hex(name)

    def mapping(self, name: str) -> Mapping[str, JsonValue]:
        value = self._object[name]
        if not isinstance(value, Mapping):
            raise self._wrong(name, "a JSON object")
        return cast(Mapping[str, JsonValue], value)

    def array(self, name: str) -> list[JsonValue]:
        value = self._object[name]
        if not isinstance(value, list):
            raise self._wrong(name, "a JSON array")
        return cast(list[JsonValue], value)

    def items(self, name: str, parse: Callable[[object, str], T]) -> tuple[T, ...]:
        """Every item of an array member, parsed with its place for errors."""
        return tuple(parse(item, f"{self.where(name)}[{i}]") for i, item in enumerate(self.array(name)))

    def _wrong(self, name: str, expected: str) -> DocumentError:
        return DocumentError(f"{self.where(name)}: found {self._object[name]!r:.80}, expected {expected}")


def _names(names: list[str]) -> str:
    """Members for an error: the first few, short, without control characters."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"[{', '.join(repr(shown_name(name)) for name in names[:MOST_NAMED])}]{more}"
