"""The federation's transport over the broker's task queue, and one that reads what it holds and asks nobody.

`gather` posts every task under its (order, node, name) - the queue keeps the first bytes and hands the same
result back for ever - and polls until all nodes have answered.  So a coordinator killed at any instant is
replaced by one that runs the same plan again: what was answered comes back at once, byte for byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from generator.errors import JobRefused, NodeExpired, NodeRefused
from generator.federation.task import Result, Task, result_of
from provenance.api.errors import MarketStopped
from provenance.api.market import MarketClient
from provenance.api.queue import TaskView, WorkState
from provenance.api.tasks import kind_of
from provenance.values import Address, Digest


class QueueTransport:
    """Implements `generator.federation.transport.Transport` for one order.

    late: returns a sentence once the order has no time left, else None; asked between polls.
    A node's progress goes to the buyer without passing here: its heartbeats become events of the order.
    """

    def __init__(
        self,
        client: MarketClient,
        *,
        late: Callable[[], str | None] = lambda: None,
        stop: threading.Event | None = None,
        poll_seconds: float = 0.2,
    ) -> None:
        self._client = client
        self._late = late
        self._stop = stop or threading.Event()
        self._poll_seconds = poll_seconds

    def gather(self, tasks: Sequence[Task]) -> list[Result]:
        """Results in the order of `tasks`.  Raises NodeRefused, InvalidAnswer, NodeExpired, MarketError."""
        for task in tasks:
            self._client.post_task(task.order, task.name, task.node, kind_of(task.name), task.encode())
        results: dict[tuple[Digest, Address, str], Result] = {}
        waiting = {task.key: task for task in tasks}
        while True:
            self._collect(waiting, results)
            if not waiting:
                return [results[task.key] for task in tasks]
            silent = [str(task.node) for task in waiting.values()]
            if (reason := self._late()) is not None:
                raise NodeExpired(silent, next(iter(waiting.values())).name, reason)
            if self._stop.wait(self._poll_seconds):
                raise MarketStopped(f"stopped while waiting for {', '.join(silent)}")

    def _collect(
        self,
        waiting: dict[tuple[Digest, Address, str], Task],
        results: dict[tuple[Digest, Address, str], Result],
    ) -> None:
        for order, name in sorted({(task.order, task.name) for task in waiting.values()}):
            for status in self._client.tasks(order, name):
                task = waiting.get((order, status.node, name))
                if task is not None and self._answered(status):
                    results[task.key] = result_of(task, self._client.task_result(status.id))
                    del waiting[task.key]

    def _answered(self, status: TaskView) -> bool:
        """True when done; raises when it never will be."""
        if status.state is WorkState.REFUSED:
            refusal = status.refusal
            code, reason = (refusal.code, refusal.reason) if refusal else ("refused", "")
            raise NodeRefused(str(status.node), code or "refused", reason or "no reason given")
        if status.state is WorkState.CANCELLED:
            raise NodeExpired([str(status.node)], status.name, f"the task is {status.state}")
        return status.state is WorkState.DONE


class StoredResults:
    """A transport over the results of an order that is over: a training is run again without anybody who trains.

    Nothing is posted: a task of a training that is not there any more would ask a node to train for an order that
    nobody pays for.
    """

    def __init__(self, client: MarketClient) -> None:
        self._client = client

    def gather(self, tasks: Sequence[Task]) -> list[Result]:
        """Results in the order of `tasks`. Raises JobRefused where the market has one no more, InvalidAnswer."""
        found: dict[tuple[Digest, Address, str], Result] = {}
        for order, name in sorted({(task.order, task.name) for task in tasks}):
            wanted = {task.node: task for task in tasks if (task.order, task.name) == (order, name)}
            for status in self._client.tasks(order, name):
                if status.node in wanted and status.state is WorkState.DONE:
                    task = wanted[status.node]
                    found[task.key] = result_of(task, self._client.task_result(status.id))
        if missing := [task for task in tasks if task.key not in found]:
            raise JobRefused(
                f"the market holds no result of task {missing[0].name!r} of {missing[0].node} in order "
                f"{missing[0].order} any more: its models are not sold again"
            )
        return [found[task.key] for task in tasks]
