"""SQL of orders: the broker's record, its transactions, and what the chain's events say beside it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from backend.database.engine import Repository
from backend.database.models import (
    ChainDemandRow,
    ChainEventRow,
    ChainOrderRow,
    DatasetRow,
    OrderRow,
    TransactionRow,
)
from provenance.api.orders import FINAL_STATES, OrderState, TransactionView
from provenance.values import Digest

STEP_OF_EVENT = {
    "OrderPlaced": "place",
    "OrderCancelled": "cancel",
    "OrderMatched": "match",
    "ModelsCommitted": "commit",
    "HashFixed": "fix",
    "SeedMissed": "redraw",
    "SeedDrawn": "draw",
    "DatasetPublished": "publish",
    "OrderSettled": "settle",
    "OrderRefunded": "refund",
}


class OrderRepository(Repository[OrderRow]):
    """Reads and writes orders in one transaction."""

    table = OrderRow

    def list(self, buyer: str | None, state: str | None, limit: int) -> Sequence[OrderRow]:
        """Newest first."""
        query = select(OrderRow).order_by(OrderRow.created_at.desc(), OrderRow.id)
        if buyer is not None:
            query = query.where(OrderRow.buyer == buyer)
        if state is not None:
            query = query.where(OrderRow.state == state)
        return self.page(query, limit)

    def unfinished(self) -> Sequence[str]:
        """Ids of orders that the broker still has to bring to an end, oldest first."""
        query = select(OrderRow.id).where(OrderRow.state.not_in(FINAL_STATES)).order_by(OrderRow.created_at)
        return self.session.scalars(query).all()

    def oldest_unrecorded(self) -> int | None:
        """When the oldest of the orders came that can still be recorded on chain; None when there is none."""
        over = (*FINAL_STATES, OrderState.PUBLISHED)
        return self.session.scalar(select(func.min(OrderRow.created_at)).where(OrderRow.state.not_in(over)))

    def counts(self) -> dict[str, int]:
        """Number of orders by state."""
        query = select(OrderRow.state, func.count()).group_by(OrderRow.state)
        return {row[0]: row[1] for row in self.session.execute(query)}

    def sent_transactions(self, order: str) -> Sequence[TransactionRow]:
        """What the broker sent for the order, in the order of blocks."""
        query = select(TransactionRow).where(TransactionRow.order == order).order_by(TransactionRow.block)
        return self.session.scalars(query).all()

    def add_transaction(self, row: TransactionRow) -> None:
        """Idempotent by the transaction's hash."""
        self.session.merge(row)

    def transactions(self, order: str) -> Sequence[TransactionView]:
        """All of the order's transactions, in the order of blocks.

        Those that only the chain's events tell of have no gas figure: others sent them, or the broker was killed
        before it noted them.
        """
        shown = {
            row.hash: TransactionView(
                step=row.step, hash=Digest.parse(row.hash), block=row.block, gas_used=row.gas_used
            )
            for row in self.sent_transactions(order)
        }
        query = (
            select(ChainEventRow)
            .where(ChainEventRow.order == order, ChainEventRow.kind.in_(STEP_OF_EVENT))
            .order_by(ChainEventRow.block, ChainEventRow.log_index)
        )
        for event in self.session.scalars(query):
            if event.transaction not in shown:
                shown[event.transaction] = TransactionView(
                    step=STEP_OF_EVENT[event.kind],
                    hash=Digest.parse(event.transaction),
                    block=event.block,
                    gas_used=None,
                )
        return sorted(shown.values(), key=lambda transaction: transaction.block)

    def chain_state(self, order: str) -> str | None:
        return self.session.scalar(select(ChainOrderRow.state).where(ChainOrderRow.id == order))

    def demands(self, order: str) -> Sequence[ChainDemandRow]:
        """By shard."""
        query = select(ChainDemandRow).where(ChainDemandRow.order == order).order_by(ChainDemandRow.shard)
        return self.session.scalars(query).all()

    def dataset_id(self, order: str) -> int | None:
        return self.session.scalar(select(DatasetRow.id).where(DatasetRow.order == order))
