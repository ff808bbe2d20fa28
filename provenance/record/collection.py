"""Collections (what a broker offers) and requests (what a buyer asks beyond the signed numbers).

Both are canonical JSON documents whose SHA-256 stands in the order's terms. `bindings` are the members of the
terms that follow from them, `Generation` is what the record of a data set says of its origin. Normative text:
docs/spec/terms.md, rules 8 to 13 for the bindings; docs/spec/manifest.md for the generation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Protocol

from provenance.canonical import JsonValue, encode
from provenance.document import Reader
from provenance.errors import ConditionError, DocumentError
from provenance.exact import SPEC_VERSION
from provenance.exact.size_class import SIZE_CLASSES, SizeClass
from provenance.record.terms import (
    MAX_PARENTS,
    MAX_ROYALTY_BPS,
    FirstOrderTerms,
    OrderTerms,
    parents_digest,
)
from provenance.table.conditions import FORMAT as CONDITIONS_FORMAT
from provenance.table.conditions import Conditions
from provenance.table.conditions_bytes import conditions_digest
from provenance.table.schema import Schema
from provenance.units import E12, MICRO, WHOLE_MICRO, format_fixed
from provenance.values import Digest, sha256

COLLECTION_FORMAT: Final = "tessera-collection/1"
REQUEST_FORMAT: Final = "tessera-request/1"
FAMILIES: Final = ("fedgan", "marginal", "autoregressive")
DISTRIBUTED: Final = "distributed"
"""Of the setting "noise": contributors send vectors of which the sum alone is seen (docs/spec/secure-sums.md)."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")

Settings = Mapping[str, int | str | bool]


def sums_alone(settings: Mapping[str, object]) -> bool:
    """Whether settings have several contributors' vectors seen in their sum alone."""
    return settings.get("noise") == DISTRIBUTED


