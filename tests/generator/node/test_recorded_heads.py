"""A ledger's head is signed with each shard; a node whose ledger does not go on from a recorded one gives nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from generator.errors import LedgerRestored, NotYet
from generator.node.accept import accept_order
from generator.node.context import Node
from generator.node.recorded_heads import require_newest_ledger
from generator.node.sample import sample_shard
from generator.node.train import train_step
from generator.privacy.owner import Owner
from provenance.chain.ports import DatasetOnChain, ShardOnChain
from provenance.record.receipts import LedgerHead, ShardContent
from provenance.store.unixfs import cid_of
from provenance.values import sha256
from tests.generator.node.test_one_ledger import owned_node, second_order
from tests.generator.node.test_report import dry_run
from tests.generator.node.trained import train
from tests.generator.node.world import World, new_world
from tests.provenance.verify.publication import NODES, NONE, Builder


@dataclass
class Published:
    """A node whose table's ledger an owner keeps in its folder, after an order that is recorded; before: a copy of the
    folder of before the order."""

    world: World
    content: ShardContent
    before: Path

    @property
    def owner(self) -> Owner:
        return Owner(self.world.folder / "node0" / "owner")

    def put_back(self) -> Node:
        """Node's and owner's folder as they were before the order."""
        shutil.rmtree(self.world.folder / "node0")
        shutil.copytree(self.before, self.world.folder / "node0")
        return self.world.node(0)

    def record(self, content: ShardContent) -> None:
        """One data set more, with a shard of the node's."""
        signer = self.world.signer(0)
        shard = ShardOnChain(0, signer.address, NONE, NONE, 300, 0, 0, content.digest, b"")
        record = SimpleNamespace(
            shards=(shard,), manifest_digest=sha256(b"manifest"), order=sha256(b"order"), revoked=frozenset()
        )
        self.world.chain.recorded[sha256(content.encode())] = record


