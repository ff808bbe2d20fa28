"""What a schema says about itself: where a column's words came from, how cells outside are read, and what was spent
on a draft that was released under differential privacy.

None of it says which values there are, so none of it enters the schema's digest. Normative text:
docs/spec/schema.md, rules 9, 10 and 25 to 29.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, ValueFormatError
from provenance.table.schema_words import flag_member, members, no_extra, text_member
from provenance.table.unit import Unit
from provenance.values import Digest

INFERABLE = (
    "type", "format", "separator", "minimum", "maximum", "multipleOf", "enum", "pattern", "nullable", "missing",
)  # fmt: skip
REMARKS = frozenset({"inferred", "released", "public", "clip"})
"""The members of a column that are remarks."""


@dataclass(frozen=True, slots=True)
class Remarks:
    """The remarks of one column.

    inferred: its members that were read off rows without privacy. released: those read off rows under differential
    privacy, counted by the schema's `Release`. public: why the column is public knowledge all the same, None where
    nobody vouches for it. clip: cells outside are moved inside and not refused.
    """

    inferred: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    public: str | None = None
    clip: bool = False

    @classmethod
    def parse(cls, document: Mapping[str, object], place: str) -> Remarks:
        """The remarks among a column's members. Raises SchemaError."""
        return cls(
            _words(document, "inferred", place),
            _words(document, "released", place),
            text_member(document, "public", place) if "public" in document else None,
            flag_member(document, "clip", place),
        )

    def document(self) -> dict[str, JsonValue]:
        """The members that say something."""
        found: dict[str, JsonValue] = {}
        if self.inferred:
            found["inferred"] = list(self.inferred)
        if self.released:
            found["released"] = list(self.released)
        if self.public is not None:
            found["public"] = self.public
        if self.clip:
            found["clip"] = True
        return found


NO_REMARKS = Remarks()


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a histogram over values that nobody lists beforehand shows: those whose noisy count reaches `least`.

    columns: how many histograms, one a column. std_micro: standard deviation of the noise on a count, in millionths.
    """

    columns: int
    least: int
    std_micro: int


@dataclass(frozen=True, slots=True)
class ReleasedPart:
    """One Gaussian release: its noise over the L2 sensitivity of one unit in millionths, rounded down."""

    name: str
    noise_multiplier_micro: int
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """What a draft told about the rows it was read off: every part, and their epsilon at delta together.

    id: random, so that whoever sees the draft again knows it is charged already. rows: the noisy number of rows. unit:
    what the noise was for, None for one row.
    """

    id: Digest
    epsilon_micro: int
    delta_e12: int
    rows: int
    parts: tuple[ReleasedPart, ...]
    unit: Unit | None = None

    @classmethod
    def parse(cls, value: object) -> Release:
        """The member `release` of a schema. Raises SchemaError."""
        place = "schema, field 'release'"
        document = members(value, place)
        no_extra(document, {"id", "epsilonMicro", "deltaE12", "rows", "parts", "unit"}, place)
        parts = document.get("parts")
        if not isinstance(parts, list | tuple) or not parts:
            raise SchemaError(f"{place}, field 'parts': found {parts!r:.80}, expected a list of releases")
        try:
            identity = Digest.parse(text_member(document, "id", place))
        except ValueFormatError as error:
            raise SchemaError(f"{place}, field 'id': {error}") from error
        return cls(
            identity,
            _positive(document, "epsilonMicro", place),
            _positive(document, "deltaE12", place),
            _positive(document, "rows", place),
            tuple(_part(item, f"{place}, part {number}") for number, item in enumerate(parts, start=1)),
            Unit.parse(document["unit"]) if "unit" in document else None,
        )

    def document(self) -> dict[str, JsonValue]:
        """The member as it stands in the document."""
        unit: dict[str, JsonValue] = {} if self.unit is None else {"unit": self.unit.document()}
        return {
            "id": str(self.id),
            "epsilonMicro": self.epsilon_micro,
            "deltaE12": self.delta_e12,
            "rows": self.rows,
            "parts": [_part_document(part) for part in self.parts],
            **unit,
        }


def least_rows_member(document: Mapping[str, object]) -> int | None:
    """The member `leastRows`: every value that was read off rows is held by so many of them; None without it."""
    return _positive(document, "leastRows", "schema") if "leastRows" in document else None


def _part(value: object, place: str) -> ReleasedPart:
    document = members(value, place)
    no_extra(document, {"name", "noiseMultiplierMicro", "threshold"}, place)
    threshold = None
    if "threshold" in document:
        inner = members(document["threshold"], f"{place}, field 'threshold'")
        no_extra(inner, {"columns", "least", "stdMicro"}, place)
        threshold = Threshold(*(_positive(inner, key, place) for key in ("columns", "least", "stdMicro")))
    name = text_member(document, "name", place)
    return ReleasedPart(name, _positive(document, "noiseMultiplierMicro", place), threshold)


def _part_document(part: ReleasedPart) -> JsonValue:
    document: dict[str, JsonValue] = {
        "name": part.name,
        "noiseMultiplierMicro": part.noise_multiplier_micro,
    }
    if part.threshold is not None:
        each = part.threshold
        document["threshold"] = {"columns": each.columns, "least": each.least, "stdMicro": each.std_micro}
    return document


def _words(document: Mapping[str, object], key: str, place: str) -> tuple[str, ...]:
    """A list of a column's members, in a fixed order."""
    value = document.get(key, [])
    if not isinstance(value, list | tuple) or any(item not in INFERABLE for item in value):
        raise SchemaError(
            f"{place}, field {key!r}: found {value!r}, expected a list of {', '.join(INFERABLE)}"
        )
    return tuple(word for word in INFERABLE if word in value)


def _positive(document: Mapping[str, object], key: str, place: str) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise SchemaError(f"{place}, field {key!r}: found {value!r:.80}, expected an integer above 0")
    return value
