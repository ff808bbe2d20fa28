"""When the wrapped key of a shard leaves its node: with the record of this very shard on chain, and never before."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from generator.errors import InvalidAnswer, KeyMissing, NotRecorded
from generator.federation.task import Result
from generator.market.score import ScorePhase
from generator.node.context import Node
from generator.node.release import release_key
from generator.node.sample import sample_shard
from provenance.api.tasks import ReleaseTask, SampleResult
from provenance.chain.ports import OrderState, ShardOnChain
from provenance.crypto.seal import WRAPPED_KEY_BYTES, file_label, key_commitment, open_file, wrap_key
from provenance.errors import SealError
from provenance.record.receipts import ShardContent
from provenance.store.unixfs import cid_of
from provenance.values import sha256
from tests.generator.node.test_whole_order import refused
from tests.generator.node.trained import Trained

LONG_HEX = re.compile(rb"0x([0-9a-f]{%d})" % (2 * WRAPPED_KEY_BYTES))


def signed(trained: Trained, number: int = 0) -> SampleResult:
    found = trained.nodes[number].orders.folder(trained.order).receipt()
    assert found is not None
    return found


def record(trained: Trained, **changes: Any) -> None:
    """The order is published with the shards that the nodes signed; changes: of shard 0."""
    shards = []
    for number, node in enumerate(trained.nodes):
        receipt = signed(trained, number).receipt
        shard = ShardOnChain(
            number, node.address, receipt.model_digest, receipt.shard_root, receipt.rows,
            receipt.epsilon_micro, receipt.delta_e12, receipt.content_digest, b"",
        )  # fmt: skip
        shards.append(shard)
    shards[0] = replace(shards[0], **changes)
    seed = signed(trained).receipt.seed
    chain = trained.world.chain
    chain.states[trained.order] = OrderState.PUBLISHED
    chain.recorded[trained.order] = SimpleNamespace(seed=seed, shards=tuple(shards), revoked=frozenset())


def task(trained: Trained, number: int = 0) -> bytes:
    cid = signed(trained, number).content.wrapped_key_cid
    assert cid is not None
    return ReleaseTask(order=trained.order, wrapped_key_cid=cid).encode()


@pytest.mark.parametrize("state", [OrderState.NONE, OrderState.OPEN, OrderState.MATCHED])
def test_no_key_is_released_before_the_record_is_on_chain(trained: Trained, state: OrderState) -> None:
    sample_shard(trained.nodes[0], trained.sample_task())
    trained.world.chain.states[trained.order] = state
    with pytest.raises(NotRecorded, match=f"is {state.name} on chain: its data set is not recorded yet"):
        release_key(trained.nodes[0], task(trained))


def test_no_key_is_released_while_the_record_is_not_to_be_seen(trained: Trained) -> None:
    sample_shard(trained.nodes[0], trained.sample_task())
    trained.world.chain.states[trained.order] = OrderState.PUBLISHED
    with pytest.raises(NotRecorded, match="events do not yet give the data set"):
        release_key(trained.nodes[0], task(trained))


@pytest.mark.parametrize("part", ["shard_root", "content_digest", "model_digest"])
def test_no_key_is_released_for_a_record_with_another_shard_than_this_node_signed(
    trained: Trained, part: str
) -> None:
    for number, node in enumerate(trained.nodes):
        sample_shard(node, trained.sample_task(number))
    record(trained, **{part: sha256(b"another")})
    with pytest.raises(NotRecorded, match="its key stays here"):
        release_key(trained.nodes[0], task(trained))
    trained.world.chain.states[trained.order] = OrderState.SETTLED
    assert refused(release_key, trained.nodes[0], task(trained)) == "other-shard", "the record is final"
    assert release_key(trained.nodes[1], task(trained, 1)), "its own shard is as it signed it"


def test_no_key_is_released_for_a_shard_that_was_left_out_of_the_record(trained: Trained) -> None:
    for number, node in enumerate(trained.nodes):
        sample_shard(node, trained.sample_task(number))
    record(trained)
    found = trained.world.chain.recorded[trained.order]
    found.shards = found.shards[1:]
    with pytest.raises(NotRecorded):
        release_key(trained.nodes[0], task(trained))
    trained.world.chain.states[trained.order] = OrderState.SETTLED
    assert refused(release_key, trained.nodes[0], task(trained)) == "other-shard"


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.REFUNDED, OrderState.REVOKED])
def test_an_order_that_ended_gets_no_key(trained: Trained, state: OrderState) -> None:
    sample_shard(trained.nodes[0], trained.sample_task())
    trained.world.chain.states[trained.order] = state
    assert refused(release_key, trained.nodes[0], task(trained)) == "order-ended"


def test_a_revoked_shard_gets_no_key(trained: Trained) -> None:
    for number, node in enumerate(trained.nodes):
        sample_shard(node, trained.sample_task(number))
    record(trained)
    trained.world.chain.recorded[trained.order].revoked = frozenset({0})
    assert refused(release_key, trained.nodes[0], task(trained)) == "revoked"
    assert release_key(trained.nodes[1], task(trained, 1))


@pytest.mark.parametrize("state", [OrderState.PUBLISHED, OrderState.SETTLED])
def test_the_key_that_was_committed_to_is_released_with_the_record_and_again_after_a_restart(
    trained: Trained, state: OrderState
) -> None:
    for number, node in enumerate(trained.nodes):
        sample_shard(node, trained.sample_task(number))
    record(trained)
    trained.world.chain.states[trained.order] = state
    content = signed(trained).content
    wrapped = release_key(trained.nodes[0], task(trained))
    assert len(wrapped) == WRAPPED_KEY_BYTES
    assert cid_of(wrapped) == content.wrapped_key_cid
    key = trained.world.delivery.unwrap(wrapped, trained.order, 0)
    assert key_commitment(key, trained.order, 0) == content.key_commitment
    assert release_key(trained.world.node(0), task(trained)) == wrapped, "killed before it was sent"


def test_the_wrapped_key_is_on_disk_for_its_owner_alone_before_the_receipt_is_signed(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two, the node signs for the same key afterwards."""
    node = trained.nodes[0]

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("generator.node.orders.OrderFolder.store_receipt", killed)
        with pytest.raises(KeyboardInterrupt):
            sample_shard(node, trained.sample_task())
    path = node.folder / "orders" / trained.order.hex() / "wrapped" / "0"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sample_shard(trained.world.node(0), trained.sample_task())
    wrapped = node.orders.folder(trained.order).key_to_release(0)
    assert wrapped is not None
    assert cid_of(wrapped) == signed(trained).content.wrapped_key_cid


