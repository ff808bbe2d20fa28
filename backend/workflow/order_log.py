"""What the steps of an order write down: state, reason, transactions. Each entry is one transaction with its event."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.database.models import OrderRow, TransactionRow
from backend.errors import NotFoundError
from backend.orders.documents import StoredOrder, encode_matched
from backend.orders.events import EventRepository
from backend.orders.repository import OrderRepository
from backend.ports import Ports
from backend.tasks.repository import JobRepository, TaskRepository
from provenance.api.coordination import MatchedContributor
from provenance.api.orders import FINAL_STATES, MessageEvent, OrderEvent, OrderState, StateEvent
from provenance.chain.ports import TxReceipt
from provenance.values import Digest


class OrderLog:
    """The stored side of one order's workflow."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order

    def load(self) -> StoredOrder:
        """The order as it is stored now."""
        with self._ports.database.read() as session:
            return StoredOrder.of(self._row(session))

    def is_over(self) -> bool:
        """Whether the order is in a final state."""
        with self._ports.database.read() as session:
            return self._row(session).state in FINAL_STATES

    def enter(self, state: OrderState, reason: str | None = None) -> None:
        """Moves the order to a state, with an event, unless it is there already. A final state ends all its work."""
        with self._ports.database.write() as session:
            row = self._row(session)
            if row.state == state or row.state in FINAL_STATES:
                return
            row.state = state
            if state in (OrderState.PUBLISHED, OrderState.SETTLED):
                # Another try overcame the failure.
                row.failure = None
            if reason is not None:
                row.failure = row.failure or reason
            transactions = OrderRepository(session).sent_transactions(self._order)
            event = StateEvent(
                state=state,
                transaction=Digest.parse(transactions[-1].hash) if transactions else None,
                reason=None if reason is None else row.failure,
            )
            self._append(session, event)
            if state in FINAL_STATES:
                TaskRepository(session).cancel_waiting(self._order)
                JobRepository(session).cancel_waiting(self._order)

    def give_up(self, reason: str) -> None:
        """Stores why the money will be returned, before that is done. The first reason stays."""
        with self._ports.database.write() as session:
            row = self._row(session)
            if row.failure is None:
                row.failure = reason
                self._append(session, MessageEvent(text=f"the order cannot be delivered: {reason}"))

    def message(self, text: str) -> None:
        """A message event, for whoever follows the order."""
        with self._ports.database.write() as session:
            self._append(session, MessageEvent(text=text))

    def mined(self, step: str, receipt: TxReceipt) -> None:
        """Stores a transaction of this order."""
        with self._ports.database.write() as session:
            OrderRepository(session).add_transaction(
                TransactionRow(
                    hash=str(receipt.hash), order=self._order, step=step, block=receipt.block,
                    gas_used=receipt.gas_used,
                )
            )  # fmt: skip

    def store_match(self, matched: tuple[MatchedContributor, ...]) -> None:
        """Stores whom the coming match transaction names: settlement needs the exact list."""
        with self._ports.database.write() as session:
            self._row(session).participants = encode_matched(matched)

    def store_manifest(self, cid: str) -> None:
        """Shows where the manifest is. Only of a data set that the chain holds."""
        with self._ports.database.write() as session:
            self._row(session).manifest_cid = cid

    def _append(self, session: Session, event: OrderEvent) -> None:
        EventRepository(session).append(self._order, event, int(self._ports.clock()))

    def _row(self, session: Session) -> OrderRow:
        row = OrderRepository(session).get(self._order)
        if row is None:
            raise NotFoundError(f"no order {self._order}")
        return row
