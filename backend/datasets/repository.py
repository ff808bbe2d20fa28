"""SQL of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from backend.datasets.models import DatasetRow
from backend.orders.models import OrderRow


class DatasetRepository:
    """Reads data sets with their shards and evaluations."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, dataset_id: int) -> DatasetRow | None:
        return self._session.scalar(_whole().where(DatasetRow.id == dataset_id))

    def list(self, limit: int) -> Sequence[DatasetRow]:
        """Newest first."""
        return self._session.scalars(_whole().order_by(DatasetRow.id.desc()).limit(limit)).all()

    def collections(self, orders: Sequence[str]) -> dict[str, str]:
        """Collection by order, for the orders that went through this broker."""
        query = select(OrderRow.id, OrderRow.collection).where(OrderRow.id.in_(orders))
        return {row.id: row.collection for row in self._session.execute(query)}


def _whole() -> Select[DatasetRow]:
    return select(DatasetRow).options(selectinload(DatasetRow.shards), selectinload(DatasetRow.evaluations))
