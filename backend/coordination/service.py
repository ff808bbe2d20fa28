"""Rules of coordination jobs: one worker at a time, a checked result stored once, a failure ends the order."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class JobKey:
    """What a worker holds: one attempt at a phase of an order. Every lease and every new plan begins another."""

    order: str
    phase: Phase
    attempt: int

    def __str__(self) -> str:
        return f"attempt {self.attempt} at job {self.phase} of {self.order}"


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
            # Whoever works under the old plan has another attempt: nothing of it is taken any more.
            found.attempt += 1
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

    def progress(self, key: JobKey, progress: JobProgress, now: float) -> float:
        """Renews the lease; progress becomes an event of the order."""
        row = self._leased(key)
        row.leased_until = now + progress.lease_seconds
        event = ProgressEvent.of_progress(progress, None)
        if event is not None:
            EventRepository(self._session).append(key.order, event, int(now))
        return row.leased_until

    def plan(self, key: JobKey) -> JobPlan:
        """The plan under which a result of this attempt is judged."""
        return JobPlan.read(self._require(key).plan, "plan")

    def put_result(self, key: JobKey, result: TrainResult | ScoreResult) -> tuple[Digest, bool]:
        """Stores a checked result; True when it is new."""
        row = self._require(key)
        data = result.encode()
        digest = sha256(data)
        if row.state == WorkState.DONE:
            if row.result_digest != str(digest):
                raise ConflictError(f"{key} has another result, {row.result_digest}")
            return digest, False
        row = self._leased(key)
        row.state, row.result, row.result_digest = WorkState.DONE, data, str(digest)
        return digest, True

    def fail(self, key: JobKey, reason: str) -> None:
        """The worker gives up; the order's workflow gives the money back."""
        row = self._require(key)
        if row.state == WorkState.REFUSED:
            return
        row = self._leased(key)
        row.state, row.failure = WorkState.REFUSED, reason

    def _leased(self, key: JobKey) -> JobRow:
        row = self._require(key)
        if row.state != WorkState.LEASED:
            raise LeaseLostError(f"{key} is {row.state}; stop working on it")
        return row

    def _require(self, key: JobKey) -> JobRow:
        row = self._rows.locked(key.order, key.phase)
        if row is None:
            raise NotFoundError(f"no job {key.phase} of order {key.order}")
        if row.attempt != key.attempt:
            raise LeaseLostError(
                f"{key} was given up, the job is at attempt {row.attempt}; stop working on it"
            )
        return row
