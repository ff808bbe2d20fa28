"""The coordinator: deterministic given results, so a killed one simply runs again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from generator.errors import InvalidAnswer, NodeRefused, TransportError
from generator.federation.coordinator import Coordinator, RoundProgress
from generator.federation.node import handle_bytes
from generator.federation.plan import TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import Worker
from generator.federation.task import Result, Task, answer
from generator.federation.transport import InProcessTransport
from tests.generator.federation.conftest import CountingFamily

MakePlan = Callable[..., TrainingPlan]
MakeState = Callable[..., ContributorState]


@pytest.fixture
def transport(family: CountingFamily, make_plan: MakePlan, make_state: MakeState) -> InProcessTransport:
    nodes = {}
    for number, part in enumerate(make_plan(3).participants):
        state = make_state(f"node-{number}")
        nodes[part.contributor] = partial(
            handle_bytes, state=state, worker=Worker(part.contributor), family=family
        )
    return InProcessTransport(nodes)


class Recording:
    """Notes every task; after `dies_after` rounds it breaks like a killed coordinator's connection."""

    def __init__(self, inner: InProcessTransport, dies_after: int = 99) -> None:
        self.inner, self.left = inner, dies_after
        self.sent: list[bytes] = []

    def gather(self, tasks: Sequence[Task]) -> list[Result]:
        self.sent += [task.encode() for task in tasks]
        results = self.inner.gather(tasks)
        self.left -= 1
        if self.left == 0:
            raise TransportError("gone")
        return results


def test_a_refusal_names_the_node_and_its_reason(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    plan = make_plan(1)
    node = plan.participants[0].contributor
    state = make_state(epsilon=0.001)
    transport = InProcessTransport(
        {node: partial(handle_bytes, state=state, worker=Worker(node), family=family)}
    )
    with pytest.raises(NodeRefused, match="privacy-cap") as refusal:
        Coordinator(plan, transport, family).run()
    assert refusal.value.node == str(node)


def test_a_contributor_that_is_not_connected_is_named(family: CountingFamily, make_plan: MakePlan) -> None:
    with pytest.raises(TransportError, match="no contributor"):
        Coordinator(make_plan(1), InProcessTransport({}), family).run()


@pytest.mark.parametrize("wrong", ["name", "node", "model", "statement", "more"])
def test_refuses_an_answer_to_something_else(family: CountingFamily, make_plan: MakePlan, wrong: str) -> None:
    def lie(data: bytes) -> bytes:
        task = Task.decode(data)
        meta: dict[str, Any] = {"modelDigest": "0x" + "00" * 32, "epsilonMicro": 0, "deltaE12": 0}
        meta |= {"commitSignature": "", "statement": {}, "modelBytes": 5, "losses": {}}
        if task.name != "finish":
            meta = {"epsilonMicro": 0}
        if wrong == "model":
            meta["modelDigest"] = "0x00"
        if wrong == "statement":
            meta["statement"] = None
        if wrong == "more":
            meta["more"] = 1
        name = "other" if wrong == "name" else task.name
        node = type(task.node)(b"\x77" * 20) if wrong == "node" else task.node
        return Result(task.order, name, node, meta, {"count": np.zeros(1, np.int64)}).encode()

    plan = make_plan(1)
    with pytest.raises(InvalidAnswer) as caught:
        Coordinator(plan, InProcessTransport({plan.participants[0].contributor: lie}), family).run()
    assert caught.value.node == str(plan.participants[0].contributor)


@pytest.mark.parametrize("rounds_before_the_kill", [1, 2, 3])
def test_a_killed_coordinator_runs_again_to_the_same_outcome(
    family: CountingFamily, make_plan: MakePlan, transport: InProcessTransport, rounds_before_the_kill: int
) -> None:
    plan, killed = make_plan(3), Recording(transport, rounds_before_the_kill)
    with pytest.raises(TransportError):
        Coordinator(plan, killed, family).run()
    again = Recording(transport)
    outcome = Coordinator(plan, again, family).run()
    assert again.sent[: len(killed.sent)] == killed.sent
    assert sorted(family.asked) == sorted(["bins", "tables", "finish"] * 3), "nothing was done twice"
    replayed = Coordinator(plan, transport, family).run()
    assert replayed.models == outcome.models
    for node, arrays in outcome.references.items():
        assert np.array_equal(arrays["count"], replayed.references[node]["count"])


def test_models_come_in_shard_order_and_progress_counts_rounds(
    family: CountingFamily, make_plan: MakePlan, transport: InProcessTransport
) -> None:
    seen: list[RoundProgress] = []
    outcome = Coordinator(make_plan(3), transport, family).run(seen.append)
    assert [m.shard for m in outcome.models] == [0, 1, 2]
    assert [m.contributor for m in outcome.models] == [p.contributor for p in outcome.plan.participants]
    assert [(p.round, p.rounds, p.name) for p in seen] == [(1, 3, "bins"), (2, 3, "tables"), (3, 3, "finish")]
    assert seen[0].losses == {"count": 0.5}
    assert seen[0].epsilon == 7e-6
    assert [p.sent_bytes for p in seen] == [8, 16, 16], (
        "a number of eight bytes from each node, twice; then nothing"
    )


def test_several_workers_give_results_in_the_order_of_the_tasks(make_plan: MakePlan) -> None:
    nodes = {
        p.contributor: lambda data: answer(Task.decode(data), {}).encode() for p in make_plan(5).participants
    }
    tasks = [Task(make_plan().order, "bins", node) for node in nodes]
    results = InProcessTransport(nodes, workers=3).gather(tasks)
    assert [r.node for r in results] == list(nodes)
