"""How tasks reach contributors. The coordinator sees this port and nothing else.

A transport is idempotent by (order, node, name): gathering the same tasks again returns the stored results at
once. So a killed coordinator simply runs again from its first round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from generator.errors import NodeRefused, TaskRefused, TransportError
from generator.federation.task import Result, Task, result_of
from provenance.values import Address


class Transport(Protocol):
    """Delivers tasks and waits for all their results."""

    def gather(self, tasks: Sequence[Task]) -> list[Result]:
        """Results in the order of `tasks`; raises NodeRefused if a node declines, InvalidAnswer, TransportError to try
        later."""
        ...


class InProcessTransport:
    """Contributors in this process, for `tessera fit` and tests.

    nodes: per address, a function from task bytes to result bytes. Messages are encoded and decoded exactly
    as they are between machines. workers: how many nodes work at the same time.
    """

    def __init__(self, nodes: Mapping[Address, Callable[[bytes], bytes]], *, workers: int = 1) -> None:
        self._nodes = dict(nodes)
        self._workers = max(1, workers)

    def gather(self, tasks: Sequence[Task]) -> list[Result]:
        """Run every task to its end; see `Transport.gather`."""
        if self._workers == 1 or len(tasks) < 2:
            return [self._one(task) for task in tasks]
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(self._one, tasks))

    def _one(self, task: Task) -> Result:
        node = self._nodes.get(task.node)
        if node is None:
            raise TransportError(f"no contributor {task.node} is connected; {len(self._nodes)} others are")
        try:
            return result_of(task, node(task.encode()))
        except TaskRefused as refusal:
            raise NodeRefused(str(task.node), refusal.code, refusal.reason) from refusal