@pytest.fixture(scope="module")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Training costs a second; every test gets a copy. Not to be changed."""
    world, before = (
        new_world(tmp_path_factory.mktemp("published")),
        tmp_path_factory.mktemp("before") / "node0",
    )
    owned_node(world, Owner(world.folder / "node0" / "owner")).state.ledger.note("evaluation, exact figures")
    shutil.copytree(world.folder / "node0", before)
    trained = train(world)
    sample_shard(trained.nodes[0], trained.sample_task(0))
    signed = trained.nodes[0].orders.folder(trained.order).receipt()
    assert signed is not None
    made = Published(world, signed.content, before)
    made.record(signed.content)
    return made


@pytest.fixture
def published(published_once: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setattr("generator.node.recorded_heads._HEADS", {})  # as in a new process
    return replace(published_once, world=published_once.world.copy_to(tmp_path / "copy"))


def head_of(content: ShardContent) -> LedgerHead:
    assert content.ledger is not None
    return content.ledger


def test_a_shard_is_signed_with_the_ledger_s_head_and_what_its_table_has_spent(published: Published) -> None:
    node, head = published.world.node(0), head_of(published.content)
    ledger = node.state.ledger
    assert head.table == ledger.trail().name
    assert ledger.trail().goes_on_from(head)
    assert head.epsilon_micro == pytest.approx(ledger.charged_epsilon() * 10**6, abs=1)
    (charge,) = ledger.charged()
    assert "score" in [each.name for each in charge.releases], "the score is charged before it is made"
    assert ShardContent.parse(published.content.document()) == published.content
    fingerprint = node.state.owned.fingerprint if node.state.owned else ""
    assert len(fingerprint) == 64
    assert fingerprint.encode() not in published.content.encode()


def test_the_newest_ledger_goes_on(published: Published) -> None:
    node = published.world.node(0)
    node.state.ledger.note("evaluation, exact figures")
    require_newest_ledger(node)
    shutil.rmtree(node.folder / "orders")
    published.world.market.upload(published.content.encode())
    require_newest_ledger(node)


def test_folders_put_back_together_are_refused(published: Published) -> None:
    node = published.put_back()
    published.world.market.upload(published.content.encode())
    assert node.state.ledger.charged_epsilon() == 0.0, "nothing on the machine tells"
    with pytest.raises(LedgerRestored) as refusal:
        accept_order(node, second_order(published.world))
    assert "bring back the newest of the owner's folder" in str(refusal.value)
    assert not re.search(r"[0-9]", refusal.value.reason), "the market is told no figure"


def test_a_dry_run_says_so(published: Published) -> None:
    node, terms = published.put_back(), published.world.terms(rows=400)
    published.world.open(terms)
    assert "answer no order yet: where the privacy ledger stood" in dry_run(published.world, node, terms)
    published.world.market.upload(published.content.encode())
    text = dry_run(published.world, node, terms)
    assert "would refuse every order (ledger-restored): with data set 1 this node signed line" in text
    assert str(published.world.order(terms)) not in text


def test_an_order_s_first_task_looks_too(published: Published) -> None:
    """The folders are put back after the second order was accepted, to a moment after that and before the first."""
    node = published.put_back()
    recorded = dict(published.world.chain.recorded)
    published.world.chain.recorded.clear()
    published.world.accept(node)
    published.world.match()
    published.world.chain.recorded.update(recorded)
    published.world.market.upload(published.content.encode())
    with pytest.raises(LedgerRestored):
        train_step(node, published.world.training_task(node))
    assert not node.state.ledger.entries(), "nothing was released"


def test_two_copies_that_were_both_used_are_refused_both(published: Published) -> None:
    first = published.content
    fork = published.put_back()
    fork.state.ledger.note("the other copy")
    second = replace(first, ledger=fork.state.ledger.published_head())
    published.record(second)
    for content in (first, second):
        published.world.market.upload(content.encode())
    assert head_of(second).table == head_of(first).table
    with pytest.raises(LedgerRestored):
        accept_order(fork, second_order(published.world))


def test_a_ledger_that_was_begun_anew_is_refused(published: Published) -> None:
    shutil.rmtree(published.world.folder / "node0")
    published.world.market.upload(published.content.encode())
    node = owned_node(published.world, published.owner)
    with pytest.raises(LedgerRestored, match="no ledger of that name"):
        accept_order(node, second_order(published.world))


def test_a_node_waits_for_a_document_that_is_not_to_be_had(published: Published) -> None:
    content = replace(published.content, statement={"not": "seen before"})
    published.record(content)
    with pytest.raises(NotYet, match="not to be had at the market"):
        accept_order(published.world.node(0), second_order(published.world))
    published.world.market.content[cid_of(content.encode())] = b"something else"
    with pytest.raises(NotYet):
        accept_order(published.world.node(0), second_order(published.world))
    published.world.market.upload(content.encode())
    require_newest_ledger(published.world.node(0))


def test_documents_of_earlier_releases_say_nothing_of_a_ledger(published: Published) -> None:
    node = published.put_back()
    old = replace(published.content, ledger=None)
    published.world.chain.recorded.clear()
    published.record(old)
    published.world.market.upload(old.encode())
    assert "ledger" not in old.document()
    accept_order(node, second_order(published.world))


def test_the_head_is_found_by_the_manifest(published: Published) -> None:
    """As the market has it: the manifest under its digest on chain, the document inside."""
    head = head_of(published.content)
    there = Builder(edit_content=lambda k, content: replace(content, ledger=head)).build()
    (dataset,) = there.chain.datasets.values()
    chain = SimpleNamespace(recorded_shards=there.chain.recorded_shards, dataset=lambda _: dataset)
    node = replace(published.put_back(), signer=NODES[0], chain=cast(Any, chain), fetch=there.store.get)
    assert isinstance(dataset, DatasetOnChain)
    with pytest.raises(LedgerRestored):
        require_newest_ledger(node)
