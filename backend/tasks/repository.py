"""SQL of node tasks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.orm import Session, undefer

from backend.tasks.models import TaskRow
from backend.tasks.states import WAITING, WorkState


class TaskRepository:
    """Reads and writes tasks in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, task_id: int, *, payload: bool = False, result: bool = False) -> TaskRow | None:
        """One task; its large columns only when asked for. Locked where the database can lock rows."""
        query = select(TaskRow).where(TaskRow.id == task_id)
        if payload:
            query = query.options(undefer(TaskRow.payload))
        if result:
            query = query.options(undefer(TaskRow.result))
        return self._session.scalar(query)

    def locked(self, task_id: int) -> TaskRow | None:
        return self._session.scalar(select(TaskRow).where(TaskRow.id == task_id).with_for_update())

    def named(self, order: str, node: str, name: str) -> TaskRow | None:
        return self._session.scalar(
            select(TaskRow).where(TaskRow.order == order, TaskRow.node == node, TaskRow.name == name)
        )

    def of_order(self, order: str, name: str | None, *, results: bool = False) -> Sequence[TaskRow]:
        query = select(TaskRow).where(TaskRow.order == order).order_by(TaskRow.id)
        if name is not None:
            query = query.where(TaskRow.name == name)
        if results:
            query = query.options(undefer(TaskRow.result))
        return self._session.scalars(query).all()

    def has_leasable(self, node: str, now: float) -> bool:
        """A look without a lock, so that waiting nodes do not queue for the write lock."""
        return self._session.scalar(_leasable(node, now).with_only_columns(TaskRow.id)) is not None

    def next_leasable(self, node: str, now: float) -> TaskRow | None:
        """The node's oldest task that waits or whose lease ran out, locked."""
        return self._session.scalar(_leasable(node, now).with_for_update(skip_locked=True))

    def cancel_waiting(self, order: str) -> None:
        """Takes back everything of the order that is not finished."""
        self._session.execute(
            update(TaskRow)
            .where(TaskRow.order == order, TaskRow.state.in_(WAITING))
            .values(state=WorkState.CANCELLED)
        )

    def add(self, row: TaskRow) -> None:
        self._session.add(row)
        self._session.flush()


def _leasable(node: str, now: float) -> Select[TaskRow]:
    expired = and_(TaskRow.state == WorkState.LEASED, TaskRow.leased_until <= now)
    free = or_(TaskRow.state == WorkState.QUEUED, expired)
    return select(TaskRow).where(TaskRow.node == node, free).order_by(TaskRow.id).limit(1)
