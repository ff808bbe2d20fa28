"""HTTP of quotes and orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from backend.http.context import AddressText, DigestText, PortsHere, ReadSession
from backend.orders import service
from backend.orders.events import stream
from backend.orders.permits import Permits
from backend.orders.service import OrderService
from provenance.api.orders import (
    OrderAccepted,
    OrderList,
    OrderRequest,
    OrderState,
    OrderView,
    QuoteRequest,
    QuoteView,
)
from provenance.values import Digest

router = APIRouter(prefix="/v1", tags=["orders"])
Position = Annotated[int | None, Query(ge=0, le=2**62)]


@router.post("/quotes")
def quote(body: QuoteRequest, ports: PortsHere) -> QuoteView:
    """What an order would cost, as terms to sign. Nothing is stored."""
    chain_time, permits = ports.chain.chain_time(), Permits.read(ports, body.buyer)
    with ports.database.read() as session:
        return service.quote(ports, session, body, chain_time, permits)


@router.post("/orders", status_code=202)
def order(body: OrderRequest, ports: PortsHere) -> OrderAccepted:
    """Takes a signed order. From here on the broker carries it through the chain by itself."""
    # The chain is asked outside, and the workflow starts after, the transaction that stores the order.
    chain_time, permits = ports.chain.chain_time(), Permits.read(ports, body.terms.buyer)
    service.check_parents(ports, body)
    with ports.database.write() as session:
        row = OrderService(session).accept(ports, body, chain_time, permits)
        accepted = OrderAccepted(order_id=Digest.parse(row.id), state=OrderState(row.state))
    ports.runner.start(str(accepted.order_id))
    return accepted


@router.get("/orders")
def index(
    session: ReadSession, buyer: AddressText | None = None, state: OrderState | None = None
) -> OrderList:
    """Orders, newest first."""
    return OrderList(orders=OrderService(session).list(buyer, state))


@router.get("/orders/{order_id}")
def show(order_id: DigestText, session: ReadSession) -> OrderView:
    """One order."""
    return OrderService(session).show(order_id)


@router.get("/orders/{order_id}/events", response_class=StreamingResponse)
def events(
    order_id: DigestText,
    ports: PortsHere,
    session: ReadSession,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Position = None,
) -> StreamingResponse:
    """Server-sent events of the order, from the start or after `Last-Event-ID` (or `after`)."""
    OrderService(session).require(order_id)
    position = after or 0
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        position = int(last_event_id[:18])
    body: AsyncIterator[str] = stream(ports, order_id, position)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)