@dataclass(frozen=True, slots=True)
class Collection:
    """A schema on offer: which generator family, how private, at what price. `name` identifies it at the
    broker. size_class: what every model of its orders must keep; nodes refuse to commit a larger one.
    parents: ids of the data sets that its tables derive from, ascending. royalty_bps: what data sets derived from
    its own, and their resales, owe its contributors. own_real_micro: part of its tables' rows that come from real
    tables directly, declared; the rest comes from the parents. standing: whether models trained for one order may
    make the rows of later ones.
    """

    name: str
    title: str
    schema: Schema
    family: str
    visibility: str
    min_contributors: int
    price_per_row_wei: int
    epsilon_micro: int
    settings: Settings = field(default_factory=dict)
    size_class: SizeClass = "fraud-provable"
    parents: tuple[int, ...] = ()
    royalty_bps: int = 0
    own_real_micro: int = WHOLE_MICRO
    standing: bool = False

    def __post_init__(self) -> None:
        _check_parents(self.parents, self.own_real_micro, f"collection {self.name!r}")

    def document(self) -> dict[str, JsonValue]:
        """The canonical document; its SHA-256 is `OrderTerms.collection`."""
        document: dict[str, JsonValue] = {
            "format": COLLECTION_FORMAT,
            "name": self.name,
            "title": self.title,
            "schema": self.schema.document(),
            "family": self.family,
            "visibility": self.visibility,
            "minContributors": self.min_contributors,
            "pricePerRowWei": str(self.price_per_row_wei),
            "epsilonMicro": self.epsilon_micro,
            "settings": dict(self.settings),
            "sizeClass": self.size_class,
            "parents": [str(parent) for parent in self.parents],
            "royaltyBps": self.royalty_bps,
            "ownRealMicro": self.own_real_micro,
        }
        # Left out where it is not offered: collections of before keep their digests.
        return {**document, "standing": True} if self.standing else document

    @property
    def digest(self) -> Digest:
        return sha256(encode(self.document()))

    @property
    def is_private(self) -> bool:
        return self.visibility == "private"

    def serves(self, epsilon_micro: int, min_contributors: int) -> bool:
        """Whether its nodes take orders of this epsilon: without any, exact counts leave them in masked sums alone,
        which takes two contributors."""
        return epsilon_micro > 0 or (sums_alone(self.settings) and min_contributors > 1)

    @property
    def size_class_number(self) -> int:
        """`OrderTerms.size_class`: 1 where the chain can judge every row, 0 where rows are recomputed only."""
        return int(self.size_class == "fraud-provable")

    @classmethod
    def parse(cls, document: object, where: str = "collection") -> Collection:
        """Reads `document()` back. Raises DocumentError or SchemaError."""
        names = ("format", "name", "title", "schema", "family", "visibility", "minContributors")
        more = ("pricePerRowWei", "epsilonMicro", "settings", "sizeClass")
        last = ("parents", "royaltyBps", "ownRealMicro", *_present(document, "standing"))
        reader = Reader(document, where, (*names, *more, *last))
        reader.constant("format", COLLECTION_FORMAT)
        name = reader.text("name")
        if not _NAME.match(name):
            raise DocumentError(
                f"{where}.name: found {name!r}, expected 1 to 64 lower-case letters, digits or hyphens"
            )
        return cls(
            name,
            reader.text("title"),
            Schema.parse(reader.member("schema")),
            reader.choice("family", FAMILIES),
            reader.choice("visibility", ("private", "open")),
            reader.integer("minContributors", 1, 255),
            reader.decimal("pricePerRowWei"),
            reader.integer("epsilonMicro"),
            _settings(reader.mapping("settings"), f"{where}.settings"),
            _size_class(reader),
            reader.items("parents", _parent_id),
            reader.integer("royaltyBps", 0, MAX_ROYALTY_BPS),
            reader.integer("ownRealMicro", 0, WHOLE_MICRO),
            _standing(reader, document),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What the buyer says beside the signed numbers. segments: those of a conditions document about the
    collection's schema (docs/spec/conditions.md), as found; none for whole tables. training: the order whose models
    make the rows, from stock; None where models are made to order."""

    purpose: str = ""
    segments: tuple[Mapping[str, JsonValue], ...] = ()
    training: Digest | None = None

    def document(self) -> dict[str, JsonValue]:
        """The canonical document; its SHA-256 is `OrderTerms.request`."""
        segments: list[JsonValue] = [dict(segment) for segment in self.segments]
        document: dict[str, JsonValue] = {
            "format": REQUEST_FORMAT,
            "conditions": segments,
            "purpose": self.purpose,
        }
        return document if self.training is None else {**document, "training": str(self.training)}

    @property
    def digest(self) -> Digest:
        return sha256(encode(self.document()))

    @classmethod
    def parse(cls, document: object, where: str = "request") -> Request:
        """Reads `document()` back. Raises DocumentError. The segments are judged by `asked`."""
        named = _present(document, "training")
        reader = Reader(document, where, ("format", "conditions", "purpose", *named))
        reader.constant("format", REQUEST_FORMAT)
        segments = []
        for number, segment in enumerate(reader.array("conditions")):
            if not isinstance(segment, dict):
                raise DocumentError(
                    f"{where}.conditions[{number}]: found {segment!r:.80}, expected a JSON object"
                )
            segments.append(segment)
        return cls(reader.text("purpose"), tuple(segments), reader.digest("training") if named else None)

    @classmethod
    def of(cls, purpose: str, conditions: Conditions | None, training: Digest | None = None) -> Request:
        """The request for rows under `conditions`, from stock where it names a `training`."""
        if conditions is None or conditions.is_free:
            return cls(purpose, (), training)
        segments = conditions.document()["segments"]
        made = cls.parse({"format": REQUEST_FORMAT, "conditions": segments, "purpose": purpose})
        return replace(made, training=training)

    def asked(self, schema: Schema, rows: int) -> Conditions | None:
        """The conditions on an order of `rows` rows; None for whole tables. Raises
        ConditionError or DocumentError."""
        if not self.segments:
            return None
        segments: list[JsonValue] = [dict(segment) for segment in self.segments]
        found = Conditions.parse(
            {"format": CONDITIONS_FORMAT, "schema": str(schema.digest), "segments": segments}, schema
        )
        if found.rows != rows:
            raise ConditionError(
                f"conditions: their segments have {found.rows:,} rows, the order has {rows:,}; state them for all rows"
            )
        if found.is_free:
            raise ConditionError("conditions: no segment restricts anything; leave them out")
        return found


@dataclass(frozen=True, slots=True)
class Binding:
    """One member of the terms: what they say, and what the document gives."""

    member: str
    found: Digest | int
    expected: Digest | int

    @property
    def holds(self) -> bool:
        return self.found == self.expected


def bindings(terms: OrderTerms, collection: Collection, request: Request) -> tuple[Binding, ...]:
    """The members of the terms that follow from collection and request, in the order of the struct. Buyer, broker,
    nodes and verifiers compare with this one list. Raises ConditionError or DocumentError for conditions that do
    not fit the collection's schema and the terms' rows."""
    asked = request.asked(collection.schema, terms.rows)
    bound = (
        Binding("collection", terms.collection, collection.digest),
        Binding("request", terms.request, request.digest),
        Binding("royaltyBps", terms.royalty_bps, collection.royalty_bps),
        Binding("conditions", terms.conditions, conditions_digest(asked)),
        Binding("parents", terms.parents, parents_digest(collection.parents)),
    )
    if isinstance(terms, FirstOrderTerms):
        return bound
    return (
        *bound,
        Binding("schemaDigest", terms.schema_digest, collection.schema.digest),
        Binding("sizeClass", terms.size_class, collection.size_class_number),
        Binding("specVersion", terms.spec_version, SPEC_VERSION),
        Binding("ownRealMicro", terms.own_real_micro, collection.own_real_micro),
    )


def stock_faults(
    terms: OrderTerms, collection: Collection, training: OrderTerms, *, made_to_order: bool
) -> tuple[tuple[str, str, str], ...]:
    """What keeps an order from being sold from the stock of another: (member, found, expected) of each rule that does
    not hold (docs/spec/terms.md). training: the terms of the order that trained; made_to_order: whether that order's
    own request names no training.
    """
    spent, left = (f"{format_fixed(each.epsilon_micro, MICRO)} at {format_fixed(each.delta_e12, E12)}"
                   for each in (terms, training))  # fmt: skip
    rules = (
        (collection.standing, "standing", "a collection without standing models", "one that offers them"),
        (made_to_order, "training", "an order that was itself sold from stock", "the one that trained"),
        (
            terms.collection == training.collection,
            "training", f"an order of collection {training.collection}", f"one of collection {terms.collection}",
        ),
        (
            (terms.epsilon_micro, terms.delta_e12) == (training.epsilon_micro, training.delta_e12),
            "epsilon and delta", spent, f"{left}, which the models were trained with",
        ),
    )  # fmt: skip
    return tuple((member, found, expected) for holds, member, found, expected in rules if not holds)


class Parent(Protocol):
    """A recorded data set that another derives from."""

    @property
    def id(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def real_fraction_micro(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Generation:
    """How far from real tables: depth 0 = trained on real tables only. Depth and fraction follow from the parents'
    records and from the own part that the collection declares; that part is not proven.
    """

    depth: int
    parents: tuple[int, ...]
    real_fraction_micro: int

    @classmethod
    def derived(cls, own_real_micro: int, parents: Sequence[Parent]) -> Generation:
        """As DatasetRegistry computes it: one deeper than the deepest parent, no more real than the least real of the
        own part and the parents."""
        if not parents:
            return cls(0, (), own_real_micro)
        fraction = min(own_real_micro, *(parent.real_fraction_micro for parent in parents))
        depth = 1 + max(parent.depth for parent in parents)
        return cls(depth, tuple(parent.id for parent in parents), fraction)

    def document(self) -> dict[str, JsonValue]:
        return {
            "depth": self.depth,
            "parents": [str(parent) for parent in self.parents],
            "realFractionMicro": self.real_fraction_micro,
        }

    @classmethod
    def parse(cls, document: object, where: str) -> Generation:
        reader = Reader(document, where, ("depth", "parents", "realFractionMicro"))
        return cls(
            reader.integer("depth", 0, 65535),
            reader.items("parents", _parent_id),
            reader.integer("realFractionMicro", 0, WHOLE_MICRO),
        )


def _present(document: object, *optional: str) -> tuple[str, ...]:
    """Of members that may be left out, those that are there."""
    return tuple(name for name in optional if isinstance(document, Mapping) and name in document)


def _standing(reader: Reader, document: object) -> bool:
    if not _present(document, "standing"):
        return False
    if reader.member("standing") is not True:
        raise DocumentError(
            f"{reader.where('standing')}: found {reader.member('standing')!r:.80}, expected true, or no such member"
        )
    return True


def _size_class(reader: Reader) -> SizeClass:
    found = reader.choice("sizeClass", SIZE_CLASSES)
    return next(each for each in SIZE_CLASSES if each == found)


def _parent_id(value: object, where: str) -> int:
    return Reader({"id": value}, where, ("id",)).decimal("id")


def _check_parents(parents: tuple[int, ...], own_real_micro: int, where: str) -> None:
    is_ascending = all(low < high for low, high in pairwise(parents))
    if len(parents) > MAX_PARENTS or not is_ascending or min(parents, default=1) < 1:
        raise DocumentError(
            f"{where}: found parents {list(parents)}, expected at most {MAX_PARENTS} data-set ids from 1 on, ascending"
        )
    if not parents and own_real_micro != WHOLE_MICRO:
        raise DocumentError(
            f"{where}: found ownRealMicro {own_real_micro} and no parents, expected {WHOLE_MICRO}: "
            "name the data sets that the other rows come from"
        )


def _settings(values: Mapping[str, JsonValue], where: str) -> Settings:
    result: dict[str, int | str | bool] = {}
    for name, value in values.items():
        if not isinstance(value, int | str):
            raise DocumentError(f"{where}.{name}: found {value!r}, expected an integer, string or boolean")
        result[name] = value
    return result
