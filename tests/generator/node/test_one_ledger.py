"""A node, a second folder, a restored one, a fit and an evaluation of one table count in one ledger, or are refused."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generator.errors import BudgetExceeded, FitError, StateError, TaskRefused
from generator.families.family import family_of
from generator.federation.state import ContributorState
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from generator.node.accept import accept_order
from generator.node.context import Node
from generator.node.train import train_step
from generator.privacy.ledger import PrivacyCap
from generator.privacy.owner import OwnedTable, Owner
from provenance import canonical
from provenance.crypto.at_rest import RestKey
from provenance.table.codec import decode_values
from provenance.values import Digest
from tessera.local.evaluating import evaluate
from tests.generator.node.world import AUTO, World, toy_table

CAP = 4.0
FIT = FitSettings(family="marginal", epsilon=3.0, seconds=1, settings={"steps": 2}, declared_rows=1200)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "owner")


def table_of(world: World, owner: Owner, values: np.ndarray, name: str = "table.csv") -> OwnedTable:
    return owner.table(values, world.collection.schema, name)


def owned_node(world: World, owner: Owner, number: int = 0, values: np.ndarray | None = None) -> Node:
    """A node whose table's ledger is kept by `owner`."""
    own = toy_table(0) if values is None else values
    schema, folder = world.collection.schema, world.folder / f"node{number}" / "table"
    key = RestKey.of(world.signer(number))
    ContributorState.create(folder, schema, own, PrivacyCap(CAP), key, owned=table_of(world, owner, own))
    return world.node(number)


def second_order(world: World, number: int = 1) -> bytes:
    terms = world.terms(salt=Digest(bytes([number]) * 32))
    world.open(terms)
    return world.offer(terms)


def trained(world: World, owner: Owner) -> Node:
    """A node that has given the first result of an order of epsilon 3."""
    node = owned_node(world, owner)
    world.accept(node)
    world.match()
    train_step(node, world.training_task(node))
    return node


def test_a_restored_folder_draws_no_noise_twice(world: World, owner: Owner, tmp_path: Path) -> None:
    node = owned_node(world, owner)
    world.accept(node)
    world.match()
    shutil.copytree(node.folder, tmp_path / "copy")
    first = train_step(node, world.training_task(node))
    spent = node.state.ledger.charged_epsilon()
    shutil.rmtree(node.folder)
    shutil.copytree(tmp_path / "copy", node.folder)
    restored = world.node(0)
    assert restored.state.ledger.charged_epsilon() == spent == pytest.approx(3.0, abs=0.01)
    with pytest.raises(TaskRefused, match="result-lost"):
        train_step(restored, world.training_task(restored))
    with pytest.raises(TaskRefused, match="privacy-cap"):
        accept_order(restored, second_order(world))
    assert first


@pytest.mark.parametrize("changed", ["copy", "reordered", "other type"])
def test_a_second_folder_of_the_table_has_the_same_ledger(world: World, owner: Owner, changed: str) -> None:
    trained(world, owner)
    values = {
        "copy": toy_table(0).copy(),
        "reordered": np.random.default_rng(1).permutation(toy_table(0)),
        "other type": toy_table(0).astype(np.int16),
    }[changed]
    other = owned_node(world, owner, 1, values)
    assert other.state.ledger.charged_epsilon() == pytest.approx(3.0, abs=0.01)
    with pytest.raises(TaskRefused, match="privacy-cap"):
        accept_order(other, second_order(world))


def test_two_nodes_of_a_table_do_not_both_answer_an_order(world: World, owner: Owner) -> None:
    """Each would draw noise of its own, and one charge would pay for both."""
    first, second = owned_node(world, owner), owned_node(world, owner, 1)
    world.accept(first)
    with pytest.raises(TaskRefused, match="same-table"):
        accept_order(second, world.offer())
    world.accept(first)  # asked again, it gives the same answer
    world.match()
    train_step(first, world.training_task(first))
    with pytest.raises(TaskRefused):
        train_step(second, world.training_task(second))
    charged = first.state.ledger.charged_epsilon()
    assert charged == second.state.ledger.charged_epsilon() == pytest.approx(3.0, abs=0.01)


def test_a_fit_after_a_node_s_order_is_counted_or_refused(world: World, owner: Owner) -> None:
    node = trained(world, owner)
    table = table_of(world, owner, toy_table(0), "table.parquet")
    with pytest.raises(FitError, match="owner's cap is 4"):
        fit(toy_table(0), world.collection.schema, FIT, ledger=table.ledger())
    before = node.state.ledger.charged_epsilon()
    fit(toy_table(0), world.collection.schema, replace(FIT, epsilon=1.0), ledger=table.ledger())
    assert before < node.state.ledger.charged_epsilon() <= CAP


