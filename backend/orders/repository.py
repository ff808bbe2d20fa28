"""SQL of orders and their transactions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.datasets.models import DatasetRow
from backend.indexer.models import ChainDemandRow, ChainOrderRow
from backend.orders.models import OrderRow, TransactionRow
from backend.orders.states import FINAL_STATES


class OrderRepository:
    """Reads and writes orders in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, order: str) -> OrderRow | None:
        return self._session.get(OrderRow, order)

    def add(self, row: OrderRow) -> None:
        self._session.add(row)
        self._session.flush()

    def list(self, buyer: str | None, state: str | None, limit: int) -> Sequence[OrderRow]:
        """Newest first."""
        query = select(OrderRow).order_by(OrderRow.created_at.desc(), OrderRow.id).limit(limit)
        if buyer is not None:
            query = query.where(OrderRow.buyer == buyer)
        if state is not None:
            query = query.where(OrderRow.state == state)
        return self._session.scalars(query).all()

    def unfinished(self) -> Sequence[str]:
        """Ids of orders that the broker still has to bring to an end, oldest first."""
        query = select(OrderRow.id).where(OrderRow.state.not_in(FINAL_STATES)).order_by(OrderRow.created_at)
        return self._session.scalars(query).all()

    def counts(self) -> dict[str, int]:
        """Number of orders by state."""
        query = select(OrderRow.state, func.count()).group_by(OrderRow.state)
        return {row[0]: row[1] for row in self._session.execute(query)}

    def transactions(self, order: str) -> Sequence[TransactionRow]:
        query = select(TransactionRow).where(TransactionRow.order == order).order_by(TransactionRow.block)
        return self._session.scalars(query).all()

    def add_transaction(self, row: TransactionRow) -> None:
        """Idempotent by the transaction's hash."""
        self._session.merge(row)

    def chain_state(self, order: str) -> str | None:
        return self._session.scalar(select(ChainOrderRow.state).where(ChainOrderRow.id == order))

    def demands(self, order: str) -> Sequence[ChainDemandRow]:
        """By shard."""
        query = select(ChainDemandRow).where(ChainDemandRow.order == order).order_by(ChainDemandRow.shard)
        return self._session.scalars(query).all()

    def dataset_id(self, order: str) -> int | None:
        return self._session.scalar(select(DatasetRow.id).where(DatasetRow.order == order))
