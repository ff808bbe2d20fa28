"""HTTP of node tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from backend.http.context import (
    AddressText,
    Body,
    Broker,
    Caller,
    DigestText,
    PortsHere,
    ReadSession,
    WriteSession,
    wait_for,
)
from backend.tasks.keys import keep_released_key
from backend.tasks.repository import TaskRepository
from backend.tasks.service import TaskService
from provenance.api.message import OCTETS
from provenance.api.queue import (
    Heartbeat,
    LeaseRenewed,
    LeaseRequest,
    Refusal,
    Rejection,
    ResultStored,
    TaskKind,
    TaskLease,
    TaskList,
    TaskView,
)

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])
TaskId = Annotated[int, Path(ge=1, le=2**62)]
TaskName = Annotated[str, Query(min_length=1, max_length=200)]


@router.post("", status_code=201)
def create(
    _broker: Broker, body: Body, response: Response, ports: PortsHere, session: WriteSession,
    order: DigestText, node: AddressText, name: TaskName, kind: TaskKind = "train",
) -> TaskView:  # fmt: skip
    """Queues a task for a node; the body is its payload."""
    task, is_new = TaskService(session).create(order, node, name, kind, body, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return task


@router.get("")
def index(_broker: Broker, session: ReadSession, order: DigestText, name: TaskName | None = None) -> TaskList:
    """States of an order's tasks."""
    return TaskList(tasks=TaskService(session).list(order, name))


@router.post("/lease", response_model=TaskLease, responses={204: {"description": "nothing to do"}})
async def lease(caller: Caller, asked: LeaseRequest, ports: PortsHere) -> TaskLease | Response:
    """Waits for a task of the calling node and leases it."""
    node = str(caller)

    def ask() -> TaskLease | None:
        with ports.database.read() as session:
            if not TaskRepository(session).has_leasable(node, ports.clock()):
                return None
        with ports.database.write() as session:
            task = TaskService(session).lease(node, asked.lease_seconds, ports.clock())
        return None if task is None else TaskLease(task=task)

    return await wait_for(ports, ask, asked.wait_seconds) or Response(status_code=204)


@router.get("/{task_id}/payload", response_class=Response)
def payload(task_id: TaskId, caller: Caller, ports: PortsHere, session: ReadSession) -> Response:
    """The task's input."""
    node = None if caller == ports.broker else str(caller)
    return Response(TaskService(session).payload(task_id, node), media_type=OCTETS)


@router.post("/{task_id}/heartbeat")
def heartbeat(
    task_id: TaskId, caller: Caller, beat: Heartbeat, ports: PortsHere, session: WriteSession
) -> LeaseRenewed:
    """Renews the lease and may report progress."""
    until = TaskService(session).heartbeat(task_id, str(caller), beat, ports.clock())
    return LeaseRenewed(leased_until=until)


@router.put("/{task_id}/result", status_code=201)
def put_result(
    task_id: TaskId, caller: Caller, body: Body, response: Response, ports: PortsHere
) -> ResultStored:
    """Stores the result once. A wrapped key is for everybody to read: it goes into the content store first."""
    keep_released_key(ports, task_id, str(caller), body)
    with ports.database.write() as session:
        digest, is_new = TaskService(session).put_result(task_id, str(caller), body)
    response.status_code = 201 if is_new else 200
    return ResultStored(digest=digest)


@router.post("/{task_id}/refuse", status_code=200)
def refuse(task_id: TaskId, caller: Caller, refusal: Refusal, session: WriteSession) -> Refusal:
    """The node does not do this task, for good."""
    TaskService(session).refuse(task_id, str(caller), refusal)
    return refusal


@router.post("/{task_id}/reject", status_code=200)
def reject(task_id: TaskId, _broker: Broker, rejection: Rejection, session: WriteSession) -> Rejection:
    """The stored result does not hold: it counts as a refusal."""
    TaskService(session).reject(task_id, rejection.reason)
    return rejection


@router.get("/{task_id}/result", response_class=Response)
def result(task_id: TaskId, _broker: Broker, session: ReadSession) -> Response:
    """The stored result's bytes."""
    return Response(TaskService(session).result(task_id), media_type=OCTETS)
