"""Bodies of quotes and orders. `terms` has the canonical form of provenance.record.terms: every member a string."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from backend.http.wire import AddressText, DecimalText, DigestText, JsonObject, SignatureText, WeiText, Wire
from provenance.crypto.permit import Permit
from provenance.values import Digest

Seconds = Annotated[int, Field(ge=0, le=2**31)]
TermsDocument = dict[str, str]


class QuoteRequest(Wire):
    collection: DigestText
    buyer: AddressText
    rows: int = Field(ge=1, le=2**53 - 1)
    epsilon: DecimalText | None = None
    delta: DecimalText | None = None
    delivery_key: DigestText | None = None
    min_contributors: int | None = Field(default=None, ge=1, le=255)
    max_contributors: int | None = Field(default=None, ge=1, le=255)
    min_score: DecimalText | None = None
    conditions: list[JsonObject] = Field(default_factory=list, max_length=4096)
    purpose: str = Field(default="", max_length=1000)
    match_within_seconds: Seconds | None = None
    deliver_within_seconds: Seconds | None = None
    challenge_seconds: Seconds | None = None
    max_price_wei: WeiText | None = None


class PermitRequest(Wire):
    """What the buyer has to sign (ERC-2612) beside the terms."""

    token: str
    owner: str
    spender: str
    value: str
    deadline: int
    typed_data: JsonObject


class QuoteOut(Wire):
    order_id: str
    price_wei: str
    size_class: str
    terms: TermsDocument
    request: JsonObject
    typed_data: JsonObject
    permit: PermitRequest


class PermitIn(Wire):
    """All zero when the buyer approved the escrow before."""

    deadline: Annotated[int, Field(ge=0, le=2**63)] | WeiText
    v: int = Field(ge=0, le=255)
    r: DigestText
    s: DigestText

    def permit(self) -> Permit:
        return Permit(int(self.deadline), self.v, Digest.parse(self.r), Digest.parse(self.s))


class OrderRequest(Wire):
    terms: TermsDocument
    signature: SignatureText
    permit: PermitIn
    request: JsonObject


class OrderAccepted(Wire):
    order_id: str
    state: str


class ParticipantOut(Wire):
    contributor: str
    rows: int
    max_rows: int
    acceptance: str


class TransactionOut(Wire):
    step: str
    hash: str
    block: int
    gas_used: int | None


class DemandOut(Wire):
    """The newest demand about one shard; state: open, answered, expired."""

    shard: int
    kind: str
    state: str
    demander: str
    answer_by: int


class OrderOut(Wire):
    order_id: str
    state: str
    chain_state: str | None
    reason: str | None
    buyer: str
    collection: str
    terms: TermsDocument
    signature: str
    request: JsonObject
    participants: list[ParticipantOut]
    dataset_id: int | None
    manifest_cid: str | None
    transactions: list[TransactionOut]
    demands: list[DemandOut]
    created_at: int


class OrderList(Wire):
    orders: list[OrderOut]
