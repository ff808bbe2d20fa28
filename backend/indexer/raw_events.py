"""Chain events as stored: canonical JSON with every integer as a decimal string (they may have 256 bits)."""

from __future__ import annotations

from dataclasses import fields

from backend.database.models import ChainEventRow
from provenance.canonical import JsonValue, encode
from provenance.chain.dispute_events import DemandedReceipt
from provenance.chain.events import ChainEvent
from provenance.record.terms import Participant
from provenance.values import Address, Digest, Signature

_POSITION = "at"


def event_row(event: ChainEvent) -> ChainEventRow:
    """The row of one event, keyed by its place in the chain."""
    document = {
        field.name: _json(getattr(event, field.name)) for field in fields(event) if field.name != _POSITION
    }
    order = getattr(event, "order", None)
    return ChainEventRow(
        block=event.at.block,
        log_index=event.at.log_index,
        transaction=str(event.at.transaction),
        order=None if order is None else str(order),
        kind=event.name,
        payload=encode(document),
    )


def _json(value: object) -> JsonValue:
    if isinstance(value, Address | Digest | Signature):
        return str(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Participant | DemandedReceipt):
        return {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    raise TypeError(f"an event holds {type(value).__name__}, which has no stored form; add one here")
