"""What the steps of an order note: state, reason, transactions. Each note is one transaction with its
event.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.coordination.repository import JobRepository
from backend.database.models import OrderRow, TransactionRow
from backend.errors import NotFoundError
from backend.orders.documents import MatchedContributor, StoredOrder, encode_matched
from backend.orders.events import EventRepository
from backend.orders.repository import OrderRepository
from backend.orders.states import FINAL_STATES, OrderState
from backend.ports import Ports
from backend.tasks.repository import TaskRepository
from provenance.canonical import JsonValue
from provenance.chain.ports import TxReceipt


class Journal:
    """The stored side of one order's life."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order

    def load(self) -> StoredOrder:
        """The order as it is stored now."""
        with self._ports.database.read() as session:
            return StoredOrder.of(self._row(session))

    def enter(self, state: OrderState, reason: str | None = None) -> None:
        """Moves the order to a state and tells it, unless it is there already. A final state ends all its
        work.
        """
        with self._ports.database.write() as session:
            row = self._row(session)
            if row.state == state or row.state in FINAL_STATES:
                return
            row.state = state
            if state in (OrderState.PUBLISHED, OrderState.SETTLED):
                # A failure that another try overcame is no reason any more.
                row.failure = None
            data: dict[str, JsonValue] = {"state": state}
            if reason is not None:
                row.failure = row.failure or reason
                data["reason"] = row.failure
            transactions = OrderRepository(session).sent_transactions(self._order)
            if transactions:
                data["transaction"] = transactions[-1].hash
            self._append(session, "state", data)
            if state in FINAL_STATES:
                TaskRepository(session).cancel_waiting(self._order)
                JobRepository(session).cancel_waiting(self._order)

    def give_up(self, reason: str) -> None:
        """Notes why the order will be given back, before that is done. The first reason stays."""
        with self._ports.database.write() as session:
            row = self._row(session)
            if row.failure is None:
                row.failure = reason
                self._append(session, "message", {"text": f"the order cannot be delivered: {reason}"})

    def reason(self) -> str | None:
        with self._ports.database.read() as session:
            return self._row(session).failure

    def say(self, text: str) -> None:
        """A message for whoever follows the order."""
        with self._ports.database.write() as session:
            self._append(session, "message", {"text": text})

    def sent(self, step: str, receipt: TxReceipt) -> None:
        """A transaction of this order was mined."""
        with self._ports.database.write() as session:
            OrderRepository(session).add_transaction(
                TransactionRow(
                    hash=str(receipt.hash), order=self._order, step=step, block=receipt.block,
                    gas_used=receipt.gas_used,
                )
            )  # fmt: skip

    def intend_match(self, matched: tuple[MatchedContributor, ...]) -> None:
        """Stores whom the coming match transaction names: settling needs the exact list."""
        with self._ports.database.write() as session:
            self._row(session).participants = encode_matched(matched)

    def note_manifest(self, cid: str) -> None:
        with self._ports.database.write() as session:
            self._row(session).manifest_cid = cid

    def _append(self, session: Session, kind: str, data: dict[str, JsonValue]) -> None:
        now = int(self._ports.clock())
        EventRepository(session).append(self._order, "state" if kind == "state" else "message", data, now)

    def _row(self, session: Session) -> OrderRow:
        row = OrderRepository(session).get(self._order)
        if row is None:
            raise NotFoundError(f"no order {self._order}")
        return row
