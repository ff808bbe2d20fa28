"""HTTP of coordination jobs. All of it is for the holder of the broker's key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.coordination.checks import check_score, check_train
from backend.coordination.service import JobKey, JobService
from backend.http.context import Broker, DigestText, PortsHere, WriteSession, wait_for
from backend.tasks.repository import JobRepository
from provenance.api.coordination import (
    JobFailure,
    JobLease,
    JobProgress,
    JobStored,
    Phase,
    ScoreResult,
    TrainResult,
)
from provenance.api.queue import LeaseRenewed, LeaseRequest

router = APIRouter(prefix="/v1/coordination", tags=["coordination"])

Attempt = Annotated[int, Path(ge=1, description="the one that was leased")]


@router.post("/lease", response_model=JobLease, responses={204: {"description": "nothing to do"}})
async def lease(_broker: Broker, asked: LeaseRequest, ports: PortsHere) -> JobLease | Response:
    """Waits for a job and leases it."""

    def ask() -> JobLease | None:
        with ports.database.read() as session:
            if not JobRepository(session).has_leasable(ports.clock()):
                return None
        with ports.database.write() as session:
            job = JobService(session).lease(asked.lease_seconds, ports.clock())
        return None if job is None else JobLease(job=job)

    return await wait_for(ports, ask, asked.wait_seconds) or Response(status_code=204)


@router.post("/{order}/{phase}/{attempt}/progress")
def progress(
    order: DigestText, phase: Phase, attempt: Attempt, _broker: Broker, told: JobProgress, ports: PortsHere,
    session: WriteSession,
) -> LeaseRenewed:  # fmt: skip
    """Renews the lease and may report progress."""
    key = JobKey(order, phase, attempt)
    return LeaseRenewed(leased_until=JobService(session).progress(key, told, ports.clock()))


@router.put("/{order}/train/{attempt}/result", status_code=201)
def put_train_result(
    order: DigestText, attempt: Attempt, _broker: Broker, result: TrainResult, response: Response,
    session: WriteSession,
) -> JobStored:  # fmt: skip
    """Stores the models' digests after checking them."""
    service, key = JobService(session), JobKey(order, "train", attempt)
    check_train(service.plan(key), result)
    digest, is_new = service.put_result(key, result)
    response.status_code = 201 if is_new else 200
    return JobStored(digest=digest)


@router.put("/{order}/score/{attempt}/result", status_code=201)
def put_score_result(
    order: DigestText, attempt: Attempt, _broker: Broker, result: ScoreResult, response: Response, ports: PortsHere,
    session: WriteSession,
) -> JobStored:  # fmt: skip
    """Stores receipts, shares and evaluations after checking them."""
    service, key = JobService(session), JobKey(order, "score", attempt)
    check_score(ports.domain, service.plan(key), result)
    digest, is_new = service.put_result(key, result)
    response.status_code = 201 if is_new else 200
    return JobStored(digest=digest)


@router.post("/{order}/{phase}/{attempt}/failure")
def failure(
    order: DigestText, phase: Phase, attempt: Attempt, _broker: Broker, told: JobFailure,
    session: WriteSession,
) -> JobFailure:  # fmt: skip
    """The worker gives up: the order ends and the buyer's money goes back."""
    JobService(session).fail(JobKey(order, phase, attempt), told.reason)
    return told
