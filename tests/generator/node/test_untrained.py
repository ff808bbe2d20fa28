"""A commitment is demanded of a node that its broker never trained with: an honest untrained model, late enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from generator.errors import StateError, TaskRefused
from generator.families.steps import statement_of
from generator.federation.task import Result, Task
from generator.node.commit import reveal_salt, signed_commitment
from generator.node.demands import DemandWatch, closing_seconds
from generator.node.outbox_log import OutboxLog
from generator.node.sample import sample_shard
from generator.node.train import train_step
from generator.node.untrained import training, untrained_model
from generator.privacy.accountant import GaussianEvent
from generator.privacy.release import Release, composed_epsilon
from generator.privacy.statement import epsilon_micro
from provenance.api.tasks import RevealAnswer, RevealTask
from provenance.chain.disputes import DemandKind
from provenance.crypto.merkle import shard_root
from provenance.errors import UnavailableError
from provenance.exact.model import decode_model, model_digest, model_size
from provenance.exact.sampler import Sampler
from provenance.record.receipts import ModelCommitment, ShardContent, ShardReceipt, salt_digest
from provenance.record.terms import participants_digest
from provenance.units import E12, to_float
from provenance.values import Digest, sha256
from tests.generator.node.test_demands import Chain
from tests.generator.node.trained import SEED
from tests.generator.node.world import World


@pytest.fixture
def matched(world: World) -> World:
    for number in range(2):
        world.accept(world.node(number))
    world.match()
    return world


def demanded(world: World, chain: Chain, *, left: int, warned: bool = True) -> DemandWatch:
    """The commitment is demanded of node 0, with so many seconds left of the time that runs."""
    order, node = world.order(), world.node(0)
    chain.ask(order, DemandKind.COMMITMENT, answer_by=world.chain.time_seconds + left)
    if warned:
        chain.warned.add((order, 0))
    return DemandWatch(node, chain, chain, OutboxLog(node.folder))


@pytest.mark.parametrize(
    ("answer_seconds", "closing"), [(100, 50), (120, 60), (960, 60), (3_600, 225), (6 * 3_600, 1_350)]
)
def test_a_node_leaves_itself_a_sixteenth_of_the_time_at_least_a_minute_at_most_half(
    answer_seconds: int, closing: int
) -> None:
    assert closing_seconds(answer_seconds) == closing


def test_nothing_untrained_is_shown_before_the_second_time_closes(world: World) -> None:
    """A step may wait in the market's queue while the node is busy or away: the stand-in is for who gets none."""
    terms, chain = world.terms(answer_seconds=3_600), Chain()
    for number in range(2):
        world.accept(world.node(number), terms)
    order, node = world.match(terms), world.node(0)
    watch = DemandWatch(node, chain, chain, OutboxLog(node.folder))

    def look(left: int) -> int:
        chain.ask(order, DemandKind.COMMITMENT, answer_by=world.chain.time_seconds + left)
        return watch.look()

    assert look(1) == 0, "the first time"
    chain.warned.add((order, 0))
    assert look(226) == 0
    assert look(225) == 1
    ((message, _signature),) = chain.answers
    assert message.model_digest == model_digest(untrained_model(world.collection.schema))


def test_while_a_training_step_is_under_way_no_model_takes_its_place(matched: World) -> None:
    order, chain, node = matched.order(), Chain(), matched.node(0)
    with training(node, order):
        assert demanded(matched, chain, left=1).look() == 0
    assert demanded(matched, chain, left=1).look() == 1


@pytest.mark.parametrize(
    "error", [OSError("the disk is full"), UnavailableError("no answer"), StateError("in use")]
)
def test_a_step_that_is_tried_again_counts_as_under_way(matched: World, error: Exception) -> None:
    order, chain, node = matched.order(), Chain(), matched.node(0)
    with pytest.raises(type(error)), training(node, order):
        raise error
    assert demanded(matched, chain, left=1).look() == 0
    with pytest.raises(TaskRefused), training(node, order):
        raise TaskRefused("no", "no")
    assert demanded(matched, chain, left=1).look() == 1


def test_a_task_that_breaks_the_node_leaves_no_step_under_way(matched: World) -> None:
    """A broker that never trains, and sends arrays on which the training breaks, gets a model all the same."""
    node, good = matched.node(0), Task.decode(matched.training_task(matched.node(0)))
    arrays = {
        "code_counts": np.zeros((2, 2), np.int64),
        "low": np.zeros(2, np.int64),
        "width": np.zeros(2, np.int64),
    }
    with pytest.raises(Exception, match=r"index|shape|dimension") as broke:
        train_step(node, Task(good.order, "tables", good.node, good.meta, arrays).encode())
    assert not isinstance(broke.value, TaskRefused)
    assert not node.orders.folder(good.order).is_training()
    assert demanded(matched, Chain(), left=1).look() == 1


