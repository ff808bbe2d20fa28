"""Work that is leased: the SQL that node tasks and coordination jobs share."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, and_, or_, update

from backend.database.models import JobRow, TaskRow
from backend.database.repository import Repository
from provenance.api.queue import WorkState

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
