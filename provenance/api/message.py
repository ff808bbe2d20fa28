"""How a message of the protocol is read and written: strictly, or not at all.

Rules: a member that is not known, missing, there twice or of another JSON type is refused and named; a number is never
read out of a string, nor the other way round; no NaN, no infinity. Digests, addresses, signatures and CIDs are values
of their own type inside and text outside; token amounts and ids are `Uint256`, a decimal string outside. Documents that
a digest binds (terms, collection, request, content) are read by their own strict parsers in `provenance.record`.

Two encodings: `to_json` for a body that is sent once, `encode` (canonical) where the bytes are hashed or stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    Strict,
    StringConstraints,
    ValidationError,
)
from pydantic import JsonValue as AnyJson
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from provenance import canonical
from provenance.canonical import MAX_INTEGER, JsonValue
from provenance.errors import CanonicalError, DocumentError
from provenance.printable import shown_name
from provenance.record.collection import Collection, Request
from provenance.record.manifest import SeedDraw
from provenance.record.receipts import ScoreContent, ShardContent, ShardReceipt
from provenance.record.terms import OrderTerms
from provenance.table.schema import Schema
from provenance.units import WHOLE_BPS, exact_decimal
from provenance.values import Address, Cid, Digest, Signature

OCTETS = "application/octet-stream"
MOST_FAULTS = 20
"""Mistakes that one error names."""


class Message(BaseModel):
    """One JSON object of the protocol: camelCase outside, snake_case inside, frozen, nothing unknown."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
    )

    @classmethod
    def read(cls, data: bytes, where: str) -> Self:
        """The message in `data`. Raises DocumentError, which begins with `where` and names every member."""
        try:
            found = cls.model_validate_json(data, by_alias=True, by_name=False)
            canonical.refuse_twice(data)
        except ValidationError as error:
            raise DocumentError(_explained(error, where)) from error
        except CanonicalError as error:
            raise DocumentError(f"{where}: {error}") from error
        return found

    @classmethod
    def of(cls, document: object, where: str) -> Self:
        """The message in a decoded JSON object. Raises DocumentError as `read`."""
        try:
            return cls.model_validate(document, by_alias=True, by_name=False)
        except ValidationError as error:
            raise DocumentError(_explained(error, where)) from error

    def to_document(self) -> dict[str, JsonValue]:
        """The JSON object."""
        document: dict[str, JsonValue] = self.model_dump(mode="json", by_alias=True)
        return document

    def encode(self) -> bytes:
        """Canonical JSON of the whole object, for bytes that are hashed or stored."""
        return canonical.encode(self.to_document())

    def to_json(self) -> bytes:
        """Compact JSON, for the body of a request."""
        return self.model_dump_json(by_alias=True).encode()


def optional(**rules: Any) -> Any:
    """A member that is left out when it is None. One that is null instead is declared without a default."""
    return Field(default=None, exclude_if=lambda value: value is None, **rules)


def faults(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(place, words) of pydantic's error details, at most MOST_FAULTS: an answer must not grow with the mistakes of a
    body. What was found is named by its JSON type, never quoted.
    """
    words = [fault(each) for each in found[:MOST_FAULTS]]
    return (
        words
        if len(found) <= MOST_FAULTS
        else [*words, ("", f"and {len(found) - MOST_FAULTS} more mistakes")]
    )


def fault(found: Mapping[str, Any]) -> tuple[str, str]:
    """(place, words) of one of pydantic's error details."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown_name(part)}" for part in found["loc"])
    place = "".join(parts).lstrip(".")
    kind, words = found["type"], str(found["msg"])
    if kind == "missing":
        words = "is missing"
    elif kind == "extra_forbidden":
        words = "this member is not known"
    elif kind == "json_invalid":
        words = f"expected JSON, {words.removeprefix('Invalid JSON: ')}"
    elif kind == "value_error":
        words = words.removeprefix("Value error, ")
    else:
        words = words.replace("tuple", "array").replace("dictionary or instance of", "object as in")
        found_type = _JSON_TYPES.get(type(found["input"]), "a value")
        words = f"{re.sub(r'^[A-Z][a-z]+ should', 'should', words)}, found {found_type}"
    return place, words


_JSON_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _explained(error: ValidationError, where: str) -> str:
    return "; ".join(
        f"{where}.{place}: {words}" if place else f"{where}: {words}"
        for place, words in faults(error.errors(include_url=False))
    )


class Uint256(int):
    """An unsigned integer of up to 256 bits, a decimal string in JSON: token wei, ids of tasks and data sets."""

    @classmethod
    def parse(cls, text: str) -> Self:
        if not _DECIMAL_INTEGER.fullmatch(text):
            raise ValueError(f"found {text!r:.80}, expected an unsigned decimal integer in a string")
        return cls(text)


_DECIMAL_INTEGER = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)


