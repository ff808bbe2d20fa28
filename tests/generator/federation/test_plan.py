"""Plans: read strictly, written canonically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from generator.errors import PlanError
from generator.federation.plan import PlanParticipant, TrainingPlan
from provenance.canonical import JsonValue
from provenance.values import Address

MakePlan = Callable[..., TrainingPlan]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "tessera-plan/2"),
        ("epsilonMicro", -1),
        ("epsilonMicro", True),
        ("deltaE12", 0),
        ("deltaE12", 10**12),
        ("participants", []),
        ("participants", [{"contributor": "0x" + "11" * 20, "declaredRows": 0}]),
        ("participants", [{"contributor": "0x" + "11" * 20, "declaredRows": 5}] * 2),
        ("participants", [{"contributor": "0x11", "declaredRows": 5}]),
        ("settings", {"a": [1]}),
        ("settings", {"a": True}),
        ("order", "0x00"),
        ("surplus", 1),
    ],
)
def test_refuses_a_document_with_a_wrong_entry(make_plan: MakePlan, key: str, value: JsonValue) -> None:
    document = {**make_plan().document(), key: value}
    with pytest.raises(PlanError):
        TrainingPlan.parse(document)


def test_refuses_a_contributor_that_is_not_named(make_plan: MakePlan) -> None:
    with pytest.raises(PlanError, match="not among"):
        make_plan().participant(Address(b"\x99" * 20))


def test_a_document_reads_back_to_the_same_plan(make_plan: MakePlan) -> None:
    for plan in (make_plan(3), make_plan(1, epsilon=None)):
        back = TrainingPlan.parse(plan.document())
        assert back == plan
        assert back.digest == plan.digest


def test_every_entry_is_in_the_digest(make_plan: MakePlan) -> None:
    plan = make_plan()
    others = [
        replace(plan, family="fedgan"),
        replace(plan, epsilon_micro=None),
        replace(plan, delta_e12=1),
        replace(plan, settings={}),
        replace(plan, participants=(PlanParticipant(plan.participants[0].contributor, 7),)),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 6


def test_declared_rows_split_into_training_and_holdout() -> None:
    for rows in (10, 11, 405, 32561):
        part = PlanParticipant(Address(b"\x01" * 20), rows)
        assert part.training_rows + part.holdout_rows == rows
    assert PlanParticipant(Address(b"\x01" * 20), 1).holdout_rows == 1
