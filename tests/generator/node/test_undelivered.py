"""A shard whose receipt stands on chain and whose files nobody brought: scored without, and signed by the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from generator.errors import NodeRefused, NotYet, TaskRefused
from generator.federation.task import Result, Task
from generator.node.demands import DemandWatch
from generator.node.evaluate import check_undelivered, dropped_shards, evaluate_dataset
from generator.node.outbox_log import OutboxLog
from generator.node.sample import sample_shard
from provenance.api.coordination import ScoreResult, ShardResult
from provenance.api.tasks import EvaluateTask, SampleResult
from provenance.canonical import JsonValue, decode
from provenance.chain.dispute_events import DemandedReceipt, ReceiptAnswered
from provenance.chain.disputes import DemandKind
from provenance.chain.events import LogPosition
from provenance.chain.ports import Absence, OrderState, ShardsOnChain
from provenance.crypto.merkle import NO_SHARD, dataset_root
from provenance.record.receipts import ShardContent, ShardReceipt
from provenance.store.unixfs import cid_of, cid_of_digest
from provenance.values import Address, Digest, Signature, sha256
from tests.generator.node.memory import NodeChain
from tests.generator.node.test_demands import Chain
from tests.generator.node.trained import Trained

NOWHERE = LogPosition(0, Digest(bytes(32)), Digest(bytes(32)), 0, Address(bytes(20)))


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    """Node 1 showed its receipt on chain and delivers nothing; the chain excused it from evaluating."""
    world = trained_once.world.copy_to(tmp_path / "copy")
    nodes = [world.node(0), world.node(1)]
    world.market.nodes = {nodes[0].address: nodes[0]}
    trained = Trained(world, trained_once.order, trained_once.outcome, nodes)
    demands = Chain()
    demands.ask(trained.order, DemandKind.RECEIPT, shard=1)
    assert DemandWatch(nodes[1], demands, demands, OutboxLog(nodes[1].folder)).look() == 1
    ((receipt, signature),) = demands.answers
    shown = DemandedReceipt(
        receipt.shard_root, receipt.epsilon_micro, receipt.delta_e12, receipt.content_digest
    )
    world.chain.receipts[trained.order, 1] = ReceiptAnswered(
        NOWHERE, trained.order, 1, nodes[1].address, shown, Signature(signature)
    )
    world.chain.excuses[trained.order, 1] = Absence.ANSWERED
    return trained


def by_receipt(trained: Trained) -> ShardResult:
    shown = trained.world.chain.receipts[trained.order, 1]
    return ShardResult(
        shard=1,
        contributor=trained.nodes[1].address,
        rows=200,
        model_digest=trained.world.chain.committed[trained.order][1],
        shard_root=shown.receipt.shard_root,
        epsilon_micro=shown.receipt.epsilon_micro,
        delta_e12=shown.receipt.delta_e12,
        content_digest=shown.receipt.content_digest,
        receipt_signature=shown.signature,
    )


def score(trained: Trained, told: ShardResult | None = None) -> ScoreResult:
    told = told or by_receipt(trained)
    job = replace(trained.world.job("score"), undelivered=(told,), excused=frozenset({1}))
    return trained.phase().run(job, trained.outcome, trained.world.chain.commitment(trained.order))


def test_the_others_score_and_sign_without_it_and_it_has_its_floor(trained: Trained) -> None:
    result = score(trained)
    assert result.shards[1] == by_receipt(trained)
    assert result.dataset_root == dataset_root([each.shard_root for each in result.shards])
    assert result.shares_bps == (8000, 2000), "200 of 500 rows, halved"
    assert [each.contributor for each in result.evaluations] == [trained.nodes[0].address]
    assert len(result.files()) == 3, "rows and model of one shard, and the score file"
    plain = next(
        data for data in trained.world.market.content.values() if cid_of(data) == result.score.file.cid
    )
    assert b"undelivered" not in plain, "the score file is sealed"


@pytest.mark.parametrize(
    ("unsay", "lacks"),
    [
        (lambda chain: chain.receipts.clear(), "no receipt"),
        (lambda chain: chain.excuses.clear(), "no ended demand for an evaluation"),
    ],
)
def test_what_a_node_does_not_see_on_chain_yet_it_waits_for_and_signs_then(
    trained: Trained, unsay: Callable[[NodeChain], None], lacks: str
) -> None:
    """A node may look deeper into the chain than the broker, or through another RPC endpoint."""
    told, chain = by_receipt(trained), trained.world.chain
    receipts, excuses = dict(chain.receipts), dict(chain.excuses)
    unsay(chain)
    with pytest.raises(NotYet, match=lacks):
        score(trained, told)
    chain.receipts.update(receipts)
    chain.excuses.update(excuses)
    assert [each.contributor for each in score(trained, told).evaluations] == [trained.nodes[0].address]


def test_a_shard_that_is_left_out_is_waited_for_until_the_chain_drops_it(trained: Trained) -> None:
    score(trained)
    posted, node = trained.posted("evaluate/0001"), trained.nodes[0]

    def leaving_out(shard: int, name: str) -> Task:
        told = EvaluateTask.of(posted.meta, "task").shard_roots
        roots: list[JsonValue] = [str(NO_SHARD if k == shard else root) for k, root in enumerate(told)]
        meta = {**posted.meta, "shardRoots": roots, "undelivered": []}
        return Task(posted.order, name, posted.node, meta, posted.arrays)

    task = leaving_out(1, "evaluate/0001")
    with pytest.raises(NotYet, match=r"shards \[1\] of order .* are left out"):
        evaluate_dataset(node, task.encode())
    for other in (leaving_out(0, "evaluate/0001"), leaving_out(1, "evaluate/0002")):
        with pytest.raises(TaskRefused, match="bad-task"):
            evaluate_dataset(node, other.encode())
    trained.world.chain.out[trained.order] = ShardsOnChain(out=frozenset({1}))
    assert dropped_shards(node, task, EvaluateTask.of(task.meta, "task")) == {1}


def test_a_node_signs_for_no_undelivered_shard_with_another_root_than_the_chain_holds(
    trained: Trained,
) -> None:
    told, receipts = by_receipt(trained), trained.world.chain.receipts
    shown = receipts[trained.order, 1]
    receipts[trained.order, 1] = replace(shown, receipt=replace(shown.receipt, shard_root=sha256(b"other")))
    with pytest.raises(NodeRefused, match="the receipt on chain says"):
        score(trained, told)


@pytest.mark.parametrize("undelivered", [[1, 1], [2]])
def test_undelivered_shards_are_ascending_and_of_the_order(trained: Trained, undelivered: list[int]) -> None:
    score(trained)
    task, node = trained.posted("evaluate/0001"), trained.nodes[0]
    asked = EvaluateTask.of({**task.meta, "undelivered": undelivered}, "task")
    with pytest.raises(TaskRefused) as caught:
        check_undelivered(node, trained.order, asked, 0, frozenset())
    assert caught.value.code == "bad-task"


def test_a_node_that_is_called_undelivered_itself_does_not_sign(trained: Trained) -> None:
    score(trained)
    task = trained.posted("evaluate/0001")
    mine = Task(task.order, task.name, trained.nodes[1].address, task.meta, task.arrays)
    with pytest.raises(TaskRefused) as caught:
        evaluate_dataset(trained.nodes[1], mine.encode())
    assert caught.value.code == "not-undelivered"


@pytest.mark.parametrize("state", [OrderState.MATCHED, OrderState.PUBLISHED])
def test_files_that_come_late_come_with_the_document_that_names_them(
    trained: Trained, state: OrderState
) -> None:
    trained.world.chain.states[trained.order] = state
    market, receipt = trained.world.market, trained.world.chain.receipts[trained.order, 1].receipt
    answered = Result.decode(sample_shard(trained.nodes[1], trained.sample_task(1)))
    assert ShardReceipt.parse(answered.meta["receipt"]).content_digest == receipt.content_digest
    found = ShardContent.parse(decode(market.content[cid_of_digest(receipt.content_digest)]))
    assert found == SampleResult.of(answered.meta, "result").content
    for file in (found.rows, found.model):
        assert file.matches(market.content[file.cid])


def test_a_receipt_shown_by_another_makes_the_stored_answer_bring_files_and_document(
    trained: Trained,
) -> None:
    """Before: killed between storing the answer and sending it, the node never brought the document, and its files,
    which the market had swept meanwhile, were gone."""
    world, order = trained.world, trained.order
    shown = world.chain.receipts.pop((order, 1))
    answered = sample_shard(trained.nodes[1], trained.sample_task(1))
    world.chain.receipts[order, 1] = shown
    world.chain.states[order] = OrderState.PUBLISHED
    world.market.content.clear()
    assert sample_shard(world.node(1), trained.sample_task(1)) == answered
    document = world.market.content[cid_of_digest(shown.receipt.content_digest)]
    content = ShardContent.parse(decode(document))
    assert {content.rows.cid, content.model.cid} < set(world.market.content)


@pytest.mark.parametrize(
    ("state", "is_kept"),
    [
        (OrderState.MATCHED, True),
        (OrderState.PUBLISHED, True),
        (OrderState.SETTLED, False),
        (OrderState.REFUNDED, False),
    ],
)
def test_sealed_files_stay_until_the_order_ends(trained: Trained, state: OrderState, is_kept: bool) -> None:
    node = trained.nodes[1]
    sample_shard(node, trained.sample_task(1))
    trained.world.chain.states[trained.order] = state
    DemandWatch(node, Chain(), Chain(), OutboxLog(node.folder)).look()
    assert bool(node.orders.folder(trained.order).files()) == is_kept
