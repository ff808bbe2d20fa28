"""Rules of coordination jobs: one worker at a time, a checked result stored once, a failure ends the order."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.database.models import JobRow
from backend.errors import ConflictError, LeaseLostError, NotFoundError
from backend.orders.events import EventRepository
from backend.tasks.repository import JobRepository
from provenance.api.coordination import JobPlan, JobProgress, LeasedJob, Phase, ScoreResult, TrainResult
from provenance.api.orders import ProgressEvent
from provenance.api.queue import WorkState
from provenance.canonical import decode_object
from provenance.values import Digest, sha256


class JobService:
    """One transaction's view of the jobs. Times are the server's unix seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows = JobRepository(session)

    def ensure(self, order: str, phase: Phase, plan: JobPlan, now: int) -> None:
        """Queues the job unless it is there already. One with another plan, made before a contributor was dropped or
        excused, begins again with this one."""
        found = self._rows.locked(order, phase)
        if found is not None and found.plan != plan.encode():
            found.state, found.plan, found.created_at = WorkState.QUEUED, plan.encode(), now
            found.failure = found.result = found.result_digest = None
            found.leased_until = 0.0
        elif found is None:
            row = JobRow(
                order=order, phase=phase, state=WorkState.QUEUED, plan=plan.encode(), attempt=0,
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
        phase: Phase = "train" if row.phase == "train" else "score"
        plan = decode_object(row.plan)
        return LeasedJob(order=Digest.parse(row.order), phase=phase, attempt=row.attempt, plan=plan)

    def progress(self, order: str, phase: str, progress: JobProgress, now: float) -> float:
        """Renews the lease; progress becomes an event of the order."""
        row = self._require(order, phase)
        if row.state != WorkState.LEASED:
            raise LeaseLostError(f"job {phase} of {order} is {row.state}; stop working on it")
        row.leased_until = now + progress.lease_seconds
        event = ProgressEvent.of_progress(progress, None)
        if event is not None:
            EventRepository(self._session).append(order, event, int(now))
        return row.leased_until

    def plan(self, order: str, phase: Phase) -> JobPlan:
        """The plan under which a result is judged."""
        return JobPlan.read(self._require(order, phase).plan, "plan")

    def put_result(self, order: str, phase: Phase, result: TrainResult | ScoreResult) -> tuple[Digest, bool]:
        """Stores a checked result; True when it is new."""
        row = self._require(order, phase)
        data = result.encode()
        digest = sha256(data)
        if row.state == WorkState.DONE:
            if row.result_digest != str(digest):
                raise ConflictError(f"job {phase} of {order} has another result, {row.result_digest}")
            return digest, False
        if row.state not in (WorkState.QUEUED, WorkState.LEASED):
            raise LeaseLostError(f"job {phase} of {order} is {row.state}; its result is no longer wanted")
        row.state, row.result, row.result_digest = WorkState.DONE, data, str(digest)
        return digest, True

    def fail(self, order: str, phase: str, reason: str) -> None:
        """The worker gives up; the order's workflow gives the money back."""
        row = self._require(order, phase)
        if row.state == WorkState.REFUSED:
            return
        if row.state not in (WorkState.QUEUED, WorkState.LEASED):
            raise ConflictError(f"job {phase} of {order} is {row.state}; it can no longer fail")
        row.state, row.failure = WorkState.REFUSED, reason

    def _require(self, order: str, phase: str) -> JobRow:
        row = self._rows.locked(order, phase)
        if row is None:
            raise NotFoundError(f"no job {phase} of order {order}")
        return row
