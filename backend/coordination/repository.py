"""SQL of coordination jobs."""

from __future__ import annotations

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.orm import Session, undefer

from backend.coordination.models import JobRow
from backend.tasks.states import WAITING, WorkState


class JobRepository:
    """Reads and writes jobs in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, order: str, phase: str, *, result: bool = False) -> JobRow | None:
        """One job, locked where the database can lock rows."""
        query = select(JobRow).where(JobRow.order == order, JobRow.phase == phase).with_for_update()
        if result:
            query = query.options(undefer(JobRow.result))
        return self._session.scalar(query)

    def has_leasable(self, now: float) -> bool:
        """A look without a lock, so that a waiting worker does not hold up writers."""
        return self._session.scalar(_leasable(now).with_only_columns(JobRow.order)) is not None

    def next_leasable(self, now: float) -> JobRow | None:
        """The oldest job that waits or whose lease ran out, locked."""
        return self._session.scalar(_leasable(now).with_for_update(skip_locked=True))

    def cancel_waiting(self, order: str) -> None:
        """Takes back what is not finished."""
        self._session.execute(
            update(JobRow)
            .where(JobRow.order == order, JobRow.state.in_(WAITING))
            .values(state=WorkState.CANCELLED)
        )

    def add(self, row: JobRow) -> None:
        self._session.add(row)


def _leasable(now: float) -> Select[JobRow]:
    expired = and_(JobRow.state == WorkState.LEASED, JobRow.leased_until <= now)
    free = or_(JobRow.state == WorkState.QUEUED, expired)
    return select(JobRow).where(free).order_by(JobRow.created_at, JobRow.order, JobRow.phase).limit(1)
