"""What a refusal tells the broker: a code and a reason, and no figure of the table's privacy ledger."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import generator
from generator.errors import BudgetExceeded, TaskRefused
from generator.node.accept import accept_order
from generator.node.train import train_step
from tests.generator.node.world import AUTO, World

LEDGERS = frozenset(
    {
        "ledger",
        "cap",
        "charged",
        "charged_epsilon",
        "epsilon_left",
        "spent",
        "figures",
        "book",
        "entries",
        "epsilon",
    }
)
"""Names that stand for what a table has spent, or may."""


def reasons() -> Iterator[tuple[str, str, ast.expr]]:
    """(place, code, reason) of every refusal that the source can make."""
    folder = Path(generator.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "TaskRefused"
            ):
                code, reason = node.args
                text = code.value if isinstance(code, ast.Constant) else ast.unparse(code)
                yield f"{path.relative_to(folder)}:{node.lineno}", str(text), reason


def test_no_refusal_is_made_of_what_the_ledger_holds() -> None:
    seen = set[str]()
    for place, code, reason in reasons():
        names = {each.id for each in ast.walk(reason) if isinstance(each, ast.Name)}
        names |= {each.attr for each in ast.walk(reason) if isinstance(each, ast.Attribute)}
        assert not names & LEDGERS, f"{place}: {code} tells {sorted(names & LEDGERS)}"
        seen.add(code)
    assert {"exact-counts", "privacy-exceeded", "release-changed", "same-table", "stake"} <= seen
    assert len(seen) > 40, "every code is looked at"


def test_a_refusal_over_the_cap_is_the_same_whatever_was_spent(world: World) -> None:
    told = set[tuple[str, str]]()
    for number, cap in enumerate((2.9, 0.123)):
        node = world.node(number, cap=cap)
        world.open()
        with pytest.raises(BudgetExceeded) as refusal:
            accept_order(node, world.offer())
        assert f"{cap:g}" in refusal.value.figures, "its owner sees them"
        told.add((refusal.value.code, refusal.value.reason))
    assert told == {("privacy-cap", "the table's owner does not allow this order")}


def test_changes_of_the_policy_s_privacy_limits_are_noted_before_an_order_is_accepted(world: World) -> None:
    node = world.node(policy=AUTO)
    world.accept(node)
    (first,) = node.state.ledger.limits()
    assert (first["what"], first["before"]) == (f"policy of {node.address}", "")
    assert "maximum_epsilon 10, " in str(first["now"])
    loosened = world.node(policy=AUTO.replace('maximum_epsilon = "10"', 'maximum_epsilon = "20"'))
    denied = world.terms(rows=3)
    world.open(denied)
    for _ in range(2):  # whatever becomes of the order, and once
        with pytest.raises(TaskRefused):
            accept_order(loosened, world.offer(denied))
    changes = loosened.state.ledger.limits()
    assert [each["before"] for each in changes] == ["", first["now"]]
    assert "maximum_epsilon 20, " in str(changes[1]["now"])
    assert int(str(changes[1]["time"])) > 0


def test_a_cap_that_was_changed_by_hand_is_noted_before_the_next_charge(world: World) -> None:
    node = world.node(cap=10.0)
    world.accept(node)
    world.match()
    (node.folder / "table" / "cap.json").write_text('{"delta":"1e-05","epsilon":"12.5"}')
    changed = world.node()
    train_step(changed, world.training_task(changed))
    caps = [each for each in changed.state.ledger.limits() if each["what"] == "cap"]
    assert [each["now"] for each in caps] == ["epsilon 12.5 at delta 1e-05"]
