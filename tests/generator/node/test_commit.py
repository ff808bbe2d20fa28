"""What a node binds itself to before the seed, and when it tells its salt."""

from __future__ import annotations

import stat

import pytest

from generator.errors import NotYet, TaskRefused
from generator.node.commit import commit_model, reveal_salt
from generator.node.context import Node
from provenance.api.tasks import CommitAnswer, CommitTask, RevealAnswer, RevealTask
from provenance.crypto.signing import recover
from provenance.exact.model import model_digest
from provenance.record.receipts import ModelCommitment, salt_digest
from provenance.record.terms import Participant, participants_digest
from provenance.values import Digest
from tests.generator.node.test_train import one_column_model
from tests.generator.node.world import World


@pytest.fixture
def matched(world: World) -> tuple[Node, Digest]:
    """A node, matched beside another one, with a finished model; the order."""
    terms = world.terms()
    node = world.node()
    world.accept(node, terms)
    order = world.match(terms)
    node.state.order(order).store_model(one_column_model(10))
    return node, order


def match_of(node: Node, order: Digest) -> Digest:
    return participants_digest(node.chain.participants(order))


def answer(node: Node, order: Digest) -> CommitAnswer:
    task = CommitTask(order=order, match=match_of(node, order))
    return CommitAnswer.read(commit_model(node, task.encode()), "answer")


def reveal(node: Node, order: Digest) -> Digest:
    task = RevealTask(order=order, match=match_of(node, order))
    return RevealAnswer.read(reveal_salt(node, task.encode()), "answer").salt


def put_on_chain(world: World, order: Digest, told: CommitAnswer) -> None:
    count = len(world.chain.participants(order))
    other = Digest(bytes([5]) * 32)
    world.chain.committed[order] = tuple(
        told.model_digest if k == told.shard else other for k in range(count)
    )
    world.chain.fixed.add(order)
    world.chain.salts[order] = tuple(told.salt_digest if k == told.shard else other for k in range(count))


def test_a_task_that_cannot_be_read_is_refused(world: World) -> None:
    with pytest.raises(TaskRefused, match="commit task"):
        commit_model(world.node(), b"{}")
    with pytest.raises(TaskRefused, match="reveal task"):
        reveal_salt(world.node(), b"{}")


def test_a_node_that_is_asked_before_it_has_trained_refuses_and_goes_on(world: World) -> None:
    """Before: what it raised is meant for damaged folders, and ended the node."""
    node = world.node()
    world.accept(node)
    order = world.match()
    with pytest.raises(TaskRefused, match="not trained to its end"):
        answer(node, order)


def test_nothing_is_signed_for_another_match_than_the_chain_has(matched: tuple[Node, Digest]) -> None:
    node, order = matched
    task = CommitTask(order=order, match=Digest(bytes([1]) * 32))
    with pytest.raises(NotYet, match="the chain holds match"):
        commit_model(node, task.encode())


def test_the_salt_is_not_told_before_it_is_committed_on_chain(matched: tuple[Node, Digest]) -> None:
    node, order = matched
    answer(node, order)
    with pytest.raises(NotYet, match="no models are committed"):
        reveal(node, order)


def test_the_salt_is_not_told_before_the_hash_of_the_block_is_kept_on_chain(
    world: World, matched: tuple[Node, Digest]
) -> None:
    node, order = matched
    put_on_chain(world, order, answer(node, order))
    world.chain.fixed.clear()
    with pytest.raises(NotYet, match="the hash of block 7, which decides the seed, is not kept on chain yet"):
        reveal(node, order)


def test_a_salt_that_the_chain_does_not_hold_is_not_told(world: World, matched: tuple[Node, Digest]) -> None:
    node, order = matched
    told = answer(node, order)
    put_on_chain(world, order, told.model_copy(update={"salt_digest": Digest(bytes([6]) * 32)}))
    with pytest.raises(TaskRefused, match="the chain holds another salt"):
        reveal(node, order)


def test_a_commitment_binds_order_shard_model_and_salt(world: World, matched: tuple[Node, Digest]) -> None:
    node, order = matched
    told = answer(node, order)
    assert told == answer(node, order)
    message = ModelCommitment(order, told.shard, told.model_digest, told.salt_digest)
    assert recover(node.domain, message, told.signature) == node.address
    assert told.model_digest == model_digest(node.state.order(order).model())
    put_on_chain(world, order, told)
    assert salt_digest(order, told.shard, reveal(node, order)) == told.salt_digest


def test_the_salt_lies_in_a_file_that_nobody_else_reads(matched: tuple[Node, Digest]) -> None:
    node, order = matched
    answer(node, order)
    (path,) = (node.folder / "orders" / order.hex() / "salts").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_is_matched_anew_has_a_fresh_salt(world: World, matched: tuple[Node, Digest]) -> None:
    node, order = matched
    first = answer(node, order)
    alone = (Participant(node.address, 500),)
    world.chain.matched[order] = alone
    second = answer(node, order)
    assert second.salt_digest != first.salt_digest
    assert second.model_digest == first.model_digest