def test_untrained_model_is_sound_spends_nothing_and_serves_every_later_step(
    matched: World, caplog: pytest.LogCaptureFixture
) -> None:
    order, chain, node = matched.order(), Chain(), matched.node(0)
    assert demanded(matched, chain, left=1).look() == 1
    assert "UNTRAINED" in caplog.text
    ((message, signature),) = chain.answers
    participants = matched.chain.matched[order]
    assert signature == signed_commitment(node, order, participants).signature

    model = node.orders.folder(order).untrained()
    assert model is not None
    decoded = decode_model(model)
    assert decoded.schema_digest == matched.terms().schema_digest
    assert model_size(decoded, len(model)).beyond() == ""
    assert node.state.ledger.entries() == (), "no table was looked at"

    salt = node.orders.folder(order).salt(participants_digest(participants))
    assert message == ModelCommitment(order, 0, sha256(model), salt_digest(order, 0, salt))
    other = sha256(b"other")
    matched.chain.committed[order] = (message.model_digest, other)
    matched.chain.salts[order] = (message.salt_digest, other)
    matched.chain.fixed.add(order)
    asked = RevealTask(order=order, match=participants_digest(participants))
    assert RevealAnswer.read(reveal_salt(node, asked.encode()), "answer").salt == salt

    matched.chain.seeds[order] = SEED
    meta: dict[str, Any] = {"seed": str(SEED), "draws": 1, "shard": 0, "rows": 300}
    sent = Result.decode(sample_shard(node, Task(order, "sample", node.address, meta).encode()))
    receipt, rows = ShardReceipt.parse(sent.meta["receipt"]), Sampler(model, SEED, 0).row_bytes(0, 300)
    assert receipt.shard_root == shard_root(rows, decoded.codebook.row_width)
    assert receipt.epsilon_micro == 1, "the least that the terms take"
    with pytest.raises(TaskRefused) as refused:
        train_step(node, matched.training_task(node))
    assert refused.value.code == "committed"


def test_untrained_codes_are_uniform_and_conditioned_columns_come_first(matched: World) -> None:
    schema = matched.collection.schema
    assert decode_model(untrained_model(schema, [2])).order == (2, 0, 1)  # type: ignore[union-attr]
    values = Sampler(untrained_model(schema), Digest(bytes(32)), 0).values(0, 4000)
    assert abs(np.mean(values[:, 2]) - 0.5) < 0.04


def committed_untrained(world: World) -> bytes:
    """Node 0 has shown its untrained model on chain, and the seed is drawn."""
    chain, order = Chain(), world.order()
    assert demanded(world, chain, left=1).look() == 1
    ((message, _signature),) = chain.answers
    world.chain.committed[order] = (message.model_digest, sha256(b"other"))
    world.chain.seeds[order] = SEED
    meta: dict[str, Any] = {"seed": str(SEED), "draws": 1, "shard": 0, "rows": 300}
    return Task(order, "sample", world.node(0).address, meta).encode()


def test_receipt_of_an_untrained_model_claims_what_was_released_before_the_broker_stopped(
    matched: World,
) -> None:
    node, order = matched.node(0), matched.order()
    begun = Result.decode(train_step(node, matched.training_task(node)))
    released = node.state.ledger.training_releases(order)
    assert [each.name for each in released] == ["bins"]
    sent = Result.decode(sample_shard(node, committed_untrained(matched)))
    receipt, content = ShardReceipt.parse(sent.meta["receipt"]), ShardContent.parse(sent.meta["content"])
    delta = to_float(matched.terms().delta_e12, E12)
    assert (
        receipt.epsilon_micro
        == epsilon_micro(composed_epsilon(released, delta))
        == begun.meta["epsilonMicro"]
    )
    assert 1 < receipt.epsilon_micro < matched.terms().epsilon_micro
    assert receipt.delta_e12 == matched.terms().delta_e12
    assert content.statement["format"] == "tessera-untrained/1"
    assert content.statement["mechanisms"] == statement_of(released, delta, None)["mechanisms"]


def test_no_receipt_is_signed_for_more_epsilon_than_the_terms_allow(matched: World) -> None:
    node, order = matched.node(0), matched.order()
    node.state.ledger.record(Release("bins", GaussianEvent(0.9)), order=order, delta=1e-5)
    assert composed_epsilon(node.state.ledger.training_releases(order), 1e-5) > 3
    with pytest.raises(TaskRefused) as refused:
        sample_shard(node, committed_untrained(matched))
    assert refused.value.code == "privacy-exceeded"
    assert not any(character.isdigit() for character in refused.value.reason), (
        "the ledger's figures stay here"
    )
