"""What the market says, as values.  Documents that a digest binds (terms, collection, request) stay as received."""

from __future__ import annotations

import math
from dataclasses import dataclass

from generator.market.wire import Fields, JsonObject
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """Where the market lives: the chain, the contracts it names (to be verified), its broker, its usual stake."""

    chain_id: int
    deployment: JsonObject
    broker: Address
    chain_time: int
    spec_version: int
    stake_wei: int

    @classmethod
    def read(cls, fields: Fields) -> NetworkInfo:
        return cls(
            fields.integer("chainId"),
            fields.object("deployment").values,
            fields.address("broker"),
            fields.integer("chainTime"),
            fields.integer("specVersion"),
            fields.integer("stakeWei"),
        )


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as listed; its digest is recomputed from `document` by whoever relies on it."""

    id: str
    document: JsonObject

    @classmethod
    def read(cls, fields: Fields) -> CollectionInfo:
        return cls(fields.text("id"), fields.object("document").values)


@dataclass(frozen=True, slots=True)
class TaskLease:
    """A task that this node holds for a while; `kind` is accept, train, sample or evaluate."""

    id: int
    order: Digest
    name: str
    kind: str
    attempt: int

    @classmethod
    def read(cls, fields: Fields) -> TaskLease:
        return cls(
            fields.integer("id"),
            fields.digest("order"),
            fields.text("name"),
            fields.text("kind"),
            fields.integer_or("attempt", 1),
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task or phase is; what is None was not measured and is not sent."""

    message: str
    round: int | None = None
    rounds: int | None = None
    loss: float | None = None
    epsilon: float | None = None

    def document(self) -> JsonObject:
        values: JsonObject = {
            "message": self.message,
            "round": self.round,
            "rounds": self.rounds,
            "loss": self.loss,
            "epsilon": self.epsilon,
        }
        # A loss that is not finite has no JSON; training itself judges it.
        return {
            name: value
            for name, value in values.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))
        }


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task as the broker sees it: queued, leased, done, refused or cancelled."""

    id: int
    name: str
    node: Address
    state: str
    code: str
    reason: str

    @classmethod
    def read(cls, fields: Fields) -> TaskStatus:
        refusal = fields.object("refusal") if fields.has("refusal") else None
        return cls(
            fields.integer("id"),
            fields.text("name"),
            fields.address("node"),
            fields.text("state"),
            refusal.text("code") if refusal else "",
            refusal.text("reason") if refusal else "",
        )


@dataclass(frozen=True, slots=True)
class Job:
    """A phase of an order for the coordinator worker: "train" or "score"."""

    order: Digest
    phase: str
    plan: Fields

    @classmethod
    def read(cls, fields: Fields) -> Job:
        return cls(fields.digest("order"), fields.text("phase"), fields.object("plan"))
