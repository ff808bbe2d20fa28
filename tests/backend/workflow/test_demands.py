"""When the broker demands a step of a contributor on chain, when it ends a demand, and when it does neither."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.ports import Ports
from backend.workflow import demands
from backend.workflow.demands import StepDemands
from provenance.api.queue import TaskKind, WorkState
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState, ShardsOnChain, TxReceipt
from provenance.record.terms import Participant
from provenance.values import Address, Digest, sha256

ORDER = Digest(bytes([7]) * 32)
NODES = tuple(Address(bytes([k]) * 20) for k in (1, 2))
MODELS = (sha256(b"a"), sha256(b"b"))
SALTS = (sha256(b"c"), sha256(b"d"))
DELIVER_BY = 9000


@dataclass
class World:
    """Chain, database and log of one order as the broker sees them."""

    now: int = 1000
    state: OrderState = OrderState.MATCHED
    refuse: str = ""
    open: dict[int, DemandOnChain] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    tasks: list[SimpleNamespace] = field(default_factory=list)
    out: set[int] = field(default_factory=set)
    warned: set[int] = field(default_factory=set)

    # --- the chain

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        return self.open.get(shard, DemandOnChain(order, shard, DemandKind.NONE, NODES[0], 0, 0, 0))

    def chain_time(self) -> int:
        return self.now

    def order(self, order: Digest) -> Any:
        return SimpleNamespace(state=self.state, open_demands=len(self.open))

    def commitment(self, order: Digest) -> Any:
        return SimpleNamespace(models=MODELS, salts=SALTS)

    def shards(self, order: Digest) -> ShardsOnChain:
        return ShardsOnChain(frozenset(self.out))

    def demand_step(
        self, terms: Any, participants: Any, shard: int, kind: DemandKind, digests: Any
    ) -> TxReceipt:
        if self.refuse:
            raise RevertError("refused", name=self.refuse)
        assert digests == {DemandKind.RECEIPT: MODELS, DemandKind.SALT: SALTS}.get(kind, ())
        self.open[shard] = DemandOnChain(ORDER, shard, kind, NODES[0], self.now + 60, 0, 0)
        return self._mined("demand", shard, kind)

    def expire(self, terms: Any, participants: Any, shard: int) -> TxReceipt:
        if self.refuse:
            raise RevertError("refused", name=self.refuse)
        if shard in self.warned:
            del self.open[shard]
            self.out.add(shard)
        else:
            self.warned.add(shard)
            self.open[shard] = replace(self.open[shard], answer_by=self.now + 60)
        return self._mined("expire", shard)

    def _mined(self, *call: Any) -> TxReceipt:
        self.calls.append(call)
        return TxReceipt(sha256(repr(call).encode()), 1, 1)

    # --- the broker's own side

    @contextmanager
    def read(self) -> Any:
        yield self

    def of_order(self, order: str, name: str | None) -> list[SimpleNamespace]:
        assert (order, name) == (str(ORDER), None)
        return self.tasks

    def task(
        self,
        node: int,
        state: WorkState,
        age: int,
        code: str | None = None,
        kind: str = "sample",
        lease: int = 0,
    ) -> None:
        found = SimpleNamespace(
            node=str(NODES[node]), state=state, created_at=5000 - age, refusal_code=code, kind=kind,
            leased_until=5000 + lease,
        )  # fmt: skip
        self.tasks.append(found)

    def load(self) -> Any:
        members = tuple(Participant(node, 5) for node in NODES)
        return SimpleNamespace(
            terms=SimpleNamespace(deliver_by=DELIVER_BY), participants=lambda: members, matched=members
        )

    def mined(self, step: str, receipt: TxReceipt) -> None:
        self.calls.append(("noted", step))

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def broker(world: World, monkeypatch: pytest.MonkeyPatch) -> StepDemands:
    monkeypatch.setattr(demands, "TaskRepository", lambda _session: world)
    monkeypatch.setattr(demands, "OrderLog", lambda _ports, _order: world)
    settings = SimpleNamespace(receipt_seconds=300)
    ports = SimpleNamespace(
        chain=world, writer=world, database=world, settings=settings, clock=lambda: 5000.0, broker=NODES[0]
    )
    return StepDemands(cast(Ports, ports), str(ORDER))


def test_nothing_is_demanded_while_nodes_work_or_have_delivered(world: World, broker: StepDemands) -> None:
    world.task(0, WorkState.DONE, age=4000)
    world.task(1, WorkState.LEASED, age=299)
    assert broker.look("sample") is False
    assert world.calls == []


def test_a_contributor_whose_model_makes_no_such_rows_is_not_silent(
    world: World, broker: StepDemands
) -> None:
    world.task(0, WorkState.REFUSED, age=400, code="conditions-unmet")
    assert broker.look("sample") is False
    assert world.calls == []


@pytest.mark.parametrize(
    ("state", "age"), [(WorkState.LEASED, 301), (WorkState.QUEUED, 301), (WorkState.REFUSED, 1)]
)
def test_the_receipt_of_a_silent_node_is_demanded_once(
    world: World, broker: StepDemands, state: WorkState, age: int
) -> None:
    world.task(0, WorkState.DONE, age=1)
    world.task(1, state, age=age)
    assert broker.look("sample") is True
    assert broker.look("sample") is True
    assert world.calls == [("demand", 1, DemandKind.RECEIPT), ("noted", "demand")]
    assert f"contributor {NODES[1]} is silent: its receipt is demanded" in world.said[0]


def test_a_node_in_training_is_silent_when_it_stopped_working_and_not_before(
    world: World, broker: StepDemands
) -> None:
    world.task(0, WorkState.LEASED, age=4000, kind="train", lease=20)
    world.task(1, WorkState.LEASED, age=4000, kind="train", lease=-299)
    assert broker.look("train") is False
    assert world.calls == []
    world.tasks[1].leased_until = 4699
    assert broker.look("train") is True
    assert world.calls[0] == ("demand", 1, DemandKind.COMMITMENT)


def test_at_the_deadline_who_still_works_is_asked_too(world: World, broker: StepDemands) -> None:
    world.task(0, WorkState.LEASED, age=4000, kind="train", lease=20)
    world.now = DELIVER_BY + 1
    assert broker.look("train") is True
    assert world.calls[0] == ("demand", 0, DemandKind.COMMITMENT)


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("commit", DemandKind.COMMITMENT),
        ("reveal", DemandKind.SALT),
        ("evaluate", DemandKind.EVALUATION),
    ],
)
def test_each_step_is_demanded_by_its_own_kind(
    world: World, broker: StepDemands, task: TaskKind, kind: DemandKind
) -> None:
    world.task(0, WorkState.QUEUED, age=301, kind=task)
    assert broker.look(task) is True
    assert world.calls[0] == ("demand", 0, kind)


def test_an_unanswered_demand_warns_first_and_then_leaves_the_contributor_out(
    world: World, broker: StepDemands
) -> None:
    world.task(1, WorkState.REFUSED, age=1)
    broker.look("sample")
    world.now += 60
    broker.look("sample")
    assert ("expire", 1) not in world.calls, "the last second counts"
    world.now += 1
    assert broker.look("sample") is True
    assert world.calls[-2:] == [("expire", 1), ("noted", "expire")]
    assert "it has as long again" in world.said[-1]
    world.now += 61
    broker.look("sample")
    assert "the order goes on without it" in world.said[-1]
    assert broker.look("sample") is False, "nothing more is asked of who is out"


def test_a_demand_that_the_chain_does_not_take_is_told_once_and_not_repeated(
    world: World, broker: StepDemands
) -> None:
    world.task(1, WorkState.REFUSED, age=1)
    world.refuse = "Demands_AlreadyAnswered"
    assert broker.look("sample") is False
    assert broker.look("sample") is False
    assert world.said == ["no receipt can be demanded of shard 1: Demands_AlreadyAnswered"]


def test_somebody_elses_demand_is_ended_too_and_an_ended_order_is_left_alone(
    world: World, broker: StepDemands
) -> None:
    world.state = OrderState.PUBLISHED
    world.open[0] = DemandOnChain(ORDER, 0, DemandKind.MODEL, NODES[1], 999, 10, 0)
    world.warned = {0}
    broker.end_overdue()
    assert world.calls == [("expire", 0), ("noted", "expire")]
    world.open[1] = replace(DemandOnChain(ORDER, 1, DemandKind.CHUNK, NODES[1], 999, 10, 0))
    world.state = OrderState.REVOKED
    broker.end_overdue()
    assert len(world.calls) == 2


def test_a_demand_answered_in_the_last_moment_stops_nothing(world: World, broker: StepDemands) -> None:
    world.state = OrderState.PUBLISHED
    world.open[0] = DemandOnChain(ORDER, 0, DemandKind.MODEL, NODES[1], 999, 10, 0)
    world.refuse = "Demands_NotOpen"
    broker.end_overdue()
    assert world.calls == []
    assert world.said == []
