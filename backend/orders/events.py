"""Events of an order: stored first, then streamed, so that a client that reconnects misses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from backend.database.engine import Repository
from backend.database.models import OrderEventRow, OrderRow
from backend.http.context import wait_for
from backend.ports import Ports
from provenance.api.orders import FINAL_STATES, OrderEvent, event_kind

BATCH: Final = 200
KEEP_ALIVE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Events after a position, and whether the order can have no further ones."""

    events: Sequence[OrderEventRow]
    is_over: bool


class EventRepository(Repository[OrderEventRow]):
    """SQL of events."""

    table = OrderEventRow

    def append(self, order: str, event: OrderEvent, now: int) -> None:
        """Adds an event at the end of the order's list."""
        row = OrderEventRow(order=order, kind=event_kind(event), data=event.encode(), created_at=now)
        self.add(row)

    def after(self, order: str, position: int) -> Batch:
        """At most BATCH events with an id above `position`, oldest first."""
        query = (
            select(OrderEventRow)
            .where(OrderEventRow.order == order, OrderEventRow.id > position)
            .order_by(OrderEventRow.id)
            .limit(BATCH)
        )
        events = self.session.scalars(query).all()
        state = self.session.scalar(select(OrderRow.state).where(OrderRow.id == order))
        # A final state and its event are one transaction: with fewer than BATCH rows nothing is left behind.
        return Batch(events, state in FINAL_STATES and len(events) < BATCH)


async def stream(ports: Ports, order: str, position: int) -> AsyncIterator[str]:
    """Server-sent events from `position` on, until the order is final, the client or the process leaves."""

    def ask(after: int) -> Batch | None:
        with ports.database.read() as session:
            batch = EventRepository(session).after(order, after)
        return batch if batch.events or batch.is_over else None

    yield "retry: 1000\n\n"
    while not ports.stopping.is_set():
        after = position
        batch = await wait_for(ports, lambda after=after: ask(after), KEEP_ALIVE_SECONDS)  # type: ignore[misc]
        if batch is None:
            yield ": still here\n\n"
            continue
        for event in batch.events:
            # Canonical JSON has no line breaks, so one data line holds it.
            yield f"id: {event.id}\nevent: {event.kind}\ndata: {event.data.decode()}\n\n"
            position = event.id
        if batch.is_over:
            return
