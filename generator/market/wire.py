"""Reading the market's JSON field by field: past this line there are values with types, or one clear error.

An answer may hold fields that this version does not know; a field it needs must be there and of its type.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias, cast

from generator.market.errors import MarketAnswerInvalid
from provenance.canonical import check_depth
from provenance.errors import ProvenanceError
from provenance.values import Address, Digest

JsonObject = dict[str, object]
Value: TypeAlias = object
"""Any JSON value; inside `Fields` the name `object` is a method."""


def parse_json(data: bytes, where: str) -> object:
    """Bytes to JSON; `where` names the answer in the error."""
    try:
        check_depth(data)
        return cast(object, json.loads(data))
    except ValueError as error:
        raise MarketAnswerInvalid(f"{where}: expected JSON, found {data[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object with a name for error messages; every accessor checks presence and type."""

    where: str
    values: JsonObject

    @classmethod
    def of(cls, value: Value, where: str) -> Fields:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise MarketAnswerInvalid(f"{where}: expected a JSON object, found {type(value).__name__}")
        return cls(where, value)

    @classmethod
    def parse(cls, data: bytes, where: str) -> Fields:
        return cls.of(parse_json(data, where), where)

    def _get(self, name: str, kind: type, words: str) -> Value:
        value = self.values.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            found = type(value).__name__ if name in self.values else "nothing"
            raise MarketAnswerInvalid(f"{self.where}.{name}: expected {words}, found {found}")
        return value

    def has(self, name: str) -> bool:
        """True when the field is there and not null."""
        return self.values.get(name) is not None

    def text(self, name: str) -> str:
        return cast(str, self._get(name, str, "text"))

    def text_or(self, name: str, default: str) -> str:
        return self.text(name) if self.has(name) else default

    def integer(self, name: str) -> int:
        """A JSON integer, or a decimal string: 256-bit amounts do not fit a JSON number everywhere."""
        value = self.values.get(name)
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
        return cast(int, self._get(name, int, "an integer"))

    def integer_or(self, name: str, default: int) -> int:
        return self.integer(name) if self.has(name) else default

    def number(self, name: str) -> float:
        value = self.values.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        raise MarketAnswerInvalid(f"{self.where}.{name}: expected a number, found {type(value).__name__}")

    def object(self, name: str) -> Fields:
        return Fields.of(self._get(name, dict, "an object"), f"{self.where}.{name}")

    def objects(self, name: str) -> list[Fields]:
        items = cast("list[Value]", self._get(name, list, "a list"))
        return [Fields.of(item, f"{self.where}.{name}[{i}]") for i, item in enumerate(items)]

    def digest(self, name: str) -> Digest:
        try:
            return Digest.parse(self.text(name))
        except (ValueError, ProvenanceError) as error:
            raise MarketAnswerInvalid(f"{self.where}.{name}: expected 32 bytes in hex; {error}") from error

    def address(self, name: str) -> Address:
        try:
            return Address.parse(self.text(name))
        except (ValueError, ProvenanceError) as error:
            raise MarketAnswerInvalid(f"{self.where}.{name}: expected an address; {error}") from error

    def hex_bytes(self, name: str) -> bytes:
        text = self.text(name)
        try:
            return bytes.fromhex(text.removeprefix("0x"))
        except ValueError as error:
            raise MarketAnswerInvalid(f"{self.where}.{name}: expected hex, found {text[:40]!r}") from error