def test_a_key_that_this_node_never_signed_for_is_refused(trained: Trained) -> None:
    node = trained.nodes[0]
    assert refused(release_key, node, b"{}") == "bad-task"
    other = ReleaseTask(order=trained.order, wrapped_key_cid=cid_of(b"another")).encode()
    assert refused(release_key, node, other) == "nothing-sealed", "nothing is sampled yet"
    for number, each in enumerate(trained.nodes):
        sample_shard(each, trained.sample_task(number))
    record(trained)
    assert refused(release_key, node, other) == "other-key"


@pytest.mark.parametrize("damage", [None, b"another key"], ids=["lost", "changed"])
def test_a_lost_key_is_waited_for_said_once_and_released_when_it_is_restored(
    trained: Trained, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    """A refusal would be for good, and the buyer would never have what the operator restores."""
    node = trained.nodes[0]
    for number, each in enumerate(trained.nodes):
        sample_shard(each, trained.sample_task(number))
    record(trained)
    path = node.folder / "orders" / trained.order.hex() / "wrapped" / "0"
    kept = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage)
    for _ in range(2):
        with pytest.raises(KeyMissing, match="restore the folder `wrapped` of the order from a copy"):
            release_key(node, task(trained))
    assert [each.levelname for each in caplog.records if "`wrapped`" in each.getMessage()] == ["ERROR"]
    path.write_bytes(kept)
    assert cid_of(release_key(node, task(trained))) == signed(trained).content.wrapped_key_cid


