"""Rules of node tasks: leased to one node, heartbeats renew, a result is stored once and never replaced."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.database.models import TaskRow
from backend.errors import ConflictError, InvalidRequestError, LeaseLostError, NotFoundError
from backend.orders.events import EventRepository
from backend.orders.repository import OrderRepository
from backend.tasks.repository import TaskRepository
from provenance.api.message import Uint256
from provenance.api.orders import ProgressEvent
from provenance.api.queue import (
    INVALID_ANSWER,
    Heartbeat,
    LeasedTask,
    Progress,
    Refusal,
    RefusalView,
    TaskView,
    WorkState,
)
from provenance.values import Address, Digest, sha256


class TaskService:
    """One transaction's view of the queue. `node` is an address; times are the server's unix seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows = TaskRepository(session)

    def create(
        self, order: str, node: str, name: str, kind: str, payload: bytes, now: int
    ) -> tuple[TaskView, bool]:
        """Queues a task; True when it is new. The same name with other bytes is a ConflictError."""
        if not payload:
            raise InvalidRequestError("the body is empty; expected the task's payload")
        if OrderRepository(self._session).get(order) is None:
            raise NotFoundError(f"no order {order}")
        digest = str(sha256(payload))
        row = self._rows.named(order, node, name)
        if row is not None:
            if (row.payload_digest, row.kind) != (digest, kind):
                raise ConflictError(f"task {name!r} of {node} is there with other bytes or another kind")
            return shown(row), False
        row = TaskRow(
            order=order, node=node, name=name, kind=kind, state=WorkState.QUEUED, payload=payload,
            payload_digest=digest, attempt=0, leased_until=0.0, created_at=now,
        )  # fmt: skip
        self._rows.add(row)
        return shown(row), True

    def lease(self, node: str, lease_seconds: float, now: float) -> LeasedTask | None:
        """Gives the node its oldest waiting task."""
        row = self._rows.next_leasable(node, now)
        if row is None:
            return None
        row.state, row.leased_until = WorkState.LEASED, now + lease_seconds
        row.attempt += 1
        return LeasedTask(
            id=Uint256(row.id),
            order=Digest.parse(row.order),
            name=row.name,
            kind=row.kind,
            attempt=row.attempt,
        )

    def heartbeat(self, task_id: int, node: str, beat: Heartbeat, now: float) -> float:
        """Renews the lease, also an expired one that no other node got. Raises LeaseLostError."""
        row = self._of_node(task_id, node)
        if row.state != WorkState.LEASED:
            raise LeaseLostError(f"task {task_id} is {row.state}; stop working on it")
        row.leased_until = now + beat.lease_seconds
        event = ProgressEvent.of_progress(beat.progress or Progress(), Address.parse(node))
        if event is not None:
            EventRepository(self._session).append(row.order, event, int(now))
        return row.leased_until

    def put_result(self, task_id: int, node: str, result: bytes) -> tuple[Digest, bool]:
        """Stores the result; True when it is new. Its digest is returned."""
        if not result:
            raise InvalidRequestError("the body is empty; expected the task's result")
        row = self._of_node(task_id, node)
        digest = sha256(result)
        if row.state == WorkState.DONE:
            if row.result_digest != str(digest):
                raise ConflictError(
                    f"task {task_id} has the result {row.result_digest}, these bytes are {digest}"
                )
            return digest, False
        if row.state in (WorkState.REFUSED, WorkState.CANCELLED):
            raise LeaseLostError(f"task {task_id} is {row.state}; its result is no longer wanted")
        row.state, row.result, row.result_digest = WorkState.DONE, result, str(digest)
        return digest, True

    def refuse(self, task_id: int, node: str, refusal: Refusal) -> None:
        """Ends the task without a result, for good."""
        row = self._of_node(task_id, node)
        if row.state == WorkState.REFUSED:
            return
        if row.state in (WorkState.DONE, WorkState.CANCELLED):
            raise ConflictError(f"task {task_id} is {row.state}; it can no longer be refused")
        row.state, row.refusal_code, row.refusal_reason = WorkState.REFUSED, refusal.code, refusal.reason

    def reject(self, task_id: int, reason: str) -> None:
        """A stored result that does not hold counts as a refusal. It stays to be looked at, and is final."""
        row = self._rows.locked(task_id)
        if row is None:
            raise NotFoundError(f"no task {task_id}")
        if row.state == WorkState.REFUSED:
            return
        if row.state != WorkState.DONE:
            raise ConflictError(f"task {task_id} is {row.state}; there is no result to reject")
        row.state, row.refusal_code, row.refusal_reason = WorkState.REFUSED, INVALID_ANSWER, reason

    def payload(self, task_id: int, node: str | None) -> bytes:
        """The task's input, for its node (or, with None, for the broker)."""
        row = self._rows.with_bytes(task_id, TaskRow.payload)
        if row is None or (node is not None and row.node != node):
            raise _no_task(task_id)
        return row.payload

    def result(self, task_id: int) -> bytes:
        """The stored result. Raises NotFoundError before it is there."""
        row = self._rows.with_bytes(task_id, TaskRow.result)
        if row is not None and row.result is None and row.result_digest is not None:
            raise NotFoundError(
                f"the result of task {task_id} ({row.result_digest}) was deleted after its order's end"
            )
        if row is None or row.result is None:
            raise NotFoundError(f"no result of task {task_id} yet")
        return row.result

    def list(self, order: str, name: str | None) -> tuple[TaskView, ...]:
        return tuple(shown(row) for row in self._rows.of_order(order, name))

    def _of_node(self, task_id: int, node: str) -> TaskRow:
        row = self._rows.locked(task_id)
        if row is None or row.node != node:
            # Whether another node's task exists is not told.
            raise _no_task(task_id)
        return row


def _no_task(task_id: int) -> NotFoundError:
    return NotFoundError(f"no task {task_id} of this node")


def shown(row: TaskRow) -> TaskView:
    """A task as the interface shows it."""
    refusal = None
    if row.state == WorkState.REFUSED:
        refusal = RefusalView(code=row.refusal_code or "", reason=row.refusal_reason or "")
    return TaskView(
        id=Uint256(row.id), order=Digest.parse(row.order), node=Address.parse(row.node), name=row.name,
        kind=row.kind, state=WorkState(row.state), attempt=row.attempt, refusal=refusal,
        result_digest=None if row.result_digest is None else Digest.parse(row.result_digest),
    )  # fmt: skip
