"""SQL of leased work: node tasks and the coordinator's jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, undefer

from backend.database.engine import Repository
from backend.database.models import JobRow, OrderRow, TaskRow
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.api.tasks import RELEASE

WAITING = (WorkState.QUEUED, WorkState.LEASED)
Work = TypeVar("Work", TaskRow, JobRow)


class LeaseRepository(Repository[Work]):
    """A table of leased work."""

    def is_leasable(self, now: float) -> ColumnElement[bool]:
        """SQL: the work waits, or its lease has run out."""
        expired = and_(self.table.state == WorkState.LEASED, self.table.leased_until <= now)
        return or_(self.table.state == WorkState.QUEUED, expired)

    def cancel_waiting(self, order: str) -> None:
        """Takes back all unfinished work of the order."""
        waiting = update(self.table).where(self.table.order == order, self.table.state.in_(WAITING))
        self.session.execute(waiting.values(state=WorkState.CANCELLED))


class TaskRepository(LeaseRepository[TaskRow]):
    """Reads and writes tasks in one transaction."""

    table = TaskRow

    def cancel_waiting(self, order: str) -> None:
        """Takes back all unfinished work of the order, but for keys: they are owed also when everybody is paid."""
        waiting = update(TaskRow).where(
            TaskRow.order == order, TaskRow.state.in_(WAITING), TaskRow.kind != RELEASE
        )
        self.session.execute(waiting.values(state=WorkState.CANCELLED))

    def with_bytes(
        self, task_id: int, column: InstrumentedAttribute[bytes] | InstrumentedAttribute[bytes | None]
    ) -> TaskRow | None:
        """One task with one of its large columns, payload or result."""
        return self.session.scalar(select(TaskRow).where(TaskRow.id == task_id).options(undefer(column)))

    def release_asked(self, task_id: int, node: str) -> bytes | None:
        """The payload of a task of the node's to release its key; None, and nothing is loaded, of any other task."""
        query = select(TaskRow.payload).where(TaskRow.id == task_id, TaskRow.node == node)
        return self.session.scalar(query.where(TaskRow.kind == RELEASE))

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


class JobRepository(LeaseRepository[JobRow]):
    """Reads and writes jobs in one transaction."""

    table = JobRow

    def locked(self, order: str, phase: str, *, result: bool = False) -> JobRow | None:
        """One job, its row locked where the database can lock rows."""
        query = select(JobRow).where(JobRow.order == order, JobRow.phase == phase).with_for_update()
        if result:
            query = query.options(undefer(JobRow.result))
        return self.session.scalar(query)

    def has_leasable(self, now: float) -> bool:
        """Looks without a lock, so that a waiting worker does not hold up writers."""
        return self.session.scalar(self._leasable(now).with_only_columns(JobRow.order)) is not None

    def next_leasable(self, now: float) -> JobRow | None:
        """The oldest leasable job, locked."""
        return self.session.scalar(self._leasable(now).with_for_update(skip_locked=True))

    def awaited_late(self) -> frozenset[str]:
        """Contributors of published orders whose shards were scored without files."""
        published = OrderRow.state == OrderState.PUBLISHED
        query = select(JobRow.plan).join(OrderRow, JobRow.order == OrderRow.id)
        plans = self.session.scalars(query.where(published, JobRow.phase == "score"))
        # Of plans that an earlier release wrote only this is read: they must not hold up other orders.
        told = (json.loads(plan).get("undelivered", ()) for plan in plans)
        return frozenset(shard["contributor"] for shards in told for shard in shards)

    def _leasable(self, now: float) -> Select[JobRow]:
        query = select(JobRow).where(self.is_leasable(now))
        return query.order_by(JobRow.created_at, JobRow.order, JobRow.phase).limit(1)
