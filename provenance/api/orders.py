"""Quotes and orders: what is asked, what is signed, how the order stands, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, Strict

from provenance.api.message import (
    Count,
    DecimalText,
    JsonObject,
    Message,
    Several,
    Uint256,
    WireAddress,
    WireCid,
    WireDigest,
    WireRequest,
    WireSignature,
    WireTerms,
    WireUint256,
    optional,
)
from provenance.api.queue import Progress
from provenance.canonical import MAX_INTEGER
from provenance.crypto.permit import Permit
from provenance.record.terms import MAX_CONTRIBUTORS, OrderTerms
from provenance.values import Address

Seconds = Annotated[int, Field(ge=0, le=2**31)]
Contributors = Annotated[int, Field(ge=1, le=MAX_CONTRIBUTORS)]


class OrderState(StrEnum):
    """As the broker tells them, in the order of a good life; the last five are final. The chain's own state wins."""

    ACCEPTED = "accepted"
    """Stored by the broker, not yet in escrow."""
    OPEN = "open"
    """The price is in escrow."""
    MATCHED = "matched"
    TRAINED = "trained"
    COMMITTED = "committed"
    SEEDED = "seeded"
    SCORED = "scored"
    PUBLISHED = "published"
    SETTLED = "settled"
    REFUNDED = "refunded"
    """Not delivered; the buyer has the money back."""
    REVOKED = "revoked"
    """Published, then shown to be false or withheld; the buyer has the money back."""
    CANCELLED = "cancelled"
    """The buyer took the order back before the match."""
    REJECTED = "rejected"
    """The chain did not take the order; no money moved."""


FAILED_STATES: Final = frozenset(
    {OrderState.REFUNDED, OrderState.REVOKED, OrderState.CANCELLED, OrderState.REJECTED}
)
FINAL_STATES: Final = FAILED_STATES | {OrderState.SETTLED}
WireOrderState = Annotated[OrderState, Strict(False)]


Supply = Literal["from-stock", "made-to-order"]
"""Rows of models that are there, in seconds; or of models that are trained for the order, in minutes."""


class QuoteRequest(Message):
    """What a buyer asks for; what is left out is the collection's or the broker's usual. training: the order from whose
    stock the rows are to come."""

    collection: WireDigest
    buyer: WireAddress
    rows: int = Field(ge=1, le=MAX_INTEGER)
    epsilon: DecimalText | None = optional()
    delta: DecimalText | None = optional()
    delivery_key: WireDigest | None = optional()
    min_contributors: Contributors | None = optional()
    max_contributors: Contributors | None = optional()
    min_score: DecimalText | None = optional()
    conditions: Annotated[Several[JsonObject], Field(max_length=4096)] = ()
    purpose: str = Field(default="", max_length=1000)
    training: WireDigest | None = optional()
    indivisible: bool = False
    match_within_seconds: Seconds | None = optional()
    deliver_within_seconds: Seconds | None = optional()
    challenge_seconds: Seconds | None = optional()
    max_price_wei: WireUint256 | None = optional()


class PermitToSign(Message):
    """What the buyer has to sign (ERC-2612) beside the terms."""

    token: WireAddress
    owner: WireAddress
    spender: WireAddress
    value: WireUint256
    deadline: Count
    typed_data: JsonObject


class QuoteView(Message):
    """Terms to sign. Nothing in it is believed before the buyer compared it with what was asked. in_stock: the newest
    training that an order with these terms could be sold from, where this one is made to order."""

    order_id: WireDigest
    price_wei: WireUint256
    size_class: str
    terms: WireTerms
    request: WireRequest
    supply: Supply
    in_stock: WireDigest | None = optional()
    typed_data: JsonObject
    permit: PermitToSign


