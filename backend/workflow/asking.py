"""Tasks that the workflow itself gives to the matched nodes, and their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from backend.database.models import TaskRow
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import TaskRepository
from backend.tasks.service import TaskService
from provenance.api.message import Message
from provenance.api.queue import TaskKind, WorkState
from provenance.errors import MalformedError
from provenance.record.terms import participants_digest
from provenance.values import Address, Digest

A = TypeVar("A", bound=Message)


class Asking:
    """Tasks of one kind to all nodes of an order's present match."""

    def __init__(self, ports: Ports, order: str, kind: TaskKind) -> None:
        self._ports = ports
        self._order = order
        self.kind: TaskKind = kind

    def ask(self, stored: StoredOrder, task: Callable[[Digest], Message]) -> None:
        """Gives every node its task, once. task: the message for the match's digest."""
        payload = task(participants_digest(stored.participants())).encode()
        with self._ports.database.write() as session:
            for member in stored.matched:
                TaskService(session).create(
                    *(self._order, str(member.contributor), self.kind, self.kind, payload),
                    int(self._ports.clock()),
                )

    def answers(
        self, stored: StoredOrder, kind: type[A], holds: Callable[[int, A], bool]
    ) -> dict[Address, A]:
        """What the matched nodes have answered so far, and holds. What does not is rejected: it counts as a refusal.
        holds: whether a shard's answer does."""
        done, found, wrong = self._done(), dict[Address, A](), list[int]()
        for shard, member in enumerate(stored.matched):
            if (task := done.get(member.contributor)) is None:
                continue
            answer = self._read(kind, task)
            if answer is not None and holds(shard, answer):
                found[member.contributor] = answer
            else:
                wrong.append(task.id)
        if wrong:
            with self._ports.database.write() as session:
                for task_id in wrong:
                    TaskService(session).reject(task_id, f"this {self.kind} does not hold")
        return found

    def _read(self, kind: type[A], task: TaskRow) -> A | None:
        assert task.result is not None
        try:
            return kind.read(task.result, f"{self.kind} of {task.node}")
        except MalformedError:
            return None

    def refusals(self) -> dict[Address, str]:
        """Why nodes will not answer."""
        with self._ports.database.read() as session:
            tasks = TaskRepository(session).of_order(self._order, self.kind)
            return {
                Address.parse(task.node): f"{task.refusal_code}: {task.refusal_reason}"
                for task in tasks
                if task.state == WorkState.REFUSED
            }

    def _done(self) -> dict[Address, TaskRow]:
        with self._ports.database.read() as session:
            tasks = TaskRepository(session).of_order(self._order, self.kind, results=True)
            return {Address.parse(task.node): task for task in tasks if task.state == WorkState.DONE}
