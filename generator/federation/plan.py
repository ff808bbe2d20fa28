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
from provenance.api.tasks import PlanDocument, PlannedContributor
from provenance.errors import DocumentError
from provenance.table.schema import Schema
from provenance.values import Address, Digest, sha256

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
        return sha256(self.message().encode())

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

    def message(self) -> PlanDocument:
        """The plan as it is sent and stored; `of` reads it back."""
        return PlanDocument(
            order=self.order,
            family=self.family,
            schema=self.schema,
            epsilon_micro=self.epsilon_micro,
            delta_e12=self.delta_e12,
            participants=tuple(
                PlannedContributor(contributor=each.contributor, declared_rows=each.declared_rows)
                for each in self.participants
            ),
            settings=dict(self.settings),
        )

    def document(self) -> dict[str, Json]:
        """The canonical document; `parse` reads it back."""
        return self.message().to_document()

    @classmethod
    def of(cls, message: PlanDocument) -> TrainingPlan:
        """The plan of a message; PlanError says what contradicts itself."""
        return cls(
            order=message.order,
            family=message.family,
            schema=message.table_schema,
            epsilon_micro=message.epsilon_micro,
            delta_e12=message.delta_e12,
            participants=tuple(
                PlanParticipant(each.contributor, each.declared_rows) for each in message.participants
            ),
            settings=message.settings,
        )

    @classmethod
    def parse(cls, document: Json) -> TrainingPlan:
        """Read a document strictly; PlanError says what is wrong with it."""
        try:
            return cls.of(PlanDocument.of(document, "plan"))
        except DocumentError as error:
            raise PlanError(str(error)) from error