def test_an_order_after_a_fit_is_refused(world: World, owner: Owner) -> None:
    table = table_of(world, owner, toy_table(0))
    fit(toy_table(0), world.collection.schema, FIT, ledger=table.ledger())
    node = owned_node(world, owner)
    with pytest.raises(TaskRefused, match="privacy-cap"):
        accept_order(node, second_order(world))
    assert table.names() == ("table.csv",)


def test_an_evaluation_after_a_fit_finds_its_ledger(
    world: World, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_OWNER", str(owner.folder))
    schema, values = world.collection.schema, toy_table(0)
    table = table_of(world, owner, values)
    fit(values, schema, replace(FIT, epsilon=1.0), ledger=table.ledger())
    cells = decode_values(schema, values)
    found = evaluate(cells, cells, schema)
    assert found.table.fingerprint == table.fingerprint
    assert found.table.ledger().charged_epsilon() == pytest.approx(1.0, abs=0.01)
    assert [note["did"] for note in table.ledger().notes()] == ["evaluation, exact figures"]


def test_a_fit_without_privacy_is_noted_and_not_counted(world: World, owner: Owner) -> None:
    table = table_of(world, owner, toy_table(0))
    fit(toy_table(0), world.collection.schema, replace(FIT, epsilon=None), ledger=table.ledger())
    assert [note["did"] for note in table.ledger().notes()] == ["fit without privacy"]
    assert table.ledger().charged_epsilon() == 0.0


def test_refusals_tell_the_broker_no_figure_of_the_ledger(world: World, owner: Owner) -> None:
    node = trained(world, owner)
    with pytest.raises(BudgetExceeded) as refusal:
        accept_order(node, second_order(world))
    assert not re.search(r"[0-9]", refusal.value.reason)
    assert "owner's cap is 4" in refusal.value.figures


def test_a_restored_or_forked_ledger_stops_the_node(world: World, owner: Owner, tmp_path: Path) -> None:
    node = owned_node(world, owner)
    world.accept(node)
    world.match()
    shutil.copytree(owner.folder, tmp_path / "old owner")
    train_step(node, world.training_task(node))
    shutil.rmtree(owner.folder)
    with pytest.raises(StateError, match="what was spent is not known"):
        world.node(0)
    shutil.copytree(tmp_path / "old owner", owner.folder)
    with pytest.raises(StateError, match="older copy"):
        train_step(world.node(0), world.training_task(node))


def test_a_commitment_keeps_the_head_that_the_ledger_goes_on_from(world: World, owner: Owner) -> None:
    node = trained(world, owner)
    order = node.state.order(world.order())
    order.store_model(b"m")
    order.keep_head(node.state.ledger)
    head = (order.folder / "ledger.head").read_bytes()
    assert str(node.state.ledger.head().digest).encode() in head
    (node.folder / "table" / "ledger.head").unlink()
    (owner.folder / "ledgers" / table_of(world, owner, toy_table(0)).fingerprint / "head").unlink()
    (order.folder / "ledger.head").write_bytes(head.replace(b'"number":', b'"number":9'))
    with pytest.raises(StateError, match="does not go on"):
        world.node(0).state.ledger.entries()


def test_a_folder_of_an_earlier_release_hands_its_ledger_over(world: World, owner: Owner) -> None:
    node = world.node(0, cap=CAP)
    world.accept(node)
    world.match()
    train_step(node, world.training_task(node))
    old = [entry.document() for entry in node.state.ledger.entries()]
    bare = b"".join(canonical.encode(each) + b"\n" for each in old)
    node.state.ledger.path.write_bytes(bare)
    state = node.state.hand_ledger_to(owner, "node0")
    assert [entry.document() for entry in state.ledger.entries()] == old
    assert state.ledger.path.is_relative_to(owner.folder)
    assert state.ledger.cap == PrivacyCap(CAP)
    assert not (node.folder / "table" / "ledger.jsonl").exists()
    assert state.hand_ledger_to(owner, "node0") is state
    assert np.array_equal(state.holdout, node.state.holdout), "the parts stay as they were"
    before = state.ledger.charged_epsilon()
    assert owned_node(world, owner, 1).state.ledger.charged_epsilon() == before > 0
    plan = world.plan()
    rest = state.ledger.uncharged(family_of(plan.family).releases(plan, node.address), world.order())
    assert [release.name for release in rest] == ["tables"], (
        "what is left of its plan is charged when it goes on"
    )


def test_a_delta_above_one_in_the_declared_rows_is_refused(world: World) -> None:
    terms = world.terms(delta_e12=10**12 // 1200 + 1)
    world.open(terms)
    policy = AUTO + 'maximum_delta = "0.1"\n'
    with pytest.raises(TaskRefused, match="delta-too-large"):
        accept_order(world.node(policy=policy), world.offer(terms))
