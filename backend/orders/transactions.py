"""Transactions of an order: those the broker sent, and those that only the chain's events tell of."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.indexer.models import ChainEventRow
from backend.orders.repository import OrderRepository
from backend.orders.schemas import TransactionOut

STEP_OF_EVENT = {
    "OrderPlaced": "place",
    "OrderCancelled": "cancel",
    "OrderMatched": "match",
    "ModelsCommitted": "commit",
    "SeedMissed": "redraw",
    "SeedDrawn": "draw",
    "DatasetPublished": "publish",
    "OrderSettled": "settle",
    "OrderRefunded": "refund",
}


def transactions_of(session: Session, order: str) -> list[TransactionOut]:
    """In the order of blocks. A transaction whose sender was killed before noting it has no gas figure."""
    found = {
        row.hash: TransactionOut(step=row.step, hash=row.hash, block=row.block, gas_used=row.gas_used)
        for row in OrderRepository(session).transactions(order)
    }
    query = (
        select(ChainEventRow)
        .where(ChainEventRow.order == order, ChainEventRow.kind.in_(STEP_OF_EVENT))
        .order_by(ChainEventRow.block, ChainEventRow.log_index)
    )
    for event in session.scalars(query):
        if event.transaction not in found:
            found[event.transaction] = TransactionOut(
                step=STEP_OF_EVENT[event.kind], hash=event.transaction, block=event.block, gas_used=None
            )
    return sorted(found.values(), key=lambda each: each.block)