class _Text:
    """A value that is a string in JSON. parse: raises ValueError for text that is no such value."""

    def __init__(self, kind: type, parse: Callable[[str], object]) -> None:
        self._kind, self._parse = kind, parse

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(self._parse, core_schema.str_schema(strict=True))
        return _made_or(self._kind, text, core_schema.to_string_ser_schema())


class _Document:
    """A document of `provenance.record`, an object in JSON. parse: raises ValueError for any other object."""

    def __init__(self, kind: type, parse: Callable[[object], object]) -> None:
        self._kind, self._parse = kind, parse

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        members = core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema(), strict=True)
        document = core_schema.no_info_after_validator_function(self._parse, members)
        written = core_schema.plain_serializer_function_ser_schema(lambda value: value.document())
        return _made_or(self._kind, document, written)


def _made_or(kind: type, read: CoreSchema, written: core_schema.SerSchema) -> CoreSchema:
    """A value made in this process is taken as it is, anything else is read."""

    def choose(value: object, handler: Callable[[object], object]) -> object:
        return value if isinstance(value, kind) else handler(value)

    return core_schema.no_info_wrap_validator_function(choose, read, serialization=written)


def _require_canonical(value: dict[str, AnyJson]) -> dict[str, AnyJson]:
    canonical.encode(value)
    return value


def _require_decimal(text: str) -> str:
    if abs(exact_decimal(text).adjusted()) > 30:
        raise ValueError(
            f"found {text!r}, expected a decimal between 1e-30 and 1e30, such as '3', '0.5' or '1e-5'"
        )
    return text


def _read_measure(value: object) -> object:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"found {value!r:.80}, expected a number or a decimal string")
        return float(value)
    return value


_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?", re.ASCII)

T = TypeVar("T")
Several = Annotated[tuple[T, ...], Strict(False)]
"""A JSON array; strict in its items. As a Python value any sequence is taken."""
WireDigest = Annotated[Digest, _Text(Digest, Digest.parse)]
WireAddress = Annotated[Address, _Text(Address, Address.parse)]
WireSignature = Annotated[Signature, _Text(Signature, Signature.parse)]
WireCid = Annotated[Cid, _Text(Cid, Cid)]
WireUint256 = Annotated[Uint256, _Text(Uint256, Uint256.parse)]
WireTerms = Annotated[OrderTerms, _Document(OrderTerms, OrderTerms.parse)]
WireCollection = Annotated[Collection, _Document(Collection, Collection.parse)]
WireRequest = Annotated[Request, _Document(Request, Request.parse)]
WireSchema = Annotated[Schema, _Document(Schema, Schema.parse)]
WireReceipt = Annotated[ShardReceipt, _Document(ShardReceipt, ShardReceipt.parse)]
WireShardContent = Annotated[ShardContent, _Document(ShardContent, ShardContent.parse)]
WireScoreContent = Annotated[
    ScoreContent, _Document(ScoreContent, lambda found: ScoreContent.parse(found, "score"))
]
WireSeedDraw = Annotated[SeedDraw, _Document(SeedDraw, lambda found: SeedDraw.parse(found, "seed"))]
DecimalText = Annotated[str, StringConstraints(max_length=40), AfterValidator(_require_decimal)]
"""An exact decimal of at least 0 as people write it; epsilon, delta and scores in requests."""
Measure = Annotated[float, BeforeValidator(_read_measure), PlainSerializer(str, return_type=str)]
"""A finite measured number, written as a decimal string: canonical JSON has no floats. A JSON number is read too."""
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
"""A whole number that JSON readers of every language keep exact: rows, micro, 1e-12, chain seconds."""
Bps = Annotated[int, Field(ge=0, le=WHOLE_BPS)]
# To the type checker these are the values of canonical JSON; at run time pydantic's own type, then the encoder's rules.
if TYPE_CHECKING:
    JsonObject = dict[str, JsonValue]
else:
    JsonObject = Annotated[dict[str, AnyJson], AfterValidator(_require_canonical)]
