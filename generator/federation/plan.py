"""The training plan: everything that is decided before the first row is read.

Noise, bins, tables, rounds and steps follow from the plan alone. A contributor stores the plan with its first
task of an order and refuses any later task that carries another one, so a coordinator cannot steer the
privacy cost by what it has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from generator.errors import PlanError
from generator.federation.task import Json
from provenance import canonical
from provenance.errors import ProvenanceError
from provenance.table.schema import Schema
from provenance.values import Address, Digest, sha256

FORMAT = "tessera-plan/1"
HOLDOUT_DIVISOR = 10
"""One row in ten never trains: it scores the pooled data set."""

Setting: TypeAlias = str | int
Settings: TypeAlias = Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class PlanParticipant:
    """A contributor and the rows it publicly declares to hold (a bound it states, not a count of its
    table).
    """

    contributor: Address
    declared_rows: int

    @property
    def holdout_rows(self) -> int:
        """Declared size of the hold-out part, the divisor of hold-out counts."""
        return max(1, self.declared_rows // HOLDOUT_DIVISOR)

    @property
    def training_rows(self) -> int:
        """Declared size of the part that trains, the divisor of every rate and mean."""
        return max(1, self.declared_rows - self.declared_rows // HOLDOUT_DIVISOR)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One order's training, as agreed by everyone.

    epsilon_micro: privacy ceiling of each contributor's releases in millionths, None for no privacy.
    delta_e12: delta in 1e-12. settings: the family's settings; absent ones take the family's defaults.
    """

    order: Digest
    family: str
    schema: Schema
    epsilon_micro: int | None
    delta_e12: int
    participants: tuple[PlanParticipant, ...]
    settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.participants or len({p.contributor for p in self.participants}) != len(self.participants):
            raise PlanError(
                f"{len(self.participants)} participants given, expected at least one and all different"
            )
        if any(p.declared_rows < 1 for p in self.participants):
            raise PlanError("every participant must declare at least one row")
        if self.epsilon_micro is not None and not (self.epsilon_micro > 0 and 0 < self.delta_e12 < 10**12):
            raise PlanError(
                f"epsilon {self.epsilon_micro} (millionths) with delta {self.delta_e12} (1e-12): both must "
                "be positive and delta below 1; use no epsilon for no privacy"
            )

    @property
    def epsilon(self) -> float | None:
        """The ceiling as a number, None for no privacy."""
        return None if self.epsilon_micro is None else self.epsilon_micro / 1e6

    @property
    def delta(self) -> float:
        """Delta as a number."""
        return self.delta_e12 / 1e12

    @property
    def training_rows(self) -> int:
        """Declared training rows of all participants."""
        return sum(participant.training_rows for participant in self.participants)

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical document."""
        return sha256(canonical.encode(self.document()))

    def participant(self, contributor: Address) -> PlanParticipant:
        """The entry of one contributor; PlanError if it is not named."""
        for participant in self.participants:
            if participant.contributor == contributor:
                return participant
        raise PlanError(
            f"contributor {contributor} is not among the plan's {len(self.participants)} participants"
        )

    def shard(self, contributor: Address) -> int:
        """Index of the contributor's shard: its place among the participants."""
        return self.participants.index(self.participant(contributor))

    def document(self) -> dict[str, Json]:
        """The canonical document; `parse` reads it back."""
        schema: Json = dict(self.schema.document())
        return {
            "format": FORMAT,
            "order": str(self.order),
            "family": self.family,
            "schema": schema,
            "epsilonMicro": self.epsilon_micro,
            "deltaE12": self.delta_e12,
            "participants": [
                {"contributor": str(p.contributor), "declaredRows": p.declared_rows}
                for p in self.participants
            ],
            "settings": dict(self.settings),
        }

    @classmethod
    def parse(cls, document: Json) -> TrainingPlan:
        """Read a document strictly; PlanError says what is wrong with it."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise PlanError(f"expected a plan document of format {FORMAT}")
        unknown = document.keys() ^ _KEYS
        if unknown:
            raise PlanError(f"plan document has wrong or missing entries: {', '.join(sorted(unknown))}")
        try:
            return cls(
                order=Digest.parse(_text(document, "order")),
                family=_text(document, "family"),
                schema=Schema.parse(document["schema"]),
                epsilon_micro=None
                if document["epsilonMicro"] is None
                else _integer(document, "epsilonMicro"),
                delta_e12=_integer(document, "deltaE12"),
                participants=_participants(document["participants"]),
                settings=_settings(document["settings"]),
            )
        except (ProvenanceError, ValueError) as error:
            raise PlanError(f"plan document cannot be read: {error}") from error


_KEYS = {"format", "order", "family", "schema", "epsilonMicro", "deltaE12", "participants", "settings"}


def _text(document: dict[str, Json], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise PlanError(f"plan entry {key} is {value!r}, expected text")
    return value


def _integer(document: dict[str, Json], key: str) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise PlanError(f"plan entry {key} is {value!r}, expected an integer")
    return value


def _participants(value: Json) -> tuple[PlanParticipant, ...]:
    if not isinstance(value, list):
        raise PlanError("plan entry participants must be a list")
    parts = []
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"contributor", "declaredRows"}:
            raise PlanError(f"participant {entry!r} needs exactly contributor and declaredRows")
        parts.append(
            PlanParticipant(Address.parse(_text(entry, "contributor")), _integer(entry, "declaredRows"))
        )
    return tuple(parts)


def _settings(value: Json) -> dict[str, Setting]:
    if not isinstance(value, dict):
        raise PlanError("plan entry settings must be an object")
    settings: dict[str, Setting] = {}
    for key, entry in value.items():
        if isinstance(entry, bool) or not isinstance(entry, (str, int)):
            raise PlanError(f"setting {key} is {entry!r}, expected an integer or text")
        settings[key] = entry
    return settings
