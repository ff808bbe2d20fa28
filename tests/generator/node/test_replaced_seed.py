"""A reorganisation of the chain draws another seed: nodes sign for that one, and their ledgers stay true."""

from __future__ import annotations

import pytest

from generator.errors import TaskRefused
from generator.federation.task import Result
from generator.node.demands import DemandWatch
from generator.node.outbox_log import OutboxLog
from generator.node.sample import sample_shard
from provenance.chain.disputes import DemandKind
from provenance.crypto.merkle import shard_root
from provenance.crypto.signing import recover
from provenance.exact.sampler import Sampler
from provenance.record.receipts import ShardReceipt
from provenance.values import Digest, Signature
from tests.generator.node.test_demands import Chain
from tests.generator.node.trained import SEED, Trained

OTHER = Digest(bytes([10]) * 32)
ROWS = 300


def reorganise(trained: Trained, seed: Digest = OTHER) -> None:
    """The chain has another seed; the market asks again for what hangs on it."""
    trained.world.chain.seeds[trained.order] = seed
    market = trained.world.market
    for held in (market.posted, market.results):
        for key in [key for key in held if key[2] in ("sample", "evaluate")]:
            del held[key]


def ledger(trained: Trained, number: int = 0) -> list[str]:
    return [entry.release.name for entry in trained.nodes[number].state.ledger.entries()]


def root_under(trained: Trained, seed: Digest) -> Digest:
    rows = Sampler(trained.nodes[0].state.order(trained.order).model(), seed, 0).row_bytes(0, ROWS)
    return shard_root(rows, len(rows) // ROWS)


def demanded(trained: Trained) -> tuple[ShardReceipt, bytes]:
    chain, node = Chain(), trained.nodes[0]
    chain.ask(trained.order, DemandKind.RECEIPT)
    assert DemandWatch(node, chain, chain, OutboxLog(node.folder)).look() == 1
    ((receipt, signature),) = chain.answers
    return receipt, signature


def test_demanded_receipt_is_signed_for_the_seed_that_the_chain_has(trained: Trained) -> None:
    """The stored one would be refused by the chain, and the node would lose its stake for silence."""
    sample_shard(trained.nodes[0], trained.sample_task())
    spent = ledger(trained)
    reorganise(trained)
    receipt, signature = demanded(trained)
    assert (receipt.seed, receipt.shard_root) == (OTHER, root_under(trained, OTHER))
    assert receipt.shard_root != root_under(trained, SEED)
    assert recover(trained.world.chain.deployment.domain, receipt, Signature(signature)) == (
        trained.nodes[0].address
    )
    assert demanded(trained) == (receipt, signature), "one receipt under one seed"
    assert ledger(trained) == spent


def test_task_for_the_new_seed_is_answered_anew_and_no_longer_for_the_old(trained: Trained) -> None:
    node = trained.nodes[0]
    first = sample_shard(node, trained.sample_task())
    spent = ledger(trained)
    with pytest.raises(TaskRefused, match="answered for other bytes"):
        sample_shard(node, trained.sample_task(seed=str(OTHER)))
    folder = node.orders.folder(trained.order)
    folder.note_shard_sent(True)
    reorganise(trained)
    task = trained.sample_task(seed=str(OTHER))
    second = sample_shard(node, task)
    assert not folder.is_shard_sent(), "the shard under the new seed is still to be sent"
    receipts = [ShardReceipt.parse(Result.decode(each).meta["receipt"]) for each in (first, second)]
    assert [receipt.seed for receipt in receipts] == [SEED, OTHER]
    assert receipts[1].shard_root == root_under(trained, OTHER)
    assert sample_shard(trained.world.node(0), task) == second, "a restarted node sends the same"
    assert demanded(trained)[0] == receipts[1]
    with pytest.raises(TaskRefused, match="answered for other bytes"):
        sample_shard(node, trained.sample_task())
    assert ledger(trained) == spent


def test_score_of_the_new_rows_is_a_release_of_its_own(trained: Trained) -> None:
    """Nothing of the training counts twice; another score is another look at the held-out rows, and counts."""
    first = trained.score()
    once = trained.nodes[0].state.ledger.spent()
    assert ledger(trained) == ["bins", "tables", "score"]
    reorganise(trained)
    second = trained.score()
    assert first.shards[0].shard_root == root_under(trained, SEED)
    assert second.shards[0].shard_root == root_under(trained, OTHER)
    kept = trained.nodes[0].orders.folder(trained.order).evaluation()
    assert kept is not None
    assert kept[0].dataset_root == second.dataset_root, "what is shown when it is demanded"
    for number in (0, 1):
        assert ledger(trained, number) == ["bins", "tables", "score", "score/2"]
    assert trained.nodes[0].state.ledger.spent() > once
    reorganise(trained, SEED)
    trained.score()
    assert ledger(trained) == ["bins", "tables", "score", "score/2", "score/3"]
