"""Stored documents of an order, read back as values."""

from __future__ import annotations

from dataclasses import dataclass

from backend.database.models import OrderRow
from provenance.api.coordination import MatchedContributor
from provenance.canonical import decode, encode
from provenance.crypto.permit import Permit
from provenance.record.collection import Request
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Digest, Signature


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
            OrderTerms.read(decode(row.terms)),
            Signature(row.signature),
            Permit.parse(decode(row.permit)),
            Request.parse(decode(row.request)),
            matched_of(row),
        )

    def participants(self) -> tuple[Participant, ...]:
        """As the escrow contract hashes them."""
        return tuple(each.participant for each in self.matched)


def matched_of(row: OrderRow) -> tuple[MatchedContributor, ...]:
    """The stored match, empty before there is one."""
    if row.participants is None:
        return ()
    documents = decode(row.participants)
    assert isinstance(documents, list)
    return tuple(MatchedContributor.of(document, "participant") for document in documents)


def encode_matched(matched: tuple[MatchedContributor, ...]) -> bytes:
    """What `matched_of` reads."""
    return encode([each.to_document() for each in matched])