def _number_too(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return Uint256(str(value)) if is_number else value


class SignedPermit(Message):
    """All zero when the buyer approved the escrow before."""

    deadline: Annotated[WireUint256, BeforeValidator(_number_too)]
    v: int = Field(ge=0, le=255)
    r: WireDigest
    s: WireDigest

    def permit(self) -> Permit:
        """As the escrow contract takes it."""
        return Permit(self.deadline, self.v, self.r, self.s)


class OrderRequest(Message):
    """A signed order. The same order again is answered with the stored one."""

    terms: WireTerms
    signature: WireSignature
    permit: SignedPermit
    request: WireRequest


class OrderAccepted(Message):
    order_id: WireDigest
    state: WireOrderState


class ParticipantView(Message):
    contributor: WireAddress
    rows: Count
    max_rows: Count
    acceptance: WireSignature


class TransactionView(Message):
    step: str
    hash: WireDigest
    block: Count
    gas_used: Count | None


class DemandView(Message):
    """The newest demand about one shard; the manifest is demanded of shard 2^32 - 1.

    kind: commitment, salt, receipt, evaluation, model, chunk, manifest. state: open, warned (the second time to answer
    runs, up to `answer_by`), answered, expired.
    """

    shard: Count
    kind: str
    state: str
    demander: WireAddress
    answer_by: Count


FaultKind: TypeAlias = Literal["dropped", "convicted", "fined", "broker"]


class FaultView(Message):
    """Somebody failed, and what it cost. dropped: no shard before the publication. convicted: a shard that was shown to
    be false, or withheld. fined: no evaluation. broker: the manifest was withheld. slashed_wei: of a stake, or of the
    broker's bond."""

    kind: FaultKind
    shard: Count | None
    contributor: WireAddress | None
    slashed_wei: WireUint256


class OrderView(Message):
    """How an order stands. `terms` and `request` are as they were signed, for whoever hashes them again.

    refunded_wei: what went back to the buyer. deliver_by: to when the delivery was moved; left out where the
    terms' time stands.
    """

    order_id: WireDigest
    state: WireOrderState
    chain_state: str | None
    reason: str | None
    buyer: WireAddress
    collection: WireDigest
    terms: dict[str, str]
    signature: WireSignature
    request: JsonObject
    participants: Several[ParticipantView]
    dataset_id: Count | None
    manifest_cid: WireCid | None
    transactions: Several[TransactionView]
    demands: Several[DemandView]
    faults: Several[FaultView] = ()
    refunded_wei: WireUint256 | None = optional()
    deliver_by: Count | None = optional()
    created_at: Count

    def order_terms(self) -> OrderTerms:
        """The terms as values. Raises DocumentError."""
        return OrderTerms.read(self.terms)


class SaltView(Message):
    shard: Count
    salt: WireDigest


class SaltsView(Message):
    """The salts of an order's seed that were told so far, by shard; none before the hash of its block is fixed."""

    salts: Several[SaltView]


class OrderList(Message):
    orders: Several[OrderView]


class StateEvent(Message):
    """The order moved. transaction: the newest one of the order."""

    state: WireOrderState
    transaction: WireDigest | None = optional()
    reason: str | None = optional()


class ProgressEvent(Progress):
    """Training goes on. node: who says so, None for the coordinator."""

    node: WireAddress | None = optional()

    @classmethod
    def of_progress(cls, progress: Progress, node: Address | None) -> ProgressEvent | None:
        """What is worth telling of a heartbeat; None when nothing was measured and nothing said."""
        told = {name: getattr(progress, name) for name in Progress.model_fields}
        return cls(node=node, **told) if any(value is not None for value in told.values()) else None


class MessageEvent(Message):
    text: str


OrderEvent: TypeAlias = StateEvent | ProgressEvent | MessageEvent
EVENTS: Final[Mapping[str, type[OrderEvent]]] = {
    "state": StateEvent,
    "progress": ProgressEvent,
    "message": MessageEvent,
}
"""Name in the stream -> what its data is."""


def event_kind(event: OrderEvent) -> Literal["state", "progress", "message"]:
    """The name under which an event is stored and streamed."""
    if isinstance(event, StateEvent):
        return "state"
    return "progress" if isinstance(event, ProgressEvent) else "message"
