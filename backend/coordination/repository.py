"""SQL of coordination jobs."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import undefer

from backend.database.models import JobRow
from backend.tasks.leases import LeaseRepository


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

    def _leasable(self, now: float) -> Select[JobRow]:
        query = select(JobRow).where(self.is_leasable(now))
        return query.order_by(JobRow.created_at, JobRow.order, JobRow.phase).limit(1)
