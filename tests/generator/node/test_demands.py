"""Demands on chain about a node's shard: what it shows, what it keeps to itself, and that it answers once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn
from unittest.mock import patch

import pytest

from generator.federation.task import Result
from generator.node.commit import commit_model
from generator.node.demands import DemandWatch, watching
from generator.node.outbox_log import OutboxLog
from generator.node.sample import sample_shard
from provenance.api.tasks import CommitAnswer, CommitTask
from provenance.chain import answers, model_parts
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import ChainUnavailableError, RevertError
from provenance.chain.ports import OrderState, ShardsOnChain, TxReceipt
from provenance.crypto.merkle import rows_per_chunk, shard_root, verify_inclusion
from provenance.crypto.signing import recover
from provenance.exact.sampler import Sampler
from provenance.record.receipts import Evaluation, ModelCommitment, ShardReceipt, salt_digest
from provenance.record.terms import participants_digest
from provenance.values import Address, Digest, Signature, sha256
from tests.generator.node.trained import SEED, Trained
from tests.waiting import HANG_SECONDS, until

DEMANDER = Address(bytes([9]) * 20)
ROWS = 300


@dataclass
class Chain:
    """The demands contract as the node sees it, in memory."""

    open: dict[tuple[Digest, int], DemandOnChain] = field(default_factory=dict)
    answers: list[tuple[Any, ...]] = field(default_factory=list)
    stored: dict[Address, bytes] = field(default_factory=dict)
    warned: set[tuple[Digest, int]] = field(default_factory=set)
    down: bool = False
    refuse: bool = False

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        if self.down:
            raise ChainUnavailableError("no answer")
        none = DemandOnChain(order, shard, DemandKind.NONE, DEMANDER, 0, 0, 0)
        return self.open.get((order, shard), none)

    def is_warned(self, order: Digest, shard: int) -> bool:
        return (order, shard) in self.warned

    def ask(
        self, order: Digest, kind: DemandKind, row: int = 0, shard: int = 0, answer_by: int = 2_000
    ) -> None:
        self.open[order, shard] = DemandOnChain(order, shard, kind, DEMANDER, answer_by, 5, row)

    def answer_commitment(self, commitment: ModelCommitment, signature: bytes) -> TxReceipt:
        return self._answered(commitment.order, commitment.shard, commitment, signature)

    def answer_salt(self, order: Digest, shard: int, salt: Digest) -> TxReceipt:
        return self._answered(order, shard, salt)

    def answer_evaluation(self, shard: int, evaluation: Evaluation, signature: bytes) -> TxReceipt:
        return self._answered(evaluation.order, shard, evaluation, signature)

    def answer_receipt(self, receipt: ShardReceipt, signature: bytes) -> TxReceipt:
        return self._answered(receipt.order, receipt.shard, receipt, signature)

    def answer_model(self, order: Digest, shard: int, model: bytes) -> TxReceipt:
        return self._answered(order, shard, model)

    def answer_model_from_parts(self, order: Digest, shard: int, parts: Any) -> TxReceipt:
        return self._answered(order, shard, b"".join(self.stored[part] for part in parts))

    def model_part(self, part: bytes) -> Address:
        return Address(sha256(part)[:20])

    def is_contract(self, account: Address) -> bool:
        return account in self.stored

    def store_model_part(self, part: bytes) -> TxReceipt:
        self.stored[self.model_part(part)] = part
        return TxReceipt(sha256(part), 1, 1)

    def answer_chunk(
        self, order: Digest, shard: int, row_width: int, chunk_index: int, chunk: bytes, proof: Any
    ) -> TxReceipt:
        return self._answered(order, shard, row_width, chunk_index, chunk, proof)

    def _answered(self, order: Digest, shard: int, *what: Any) -> TxReceipt:
        if self.refuse:
            raise RevertError("refused", name="Demands_Refused")
        del self.open[order, shard]
        self.answers.append(what)
        return TxReceipt(sha256(b"answer"), 1, 1)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def watch(trained: Trained, chain: Chain, number: int = 0) -> DemandWatch:
    node = trained.nodes[number]
    return DemandWatch(node, chain, chain, OutboxLog(node.folder))


def model_of(trained: Trained, number: int = 0) -> bytes:
    model: bytes = trained.nodes[number].state.order(trained.order).model()
    return model


def test_nothing_is_shown_while_nothing_is_demanded(trained: Trained, chain: Chain) -> None:
    assert watch(trained, chain).look() == 0
    chain.ask(trained.order, DemandKind.MODEL, shard=1)
    assert watch(trained, chain).look() == 0, "another's shard"
    assert chain.answers == []
    assert OutboxLog(trained.nodes[0].folder).entries() == []


def test_shows_the_model_and_puts_it_on_record_first(trained: Trained, chain: Chain) -> None:
    chain.ask(trained.order, DemandKind.MODEL)
    assert watch(trained, chain).look() == 1
    assert chain.answers == [(model_of(trained),)]
    (entry,) = OutboxLog(trained.nodes[0].folder).entries()
    assert (entry.kind, entry.to, entry.order) == ("model demanded", "chain", str(trained.order))
    assert entry.sha256 == str(sha256(model_of(trained)))
    assert watch(trained, chain).look() == 0, "a restarted node answers nothing twice"


def test_a_model_too_large_for_a_transaction_is_shown_in_parts(
    trained: Trained, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "CALLDATA_BYTES", 100)
    monkeypatch.setattr(model_parts, "PART_BYTES", 1000)
    chain.ask(trained.order, DemandKind.MODEL)
    assert watch(trained, chain).look() == 1
    assert chain.answers == [(model_of(trained),)]
    assert len(chain.stored) > 1


@pytest.mark.parametrize("row", [0, ROWS - 1])
def test_shows_the_chunk_that_holds_a_row(trained: Trained, chain: Chain, row: int) -> None:
    chain.ask(trained.order, DemandKind.CHUNK, row)
    assert watch(trained, chain).look() == 1
    ((width, index, chunk, proof),) = chain.answers
    rows = Sampler(model_of(trained), SEED, 0).row_bytes(0, ROWS)
    assert index == row // rows_per_chunk(width)
    assert verify_inclusion(shard_root(rows, width), ROWS, width, index, chunk, proof.siblings)


def test_shows_a_receipt_that_is_the_one_the_task_gets_later(trained: Trained, chain: Chain) -> None:
    """The market does not answer, the chain asks; when the market is back it gets the same receipt and its files."""
    down = replace(trained.nodes[0], upload=_refusing)
    chain.ask(trained.order, DemandKind.RECEIPT)
    assert DemandWatch(down, chain, chain, OutboxLog(down.folder)).look() == 1
    ((receipt, signature),) = chain.answers
    domain = trained.world.chain.deployment.domain
    assert recover(domain, receipt, Signature(signature)) == down.address
    rows = Sampler(model_of(trained), SEED, 0).row_bytes(0, ROWS)
    assert receipt.shard_root == shard_root(rows, len(rows) // ROWS)
    before = set(trained.world.market.content)
    result = Result.decode(sample_shard(trained.nodes[0], trained.sample_task()))
    assert ShardReceipt.parse(result.meta["receipt"]) == receipt
    assert str(result.meta["signature"]) == str(Signature(signature))
    assert len(set(trained.world.market.content) - before) == 2, "rows and model"


def _refusing(_data: bytes) -> NoReturn:
    raise AssertionError("nothing is uploaded for a demand")


def test_a_receipt_given_to_the_market_is_the_one_shown(trained: Trained, chain: Chain) -> None:
    result = Result.decode(sample_shard(trained.nodes[0], trained.sample_task()))
    chain.ask(trained.order, DemandKind.RECEIPT)
    watch(trained, chain).look()
    ((receipt, _signature),) = chain.answers
    assert ShardReceipt.parse(result.meta["receipt"]) == receipt


def test_refuses_to_show_a_model_that_the_chain_does_not_hold(trained: Trained, chain: Chain) -> None:
    committed = trained.world.chain.committed
    committed[trained.order] = (sha256(b"other"), committed[trained.order][1])
    chain.ask(trained.order, DemandKind.MODEL)
    assert watch(trained, chain).look() == 0
    assert chain.answers == []


def test_nothing_is_shown_after_the_second_time(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.ask(trained.order, DemandKind.MODEL, answer_by=trained.world.chain.time_seconds - 1)
    chain.warned.add((trained.order, 0))
    looking = watch(trained, chain)
    assert looking.look() == looking.look() == 0
    assert chain.answers == []
    assert sum("both times to answer have passed" in record.getMessage() for record in caplog.records) == 1


def test_nothing_of_a_shard_that_is_out_is_shown(trained: Trained, chain: Chain) -> None:
    chain.ask(trained.order, DemandKind.MODEL)
    trained.world.chain.out[trained.order] = ShardsOnChain(out=frozenset({0}))
    assert watch(trained, chain).look() == 0
    trained.world.chain.out[trained.order] = ShardsOnChain(out=frozenset({1}))
    assert watch(trained, chain).look() == 1


def test_salt_is_not_shown_before_the_hash_of_the_block_is_kept(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    salt = salt_on_chain(trained)
    trained.world.chain.fixed.clear()
    chain.ask(trained.order, DemandKind.SALT)
    looking = watch(trained, chain)
    assert looking.look() == 0
    assert "not kept on chain yet" in caplog.text
    trained.world.chain.fixed.add(trained.order)
    assert looking.look() == 1
    assert chain.answers == [(salt,)]


def test_another_salt_than_the_committed_one_is_not_shown(trained: Trained, chain: Chain) -> None:
    salt_on_chain(trained)
    trained.world.chain.salts[trained.order] = (sha256(b"other"), sha256(b"another"))
    chain.ask(trained.order, DemandKind.SALT)
    assert watch(trained, chain).look() == 0
    assert chain.answers == []


def salt_on_chain(trained: Trained) -> Digest:
    """The salt of the first node, committed to."""
    order, chain = trained.order, trained.world.chain
    match = participants_digest(chain.matched[order])
    salt = trained.nodes[0].orders.folder(order).salt(match)
    chain.salts[order] = (salt_digest(order, 0, salt), sha256(b"another's"))
    chain.fixed.add(order)
    return salt


def test_without_a_model_no_commitment_is_signed(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    node = trained.nodes[0]
    (node.state.order(trained.order).folder / "model.tsm").unlink()
    chain.ask(trained.order, DemandKind.COMMITMENT)
    assert watch(trained, chain).look() == 0
    assert "could not be answered" in caplog.text


def test_commitment_is_shown_as_the_market_would_get_it(trained: Trained, chain: Chain) -> None:
    node, order = trained.nodes[0], trained.order
    asked = CommitTask(order=order, match=participants_digest(trained.world.chain.matched[order]))
    told = CommitAnswer.read(commit_model(node, asked.encode()), "answer")
    del trained.world.chain.committed[order], trained.world.chain.seeds[order]
    chain.ask(order, DemandKind.COMMITMENT)
    assert watch(trained, chain).look() == 1
    ((message, signature),) = chain.answers
    assert message == ModelCommitment(order, 0, told.model_digest, told.salt_digest)
    assert signature == told.signature
    assert recover(trained.world.chain.deployment.domain, message, signature) == node.address


def test_market_has_half_of_the_time_to_ask_for_an_evaluation_then_none_is_vouched_for(
    trained: Trained, chain: Chain
) -> None:
    """Who was never asked is not fined for it, and signs nothing about rows that it has not seen."""
    seconds, order = trained.world.terms().answer_seconds, trained.order
    trained.nodes[0].orders.folder(order).note_shard_sent(True)
    chain.ask(order, DemandKind.EVALUATION, answer_by=trained.world.chain.time_seconds + seconds)
    looking = watch(trained, chain)
    assert looking.look() == 0
    trained.world.chain.time_seconds += seconds // 2
    assert looking.look() == 1
    ((message, signature),) = chain.answers
    none = Digest(bytes(32))
    assert message == Evaluation(order, none, 0, none, none)
    assert recover(trained.world.chain.deployment.domain, message, signature) == looking.node.address


def test_while_its_own_shard_is_under_way_a_node_says_nothing_until_the_second_time_closes(
    trained: Trained, chain: Chain
) -> None:
    """With its answer the demand ends, and a shard whose files are still being uploaded would count as undelivered."""
    order, looking = trained.order, watch(trained, chain)
    by = trained.world.chain.time_seconds + trained.world.terms().answer_seconds
    chain.ask(order, DemandKind.EVALUATION, answer_by=by)
    trained.world.chain.time_seconds = by - 1
    sample_shard(trained.nodes[0], trained.sample_task())
    assert looking.look() == 0, "made, and not sent"
    chain.warned.add((order, 0))
    trained.world.chain.time_seconds = by - 51
    assert looking.look() == 0
    trained.world.chain.time_seconds = by - 50
    assert looking.look() == 1
    ((message, _signature),) = chain.answers
    assert message.dataset_root == Digest(bytes(32))


def test_node_that_comes_back_in_the_second_time_answers_at_once(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    trained.nodes[0].orders.folder(trained.order).note_shard_sent(True)
    chain.ask(trained.order, DemandKind.EVALUATION)
    chain.warned.add((trained.order, 0))
    looking = watch(trained, chain)
    assert looking.look() == 1
    loud = [record for record in caplog.records if record.levelname == "ERROR"]
    assert ["THE FIRST TIME HAS PASSED" in record.getMessage() for record in loud] == [True]


def test_answer_after_the_first_time_counts_while_nobody_warned(trained: Trained, chain: Chain) -> None:
    chain.ask(trained.order, DemandKind.MODEL, answer_by=trained.world.chain.time_seconds - 1)
    assert watch(trained, chain).look() == 1


def test_evaluation_given_to_the_market_is_the_one_shown(trained: Trained, chain: Chain) -> None:
    result = trained.score()
    chain.ask(trained.order, DemandKind.EVALUATION)
    assert watch(trained, chain).look() == 1
    ((message, signature),) = chain.answers
    assert (message.dataset_root, message.score_micro) == (
        result.dataset_root,
        result.evaluations[0].score_micro,
    )
    assert signature == result.evaluations[0].signature


def test_open_demand_stands_on_the_health_page_until_it_is_answered(trained: Trained, chain: Chain) -> None:
    looking = watch(trained, chain)
    chain.ask(trained.order, DemandKind.MODEL)
    chain.refuse = True
    looking.look()
    told = looking.report()
    assert told["demands"] == 1
    assert "the model is demanded, to be shown by" in str(told["demanded"])
    chain.refuse = False
    looking.look()
    assert looking.report() == {"demands": 0, "demanded": ""}


def test_a_refused_answer_is_tried_again_while_the_demand_is_open(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.ask(trained.order, DemandKind.MODEL)
    chain.refuse = True
    looking = watch(trained, chain)
    assert looking.look() == 0
    assert "could not be answered: refused" in caplog.text
    chain.refuse = False
    assert looking.look() == 1


def test_orders_that_ended_are_not_asked_about_again(trained: Trained, chain: Chain) -> None:
    looking = watch(trained, chain)
    trained.world.chain.states[trained.order] = OrderState.SETTLED
    assert looking.look() == 0
    chain.down = True
    assert looking.look() == 0


def test_the_model_never_stands_in_the_log(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    for kind in (DemandKind.MODEL, DemandKind.CHUNK, DemandKind.RECEIPT):
        chain.ask(trained.order, kind)
        assert watch(trained, chain).look() == 1
    model, key = model_of(trained), bytes([1]) * 32
    assert "model shown on chain" in caplog.text
    for secret in (model, key):
        for start in range(0, len(secret) - 15, 8):
            assert secret[start : start + 16].hex() not in caplog.text


def test_a_watching_thread_outlives_a_chain_that_is_down(
    trained: Trained, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    chain.down = True
    looks = threading.Event()
    looking = watch(trained, chain)
    look = looking.look

    def counted() -> int:
        try:
            return look()
        finally:
            looks.set()

    with patch.object(looking, "look", counted), watching(looking, threading.Event(), seconds=0.01):
        assert looks.wait(HANG_SECONDS)
        chain.ask(trained.order, DemandKind.MODEL)
        chain.down = False
        until(lambda: chain.answers, "the answer")
    assert chain.answers == [(model_of(trained),)]
    assert "no answer" in caplog.text
