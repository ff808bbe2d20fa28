"""Stored documents of an order, read back as values."""

from __future__ import annotations

from dataclasses import dataclass

from backend.database.models import OrderRow
from provenance.canonical import JsonValue, decode, encode
from provenance.crypto.permit import Permit
from provenance.document import Reader
from provenance.record.collection import Request
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Address, Digest, Signature


@dataclass(frozen=True, slots=True)
class MatchedContributor:
    """One contributor of the match: what it declared, what it accepted, what it delivers."""

    contributor: Address
    rows: int
    max_rows: int
    declared_rows: int
    acceptance: Signature

    def document(self) -> dict[str, JsonValue]:
        return {
            "contributor": str(self.contributor),
            "rows": self.rows,
            "maxRows": self.max_rows,
            "declaredRows": self.declared_rows,
            "acceptance": str(self.acceptance),
        }

    @classmethod
    def parse(cls, document: object) -> MatchedContributor:
        names = ("contributor", "rows", "maxRows", "declaredRows", "acceptance")
        reader = Reader(document, "participant", names)
        return cls(
            reader.address("contributor"),
            reader.integer("rows", 1),
            reader.integer("maxRows", 1),
            reader.integer("declaredRows", 1),
            reader.signature("acceptance"),
        )


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as the buyer signed it, with the match once there is one."""

    id: Digest
    state: str
    terms: OrderTerms
    signature: Signature
    permit: Permit
    request: Request
    matched: tuple[MatchedContributor, ...]

    @classmethod
    def of(cls, row: OrderRow) -> StoredOrder:
        return cls(
            Digest.parse(row.id),
            row.state,
            OrderTerms.parse(decode(row.terms)),
            Signature(row.signature),
            Permit.parse(decode(row.permit)),
            Request.parse(decode(row.request)),
            matched_of(row),
        )

    def participants(self) -> tuple[Participant, ...]:
        """As the escrow contract hashes them."""
        return tuple(Participant(each.contributor, each.rows) for each in self.matched)


def matched_of(row: OrderRow) -> tuple[MatchedContributor, ...]:
    """The stored match, empty before there is one."""
    if row.participants is None:
        return ()
    documents = decode(row.participants)
    assert isinstance(documents, list)
    return tuple(MatchedContributor.parse(document) for document in documents)


def encode_matched(matched: tuple[MatchedContributor, ...]) -> bytes:
    """What `matched_of` reads."""
    return encode([each.document() for each in matched])
