"""SQL of node tasks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, undefer

from backend.database.models import TaskRow
from backend.tasks.leases import LeaseRepository


class TaskRepository(LeaseRepository[TaskRow]):
    """Reads and writes tasks in one transaction."""

    table = TaskRow

    def with_bytes(
        self, task_id: int, column: InstrumentedAttribute[bytes] | InstrumentedAttribute[bytes | None]
    ) -> TaskRow | None:
        """One task with one of its large columns, payload or result."""
        return self.session.scalar(select(TaskRow).where(TaskRow.id == task_id).options(undefer(column)))

    def locked(self, task_id: int) -> TaskRow | None:
        """One task, its row locked where the database can lock rows."""
        return self.session.scalar(select(TaskRow).where(TaskRow.id == task_id).with_for_update())

    def named(self, order: str, node: str, name: str) -> TaskRow | None:
        return self.session.scalar(
            select(TaskRow).where(TaskRow.order == order, TaskRow.node == node, TaskRow.name == name)
        )

    def of_order(self, order: str, name: str | None, *, results: bool = False) -> Sequence[TaskRow]:
        query = select(TaskRow).where(TaskRow.order == order).order_by(TaskRow.id)
        if name is not None:
            query = query.where(TaskRow.name == name)
        if results:
            query = query.options(undefer(TaskRow.result))
        return self.page(query)

    def has_leasable(self, node: str, now: float) -> bool:
        """Looks without a lock, so that waiting nodes do not queue for the write lock."""
        return self.session.scalar(self._leasable(node, now).with_only_columns(TaskRow.id)) is not None

    def next_leasable(self, node: str, now: float) -> TaskRow | None:
        """The node's oldest leasable task, locked."""
        return self.session.scalar(self._leasable(node, now).with_for_update(skip_locked=True))

    def _leasable(self, node: str, now: float) -> Select[TaskRow]:
        query = select(TaskRow).where(TaskRow.node == node, self.is_leasable(now))
        return query.order_by(TaskRow.id).limit(1)
