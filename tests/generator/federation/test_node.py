"""A node's answers: refused before rows are read, recorded before noise is drawn, never drawn twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from generator.errors import BudgetExceeded, TaskRefused
from generator.federation.node import handle, handle_bytes
from generator.federation.plan import TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import Worker
from generator.federation.task import Task
from provenance.table.schema import Schema
from provenance.values import Address, sha256
from tests.generator.federation.conftest import CountingFamily
from tests.generator.rest_key import REST_KEY

ME = Address(b"\x01" * 20)
WORKER = Worker(ME)
MakePlan = Callable[..., TrainingPlan]
MakeState = Callable[..., ContributorState]


class KilledError(BaseException):
    """Stands for kill -9."""


def asked(plan: TrainingPlan, name: str = "bins", node: Address = ME, **meta: Any) -> Task:
    return Task(plan.order, name, node, {"plan": plan.document(), **meta})


def unreadable(state: ContributorState) -> None:
    (state.folder / "table.safetensors").unlink()


def test_refuses_a_plan_over_the_cap_before_any_row_is_read(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    state = make_state(epsilon=0.01)
    unreadable(state)
    with pytest.raises(BudgetExceeded):
        handle(asked(make_plan()), state, WORKER, family)
    assert family.asked == []
    assert state.ledger.entries() == ()


def test_refuses_an_order_without_privacy_when_the_owner_set_a_cap(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    with pytest.raises(BudgetExceeded):
        handle(asked(make_plan(epsilon=None)), make_state(epsilon=100.0), WORKER, family)


def test_refuses_tasks_for_others_and_plans_that_do_not_name_it(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    state, other = make_state(), Address(b"\x02" * 20)
    with pytest.raises(TaskRefused, match="wrong-node"):
        handle(asked(make_plan(2), node=other), state, WORKER, family)
    with pytest.raises(TaskRefused, match="bad-plan"):
        handle(asked(make_plan(1), node=other), state, Worker(other), family)
    with pytest.raises(TaskRefused, match="bad-plan"):
        handle(
            Task(sha256(b"another order"), "bins", ME, {"plan": make_plan().document()}),
            state,
            WORKER,
            family,
        )
    with pytest.raises(TaskRefused, match="bad-plan"):
        handle(Task(make_plan().order, "bins", ME), state, WORKER, family)
    assert family.asked == []


def test_refuses_a_plan_of_another_family_than_this_node_trains(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    family.name = "fedgan"
    with pytest.raises(TaskRefused, match="for family 'marginal', this node trains 'fedgan'"):
        handle(asked(make_plan()), make_state(), WORKER, family)
    assert family.asked == []


def test_refuses_a_plan_over_another_schema(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState, schema: Schema
) -> None:
    plan = make_plan().document()
    plan["schema"] = {**schema.document(), "name": "another"}
    with pytest.raises(TaskRefused, match="schema-mismatch"):
        handle(Task(make_plan().order, "bins", ME, {"plan": plan}), make_state(), WORKER, family)


def test_refuses_another_plan_or_payload_later_in_an_order(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    state = make_state()
    handle(asked(make_plan()), state, WORKER, family)
    with pytest.raises(TaskRefused, match="plan-changed"):
        handle(asked(make_plan(epsilon=2.0), "tables"), state, WORKER, family)
    with pytest.raises(TaskRefused, match="task-changed"):
        handle(asked(make_plan(), again=1), state, WORKER, family)


def test_the_same_result_is_sent_again_and_not_drawn_again(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    state = make_state()
    data = asked(make_plan()).encode()
    first = handle_bytes(data, state, WORKER, family)
    again = handle_bytes(data, ContributorState.open(state.folder, REST_KEY), WORKER, family)
    assert first == again
    assert family.asked == ["bins"]
    assert len(state.ledger.entries()) == 1


@pytest.mark.parametrize("moment", ["recorded", "drawn"])
def test_a_kill_between_ledger_and_result_costs_nothing_twice_and_releases_once(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState, moment: str
) -> None:
    state = make_state()
    task = asked(make_plan())

    def die(reached: str) -> None:
        assert len(state.ledger.entries()) == 1, "recorded before any noise is drawn"
        if reached == moment:
            raise KilledError

    family.die = die
    with pytest.raises(KilledError):
        handle(task, state, WORKER, family)
    family.die = lambda _: None
    again = ContributorState.open(state.folder, REST_KEY)
    result = handle(task, again, WORKER, family, request="0x01")
    assert len(again.ledger.entries()) == 1
    assert handle(task, again, WORKER, family).encode() == result.encode()


def test_a_kill_after_the_result_is_stored_resends_it(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generator.federation.state import TrainingState

    state, kept = make_state(), []
    real = TrainingState.store_result

    def store(self: TrainingState, *args: Any) -> bytes:
        kept.append(real(self, *args))
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "store_result", store)
        with pytest.raises(KilledError):
            handle(asked(make_plan()), state, WORKER, family)
    assert handle_bytes(asked(make_plan()).encode(), state, WORKER, family) == kept[0]


def test_a_step_outside_the_plan_s_releases_is_refused(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    with pytest.raises(TaskRefused, match="not-planned"):
        handle(asked(make_plan(), "surprise"), make_state(), WORKER, family)


def test_noise_is_added_to_what_leaves(
    family: CountingFamily, make_plan: MakePlan, make_state: MakeState
) -> None:
    state = make_state()
    count = handle(asked(make_plan()), state, WORKER, family).arrays["count"]
    assert count[0] != len(state.training) << 24
