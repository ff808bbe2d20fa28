"""Tasks that the workflow itself gives to the matched nodes, and their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

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

    def answers(self, answer: type[A]) -> dict[Address, A | None]:
        """What nodes have answered so far; None for an answer that cannot be read."""
        return {node: self._read(answer, node, data) for node, data in self._results().items()}

    def _read(self, answer: type[A], node: Address, data: bytes) -> A | None:
        try:
            return answer.read(data, f"{self.kind} of {node}")
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

    def _results(self) -> dict[Address, bytes]:
        with self._ports.database.read() as session:
            tasks = TaskRepository(session).of_order(self._order, self.kind, results=True)
            return {
                Address.parse(task.node): task.result
                for task in tasks
                if task.state == WorkState.DONE and task.result is not None
            }
