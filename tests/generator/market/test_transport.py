"""The federation's transport over a queue that keeps what it was given, as the market's does."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import pytest

from generator.errors import InvalidAnswer, NodeExpired, NodeRefused
from generator.federation.task import Result, Task, answer
from generator.market.transport import QueueTransport
from provenance.api.errors import MarketStopped
from provenance.api.market import MarketClient
from provenance.api.message import Uint256
from provenance.api.queue import RefusalView, TaskView, WorkState
from provenance.api.tasks import kind_of
from provenance.values import Address, Digest

ORDER = Digest(bytes([1]) * 32)
NODES = [Address(bytes([k]) * 20) for k in (1, 2, 3)]


class Queue:
    """Tasks by (order, node, name): first bytes stay, one result for ever. `work` answers, or leaves it open."""

    def __init__(self) -> None:
        self.posted: dict[tuple[Digest, Address, str], bytes] = {}
        self.posts = 0
        self.worked = 0
        self.results: dict[tuple[Digest, Address, str], bytes] = {}
        self.refused: dict[Address, tuple[str, str]] = {}
        self.cancelled: set[Address] = set()
        self.silent: set[Address] = set()
        self.kinds: list[str] = []

    def post_task(self, order: Digest, name: str, node: Address, kind: str, body: bytes) -> None:
        self.posts += 1
        self.kinds.append(kind)
        assert self.posted.setdefault((order, node, name), body) == body, "other bytes under one name"

    def tasks(self, order: Digest, name: str) -> list[TaskView]:
        found = []
        for number, key in enumerate(self.posted):
            if key[0] == order and key[2] == name:
                found.append(self._status(number, key))
        return found

    def task_result(self, task_id: int) -> bytes:
        return self.results[list(self.posted)[task_id]]

    def _status(self, number: int, key: tuple[Digest, Address, str]) -> TaskView:
        node = key[1]
        if node in self.refused:
            return self._view(number, key, WorkState.REFUSED)
        if node in self.cancelled:
            return self._view(number, key, WorkState.CANCELLED)
        if node in self.silent:
            return self._view(number, key, WorkState.LEASED)
        if key not in self.results:
            task = Task.decode(self.posted[key])
            self.worked += 1
            self.results[key] = answer(task, {"by": str(node)}, {"x": np.full(3, self.worked)}).encode()
        return self._view(number, key, WorkState.DONE)

    def _view(self, number: int, key: tuple[Digest, Address, str], state: WorkState) -> TaskView:
        order, node, name = key
        told = self.refused.get(node) if state is WorkState.REFUSED else None
        return TaskView(
            id=Uint256(number), order=order, node=node, name=name, kind=kind_of(name), state=state, attempt=1,
            refusal=RefusalView(code=told[0], reason=told[1]) if told else None, result_digest=None,
        )  # fmt: skip


@pytest.fixture
def queue() -> Queue:
    return Queue()


def transport(queue: Queue, **options: Any) -> QueueTransport:
    return QueueTransport(cast(MarketClient, queue), poll_seconds=0.001, **options)


def tasks(name: str = "bins") -> list[Task]:
    return [Task(ORDER, name, node, {"k": 1}, {}) for node in NODES]


def test_refusal_names_the_node_its_code_and_reason(queue: Queue) -> None:
    queue.refused[NODES[1]] = ("privacy-cap", "over the cap")
    with pytest.raises(NodeRefused) as caught:
        transport(queue).gather(tasks())
    assert (caught.value.node, caught.value.code, caught.value.reason) == (
        str(NODES[1]), "privacy-cap", "over the cap",
    )  # fmt: skip


def test_cancelled_task_names_the_node(queue: Queue) -> None:
    queue.cancelled.add(NODES[2])
    with pytest.raises(NodeExpired) as caught:
        transport(queue).gather(tasks())
    assert caught.value.nodes == [str(NODES[2])]


def test_silent_nodes_are_named_once_the_order_is_late(queue: Queue) -> None:
    queue.silent |= {NODES[0], NODES[2]}
    asked = iter([None, None, "chain time is 10, delivery was due by 9"])
    with pytest.raises(NodeExpired, match="delivery was due") as caught:
        transport(queue, late=lambda: next(asked)).gather(tasks())
    assert caught.value.nodes == [str(NODES[0]), str(NODES[2])]


def test_stop_ends_the_waiting(queue: Queue) -> None:
    queue.silent.add(NODES[0])
    stop = threading.Event()
    stop.set()
    with pytest.raises(MarketStopped):
        transport(queue, stop=stop).gather(tasks())


def test_result_of_another_task_is_refused(queue: Queue) -> None:
    made = tasks()
    other = Result(ORDER, "tables", NODES[0], {}, {})
    queue.results[made[0].key] = other.encode()
    with pytest.raises(InvalidAnswer, match="the answer to task 'tables'") as caught:
        transport(queue).gather(made)
    assert (caught.value.node, caught.value.name) == (str(NODES[0]), made[0].name)


def test_a_result_that_cannot_be_read_names_its_node(queue: Queue) -> None:
    made = tasks()
    queue.results[made[1].key] = b"not a result"
    with pytest.raises(InvalidAnswer) as caught:
        transport(queue).gather(made)
    assert (caught.value.node, caught.value.name) == (str(made[1].node), made[1].name)


def test_results_come_in_the_order_of_the_tasks(queue: Queue) -> None:
    found = transport(queue).gather(list(reversed(tasks())))
    assert [result.node for result in found] == list(reversed(NODES))


def test_gathering_again_gives_the_stored_results_and_no_new_work(queue: Queue) -> None:
    first = transport(queue).gather(tasks())
    again = transport(queue).gather(tasks())
    assert [r.encode() for r in first] == [r.encode() for r in again]
    assert (queue.worked, queue.posts) == (3, 6)


def test_worker_killed_half_way_is_replaced_by_one_that_gets_what_was_answered(queue: Queue) -> None:
    queue.silent.add(NODES[2])
    stop = threading.Event()
    stop.set()
    with pytest.raises(MarketStopped):
        transport(queue, stop=stop).gather(tasks())
    queue.silent.clear()
    found = transport(queue).gather(tasks())
    assert sorted(int(r.arrays["x"][0]) for r in found) == [1, 2, 3]
    assert queue.worked == 3
