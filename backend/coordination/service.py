"""Rules of coordination jobs: one worker at a time, a checked result stored once, a failure ends
the order.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.coordination.repository import JobRepository
from backend.coordination.schemas import JobProgress, LeasedJob
from backend.database.models import JobRow
from backend.errors import ConflictError, LeaseLostError, NotFoundError
from backend.orders.events import EventRepository
from backend.tasks.leases import WorkState
from provenance.canonical import JsonValue, decode, encode
from provenance.values import sha256


class JobService:
    """One transaction's view of the jobs. Times are the server's unix seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows = JobRepository(session)

    def ensure(self, order: str, phase: str, plan: dict[str, JsonValue], now: int) -> None:
        """Queues the job unless it is there already, in whatever state."""
        if self._rows.locked(order, phase) is None:
            row = JobRow(
                order=order, phase=phase, state=WorkState.QUEUED, plan=encode(plan), attempt=0,
                leased_until=0.0, created_at=now,
            )  # fmt: skip
            self._rows.add(row)

    def lease(self, lease_seconds: float, now: float) -> LeasedJob | None:
        """Gives the worker the oldest waiting job."""
        row = self._rows.next_leasable(now)
        if row is None:
            return None
        row.state, row.leased_until = WorkState.LEASED, now + lease_seconds
        row.attempt += 1
        return LeasedJob(order=row.order, phase=row.phase, attempt=row.attempt, plan=plan_of(row))

    def progress(self, order: str, phase: str, progress: JobProgress, now: float) -> float:
        """Renews the lease and stores what is worth telling the buyer."""
        row = self._require(order, phase)
        if row.state != WorkState.LEASED:
            raise LeaseLostError(f"job {phase} of {order} is {row.state}; stop working on it")
        row.leased_until = now + progress.lease_seconds
        if data := progress.event():
            EventRepository(self._session).append(order, "progress", data, int(now))
        return row.leased_until

    def plan(self, order: str, phase: str) -> dict[str, JsonValue]:
        """The plan under which a result is judged."""
        return plan_of(self._require(order, phase))

    def put_result(self, order: str, phase: str, result: dict[str, JsonValue]) -> tuple[str, bool]:
        """Stores a checked result; True when it is new."""
        row = self._require(order, phase)
        data = encode(result)
        digest = str(sha256(data))
        if row.state == WorkState.DONE:
            if row.result_digest != digest:
                raise ConflictError(f"job {phase} of {order} has another result, {row.result_digest}")
            return digest, False
        if row.state not in (WorkState.QUEUED, WorkState.LEASED):
            raise LeaseLostError(f"job {phase} of {order} is {row.state}; its result is not wanted any more")
        row.state, row.result, row.result_digest = WorkState.DONE, data, digest
        return digest, True

    def fail(self, order: str, phase: str, reason: str) -> None:
        """The worker gives up; the order's workflow gives the money back."""
        row = self._require(order, phase)
        if row.state == WorkState.REFUSED:
            return
        if row.state not in (WorkState.QUEUED, WorkState.LEASED):
            raise ConflictError(f"job {phase} of {order} is {row.state}; it cannot fail any more")
        row.state, row.failure = WorkState.REFUSED, reason

    def _require(self, order: str, phase: str) -> JobRow:
        row = self._rows.locked(order, phase)
        if row is None:
            raise NotFoundError(f"no job {phase} of order {order}")
        return row


def plan_of(row: JobRow) -> dict[str, JsonValue]:
    """The stored plan, parsed."""
    plan = decode(row.plan)
    assert isinstance(plan, dict)
    return plan