def test_a3_broker_and_buyer_in_league_hold_nothing_that_opens_before_the_record(trained: Trained) -> None:
    """Before: the content documents held the wrapped keys; the buyer's key opened 500 of 500 rows, and the order was
    left to lapse. Now all that left the nodes opens none, and the keys come with the record."""
    scored = trained.score()
    market, buyer = trained.world.market, trained.world.delivery
    left = b"\n".join((*market.content.values(), *market.results.values(), scored.encode()))
    candidates = {bytes.fromhex(text.decode()) for text in LONG_HEX.findall(left)}
    assert candidates, "the key of the score file, which opens no row"
    candidates |= {data for data in market.content.values() if len(data) == WRAPPED_KEY_BYTES}
    for number, node in enumerate(trained.nodes):
        folder = node.orders.folder(trained.order)
        key, wrapped = folder.content_key(), folder.key_to_release(number)
        assert wrapped is not None
        for secret in (key, wrapped):
            assert secret not in left
            assert secret.hex().encode() not in left
        for candidate in candidates:
            with pytest.raises(SealError):
                buyer.unwrap(candidate, trained.order, number)
        with pytest.raises(NotRecorded):
            release_key(node, task(trained, number))
        assert not opens(trained, node, number, bytes(32)), "no key, no rows"
    record(trained)
    for number, node in enumerate(trained.nodes):
        released = release_key(node, task(trained, number))
        assert opens(trained, node, number, buyer.unwrap(released, trained.order, number))


def opens(trained: Trained, node: Node, number: int, key: bytes) -> bool:
    rows = signed(trained, number).content.rows
    sealed = trained.world.market.fetch(rows.cid)
    try:
        open_file(key, sealed, file_label(trained.order, number, "rows"), rows.plain_sha256)
    except SealError:
        return False
    return True


def with_wrapped_key(trained: Trained, content: ShardContent) -> ShardContent:
    wrapped = wrap_key(bytes(32), trained.world.delivery.public, trained.order, 0)
    return replace(content, wrapped_key=wrapped, wrapped_key_cid=None)


def with_another_size(_trained: Trained, content: ShardContent) -> ShardContent:
    return replace(content, model=replace(content.model, plain_size=content.model.plain_size - 1))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (with_wrapped_key, "wrappedKey: expected no wrapped key before the data set is recorded"),
        (with_another_size, "model.size: found"),
    ],
)
def test_a_content_document_that_the_broker_would_refuse_is_refused_by_the_coordinator(
    trained: Trained, edit: Callable[[Trained, ShardContent], ShardContent], why: str
) -> None:
    """A node of an earlier release would give its rows away: nothing of its answer goes on."""
    node = trained.nodes[0]
    honest = Result.decode(sample_shard(node, trained.sample_task()))
    told = SampleResult.of(honest.meta, "sample")
    content = edit(trained, told.content)
    receipt = replace(told.receipt, content_digest=content.digest)
    leaking = SampleResult(
        receipt=receipt, signature=node.signer.sign_typed(node.domain, receipt), content=content
    )
    answer = replace(honest, meta=leaking.to_document()).encode()
    trained.world.market.results[trained.order, node.address, "sample"] = answer
    trained.world.market.posted[trained.order, node.address, "sample"] = ("sample", trained.sample_task())
    phase: ScorePhase = trained.phase()
    with pytest.raises(InvalidAnswer, match=why):
        phase.run(trained.world.job("score"), trained.outcome, trained.world.chain.commitment(trained.order))
