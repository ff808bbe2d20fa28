"""Training is refused unless chain, accepted terms and plan agree - before a row is read or privacy is spent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from generator.errors import NotYet, TaskRefused
from generator.federation.plan import PlanParticipant
from generator.federation.task import Result, Task
from generator.node.context import Node
from generator.node.model_checks import check_prefix, check_size
from generator.node.train import check_plan, train_step
from provenance.chain.ports import OrderState
from provenance.exact.codebook import Codebook
from provenance.exact.model import AutoregressiveModel, ColumnStep, encode_model
from provenance.record.terms import Participant as Matched
from provenance.table.conditions import Conditions, Segment
from provenance.values import Digest
from tests.generator.node.world import AUTO, World


def refusal(world: World, node: Node, payload: bytes) -> str:
    with pytest.raises(TaskRefused) as caught:
        train_step(node, payload)
    assert node.state.ledger.entries() == ()
    return caught.value.code


def one_column_model(neurons: int) -> bytes:
    """64 multiplications a neuron: 1,000 neurons are the most that a dispute holds."""
    step = ColumnStep(
        np.zeros(63, dtype=np.int32),
        np.zeros((neurons, 63), dtype=np.int8),
        np.zeros(neurons, dtype=np.int32),
        np.zeros(neurons, dtype=np.uint8),
        np.zeros((1, neurons), dtype=np.int8),
        np.zeros(1, dtype=np.uint8),
        np.zeros(1, dtype=np.int32),
    )
    book = Codebook((1,), (1,), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64))
    embedding = np.zeros((1, 63), dtype=np.int8)
    return encode_model(AutoregressiveModel(127, Digest(bytes(32)), book, (0,), (step,), embedding))


def test_refuses_an_order_that_it_never_accepted(world: World) -> None:
    node = world.node()
    world.match()
    assert refusal(world, node, world.training_task(node)) == "not-accepted"


def test_refuses_when_the_chain_does_not_name_it(world: World) -> None:
    node = world.node(2)
    world.accept(node)
    world.match()
    assert refusal(world, node, world.training_task(node)) == "not-named"


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.REFUNDED, OrderState.PUBLISHED])
def test_refuses_an_order_that_ended(world: World, state: OrderState) -> None:
    node = world.node()
    world.accept(node)
    world.chain.states[world.match()] = state
    assert refusal(world, node, world.training_task(node)) == "order-ended"


def test_waits_for_the_match(world: World) -> None:
    node = world.node()
    world.accept(node)
    with pytest.raises(NotYet):
        train_step(node, world.training_task(node))


def test_waits_while_the_event_does_not_give_the_matched_participants(world: World) -> None:
    node = world.node()
    world.accept(node)
    order = world.match()
    other = patch.object(world.chain, "participants", lambda _order: (Matched(node.address, 500),))
    with other, pytest.raises(NotYet, match="participants"):
        train_step(node, world.training_task(node))
    assert world.chain.participants(order) == world.participants


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon_micro": 3_000_001},
        {"epsilon_micro": 2_000_000},
        {"epsilon_micro": None},
        {"delta_e12": 10_000_001},
        {"family": "fedgan"},
        {"settings": {"steps": 41}},
    ],
)
def test_refuses_a_plan_that_is_not_the_accepted_terms(world: World, change: dict[str, Any]) -> None:
    node = world.node()
    world.accept(node)
    world.match()
    plan = replace(world.plan(), **change)
    assert refusal(world, node, world.training_task(node, plan)) == "plan-differs"


def test_refuses_a_plan_with_participants_in_another_order(world: World) -> None:
    node = world.node()
    world.accept(node)
    world.match()
    plan = replace(world.plan(), participants=tuple(reversed(world.plan().participants)))
    assert refusal(world, node, world.training_task(node, plan)) == "participants-differ"


@pytest.mark.parametrize(("declared", "is_taken"), [(1_200, True), (1_237, True), (1_230, False)])
def test_takes_two_digits_of_the_rows_that_older_settings_hold_exactly(
    world: World, declared: int, is_taken: bool
) -> None:
    """The plan of an order that began before an update has the exact number."""
    node = world.node()
    node = replace(node, settings=node.settings.model_copy(update={"declared_rows": 1_237}))
    world.accept(node)
    world.match()
    plan = world.plan()
    own = (PlanParticipant(node.address, declared), *plan.participants[1:])
    task = Task.decode(world.training_task(node, replace(plan, participants=own)))
    if is_taken:
        check_plan(node, task)
    else:
        with pytest.raises(TaskRefused, match="it declared 1200"):
            check_plan(node, task)


def test_refuses_a_plan_that_declares_other_rows_for_it(world: World) -> None:
    node = world.node()
    world.accept(node)
    world.match()
    plan = world.plan()
    boast = (PlanParticipant(node.address, 1300), *plan.participants[1:])
    assert refusal(world, node, world.training_task(node, replace(plan, participants=boast))) == "rows-differ"


def test_refuses_noise_in_parts_when_others_were_matched_than_it_trusts(world: World) -> None:
    world.collection = replace(
        world.collection, settings={**world.collection.settings, "noise": "distributed"}
    )
    terms = world.terms(min_contributors=3)
    friend, others = world.signer(7).address, [world.signer(number).address for number in (1, 2)]
    trusting = AUTO.replace("trusted_partners = []", f'trusted_partners = ["{friend}"]')
    node = world.node(policy=trusting)
    world.accept(node, terms)
    order = world.match(terms)
    for third, code in ((others[1], "policy-partners"), (friend, "")):
        rows = (300, 100, 100)
        accounts = (node.address, others[0], third)
        world.chain.matched[order] = tuple(map(Matched, accounts, rows))
        plan = replace(
            world.plan(terms), participants=tuple(PlanParticipant(account, 1200) for account in accounts)
        )
        task = world.training_task(node, plan)
        if code:
            assert refusal(world, node, task) == code
        else:
            assert "sumKey" in Result.decode(train_step(node, task)).meta


def test_refuses_a_task_without_a_plan(world: World) -> None:
    from generator.federation.task import Task

    node = world.node()
    world.accept(node)
    order = world.match()
    assert refusal(world, node, Task(order, "bins", node.address, {}, {}).encode()) == "bad-plan"


def test_first_release_is_in_the_ledger_and_resent_from_its_stored_bytes(world: World) -> None:
    node = world.node()
    world.accept(node)
    world.match()
    task = world.training_task(node)
    first = train_step(node, task)
    entries = node.state.ledger.entries()
    assert [(entry.release.name, entry.request) for entry in entries] == [("bins", str(world.request.digest))]
    again = train_step(world.node(), task)
    assert again == first
    assert world.node().state.ledger.entries() == entries


def test_refuses_to_commit_a_model_larger_than_the_collection_promises(world: World) -> None:
    node = world.node()
    provable, too_large = one_column_model(1000), one_column_model(1001)
    with pytest.raises(TaskRefused, match="64,064 multiplications a row"):
        check_size(node, too_large)
    check_size(node, provable)
    promises_less = replace(node, collection=replace(node.collection, size_class="recomputed"))
    check_size(promises_less, provable)
    check_size(promises_less, too_large)


def test_refuses_conditions_under_which_a_row_is_more_than_the_chain_can_judge(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = world.node().collection.schema
    sizes = [column.cardinality for column in schema.columns]
    column = next(place for place, size in enumerate(sizes) if size > 1)
    asked = Conditions(schema, (Segment(5, {column: ((0, 0),)}),))
    counts = tuple(min(size, 2) for size in sizes)
    book = Codebook(
        *(counts, schema.value_widths),
        np.concatenate([np.arange(count) for count in counts]),
        np.ones(sum(counts), dtype=np.int64),
    )
    steps = tuple(
        ColumnStep(
            *(np.zeros(1, np.int32), np.zeros((1, 1), np.int8), np.zeros(1, np.int32), np.zeros(1, np.uint8)),
            *(np.zeros((count, 1), np.int8), np.zeros(count, np.uint8), np.zeros(count, np.int32)),
        )
        for count in counts
    )
    order = (column, *(place for place in range(len(counts)) if place != column))
    steps = tuple(steps[place] for place in order)
    embedding = np.zeros((book.codes, 1), np.int8)
    model = encode_model(AutoregressiveModel(255, schema.digest, book, order, steps, embedding))
    check_prefix(asked, model)
    monkeypatch.setattr("provenance.exact.size_class.MAX_PREFIX_WORK", 1)
    with pytest.raises(TaskRefused, match="units of work"):
        check_prefix(asked, model)
