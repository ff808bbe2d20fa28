"""HTTP of coordination jobs. All of it is for the holder of the broker's key."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.coordination.checks import check_score, check_train
from backend.coordination.service import JobService
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


@router.post("/{order}/{phase}/progress")
def progress(
    order: DigestText, phase: Phase, _broker: Broker, told: JobProgress, ports: PortsHere,
    session: WriteSession,
) -> LeaseRenewed:  # fmt: skip
    """Renews the lease and may report progress."""
    return LeaseRenewed(leased_until=JobService(session).progress(order, phase, told, ports.clock()))


@router.put("/{order}/train/result", status_code=201)
def put_train_result(
    order: DigestText, _broker: Broker, result: TrainResult, response: Response,
    session: WriteSession,
) -> JobStored:  # fmt: skip
    """Stores the models' digests after checking them."""
    service = JobService(session)
    check_train(service.plan(order, "train"), result)
    digest, is_new = service.put_result(order, "train", result)
    response.status_code = 201 if is_new else 200
    return JobStored(digest=digest)


@router.put("/{order}/score/result", status_code=201)
def put_score_result(
    order: DigestText, _broker: Broker, result: ScoreResult, response: Response, ports: PortsHere,
    session: WriteSession,
) -> JobStored:  # fmt: skip
    """Stores receipts, shares and evaluations after checking them."""
    service = JobService(session)
    check_score(ports.domain, service.plan(order, "score"), result)
    digest, is_new = service.put_result(order, "score", result)
    response.status_code = 201 if is_new else 200
    return JobStored(digest=digest)


@router.post("/{order}/{phase}/failure")
def failure(
    order: DigestText, phase: Phase, _broker: Broker, told: JobFailure, session: WriteSession
) -> JobFailure:
    """The worker gives up: the order ends and the buyer's money goes back."""
    JobService(session).fail(order, phase, told.reason)
    return told
