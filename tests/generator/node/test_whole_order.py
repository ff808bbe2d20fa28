"""Two nodes and the coordinator through a whole order in one process: what each side refuses, and what comes out.

The chain and the queue are in memory; tables, nets, noise, sealing and signatures are real.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from generator.errors import InvalidAnswer, JobRefused, NodeRefused, NotYet, TaskRefused
from generator.families.codebook_message import codebook_arrays
from generator.families.family import family_of
from generator.federation.coordinator import Coordinator, TrainingOutcome
from generator.federation.task import Result, Task
from generator.marginals.bins import base_grid, build_codebook, release_bins
from generator.market.evidence import DELIVERED, EVIDENCE, REFERENCES, pair_counts
from generator.market.score import ScorePhase
from generator.market.transport import QueueTransport
from generator.market.worker import models_of
from generator.node.context import Node
from generator.node.evaluate import evaluate_dataset
from generator.node.model_checks import check_conditions
from generator.node.sample import sample_shard
from generator.node.train import train_step
from provenance.api.coordination import ScoreResult
from provenance.api.queue import TaskView
from provenance.canonical import JsonValue
from provenance.crypto.merkle import shard_root
from provenance.crypto.seal import SCORE_SHARD, FileKind, file_label, key_commitment, open_file
from provenance.crypto.signing import recover
from provenance.exact.sampler import Sampler
from provenance.record.collection import Request
from provenance.record.contribution import EVIDENCE_ROWS
from provenance.record.receipts import ContentFile, ShardContent, ShardReceipt
from provenance.table.conditions import Conditions, RowConditions, Segment
from provenance.values import Cid, Digest, Signature
from tests.generator.node.conftest import MakeWorld
from tests.generator.node.trained import SEED, Trained, train
from tests.generator.node.world import World


def refused(function: Callable[[Node, bytes], bytes], node: Node, payload: bytes) -> str:
    with pytest.raises(TaskRefused) as caught:
        function(node, payload)
    return caught.value.code


def test_refuses_to_sample_when_the_chain_holds_another_model(trained: Trained) -> None:
    models = trained.world.chain.committed
    models[trained.order] = (Digest(bytes([1]) * 32), models[trained.order][1])
    assert refused(sample_shard, trained.nodes[0], trained.sample_task()) == "wrong-model"


def test_refuses_to_sample_when_the_chain_holds_its_model_for_another_shard(trained: Trained) -> None:
    models = trained.world.chain.committed
    models[trained.order] = tuple(reversed(models[trained.order]))
    assert refused(sample_shard, trained.nodes[0], trained.sample_task()) == "wrong-model"


@pytest.mark.parametrize(
    "change", [{"seed": str(Digest(bytes(32)))}, {"draws": 2}, {"shard": 1}, {"rows": 301}]
)
def test_refuses_to_sample_what_the_chain_does_not_say(trained: Trained, change: dict[str, Any]) -> None:
    assert refused(sample_shard, trained.nodes[0], trained.sample_task(**change)) == "seed-differs"


def test_refuses_to_sample_under_a_second_name(trained: Trained) -> None:
    task = Task.decode(trained.sample_task())
    renamed = Task(task.order, "sample/0002", task.node, task.meta).encode()
    assert refused(sample_shard, trained.nodes[0], renamed) == "bad-task"


def test_refuses_to_sign_for_content_that_the_market_names_otherwise(trained: Trained) -> None:
    liar = trained.world.node(
        0, upload=lambda _data: Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
    )
    assert refused(sample_shard, liar, trained.sample_task()) == "cid-differs"


def conditioned(make_world: MakeWorld, folder: Path) -> Trained:
    """An order of 200 rows with c and 300 without, over shards of 300 and 200 rows."""
    world = make_world(folder)
    schema = world.collection.schema
    world.request = Request.of(
        "research", Conditions(schema, (Segment(200, {2: ((1, 1),)}), Segment(300, {2: ((0, 0),)})))
    )
    return train(world)


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        (1, r"row \d+ did not meet"),
        (8, r"% of the attempts meet .* fails all 8 with a chance of .* at most 0\.1%"),
    ],
)
def test_refuses_to_commit_to_a_model_that_would_probably_leave_rows_unmade(
    make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int, reason: str
) -> None:
    trained = conditioned(make_world, tmp_path)
    node, order = trained.nodes[0], trained.order
    model = node.state.order(order).model()
    check_conditions(node, node.accepted(order), model)
    monkeypatch.setattr("generator.node.model_checks.ATTEMPTS", attempts)
    if attempts == 1:
        monkeypatch.setattr("provenance.exact.conditional.ATTEMPTS", 1)
    with pytest.raises(TaskRefused, match=reason) as refusal:
        check_conditions(node, node.accepted(order), model)
    assert refusal.value.code == "conditions-unmet"


def test_refuses_to_sign_for_rows_that_do_not_meet_the_order_s_conditions(
    make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = conditioned(make_world, tmp_path)
    monkeypatch.setattr("provenance.exact.conditional.ATTEMPTS", 1)
    assert refused(sample_shard, trained.nodes[0], trained.sample_task()) == "conditions-unmet"
    assert trained.nodes[0].orders.folder(trained.order).stored("sample") is None


def test_shards_of_an_order_with_conditions_are_its_rows_and_the_score_is_that_of_the_free_streams(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    trained = conditioned(make_world, tmp_path)
    trained.score()
    world, schema = trained.world, trained.world.collection.schema
    asked = world.request.asked(schema, 500)
    assert asked is not None
    made = []
    for number, node in enumerate(trained.nodes):
        rows, first_row = (300, 200)[number], (0, 300)[number]
        stored = node.orders.folder(trained.order).stored("sample")
        assert stored is not None
        sent = Result.decode(stored)
        model = node.state.order(trained.order).model()
        sampler = Sampler(model, SEED, number, conditions=RowConditions(asked, first_row))
        row_bytes = sampler.row_bytes(0, rows)
        receipt = ShardReceipt.parse(sent.meta["receipt"])
        assert receipt.shard_root == shard_root(row_bytes, sampler.row_width)
        made.append(sampler.values(0, rows))
        free = Sampler(model, SEED, number).values(0, rows)
        assert sent.arrays[DELIVERED].tolist() == pair_counts(free, sampler.model.codebook, schema).tolist()
    whole = np.concatenate(made)
    places = asked.segment_of(np.arange(500, dtype=np.uint64))
    assert (whole[:, 2] == 1 - places).all()
    assert whole[:, 2].sum() == 200


@pytest.fixture(scope="module")
def pooled_once(tmp_path_factory: pytest.TempPathFactory, make_world: MakeWorld) -> Trained:
    """An order whose tables were seen in their sum alone."""
    world = make_world(tmp_path_factory.mktemp("pooled"))
    world.collection = replace(
        world.collection, settings={**world.collection.settings, "noise": "distributed"}
    )
    return train(world)


def test_a_sum_key_that_another_account_signed_is_refused_by_every_node(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(tmp_path)
    world.collection = replace(
        world.collection, settings={**world.collection.settings, "noise": "distributed"}
    )
    nodes = [world.node(0), world.node(1)]
    for node in nodes:
        world.accept(node)
    world.match()
    shown = [Result.decode(train_step(node, world.training_task(node))).meta for node in nodes]
    own = {name: shown[0][name] for name in ("sumKey", "sumKeySignature")}
    keys: list[JsonValue] = [own, {**own, "sumKey": "0x" + "11" * 32}]
    plan = world.plan()
    released = release_bins(nodes[0].state.training, base_grid(plan.schema), 0.0)
    codebook = codebook_arrays(build_codebook(plan.schema, released))
    meta: dict[str, JsonValue] = {"plan": plan.document(), "sumKeys": keys}
    task = Task(plan.order, "tables", nodes[0].address, meta, codebook)
    assert refused(train_step, nodes[0], task.encode()) == "bad-keys"
    assert nodes[0].state.order(plan.order).result("tables") is None


def test_an_order_seen_in_sums_alone_is_scored_against_the_sum_that_its_nodes_know(
    pooled_once: Trained,
) -> None:
    task, node = evaluation_task(pooled_once)
    references = task.arrays[REFERENCES]
    assert (references[0] == references[1]).all()
    other = references.copy()
    other[0, :2] = other[0, :2] + np.array([1, -1])
    changed = Task(task.order, task.name, task.node, task.meta, {**task.arrays, REFERENCES: other})
    assert refused(evaluate_dataset, node, changed.encode()) == "counts-differ"

    result = pooled_once.score()
    assert sum(result.shares_bps) == 10_000
    assert len(result.evaluations) == 2
    assert any("no contributor's own" in line for line in result.broker_saw)
    for node in pooled_once.nodes:
        tables = node.state.order(pooled_once.order).result("tables")
        assert tables is not None
        assert set(tables.arrays) == {"masked"}


@pytest.mark.parametrize("missing", ["seeds", "committed"])
def test_waits_for_commitment_and_seed(trained: Trained, missing: str) -> None:
    getattr(trained.world.chain, missing).clear()
    with pytest.raises(NotYet):
        sample_shard(trained.nodes[0], trained.sample_task())


def test_stored_sample_is_sent_again_even_when_the_order_has_ended(trained: Trained) -> None:
    first = sample_shard(trained.nodes[0], trained.sample_task())
    trained.world.chain.states.clear()
    assert sample_shard(trained.world.node(0), trained.sample_task()) == first
    assert refused(sample_shard, trained.nodes[0], trained.sample_task(draws=2)) == "task-changed"


def test_content_key_is_the_owners_alone_and_outlives_a_cut_off_upload(trained: Trained) -> None:
    def down(_data: bytes) -> Cid:
        raise ConnectionError("cut off")

    with pytest.raises(ConnectionError):
        sample_shard(trained.world.node(0, upload=down), trained.sample_task())
    path = trained.nodes[0].folder / "orders" / trained.order.hex() / "content.key"
    key = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    sample_shard(trained.nodes[0], trained.sample_task())
    assert path.read_bytes() == key


def test_shard_is_what_model_and_seed_give_and_opens_for_the_buyer_only(trained: Trained) -> None:
    result = Result.decode(sample_shard(trained.nodes[1], trained.sample_task(1)))
    receipt = ShardReceipt.parse(result.meta["receipt"])
    content = ShardContent.parse(result.meta["content"])
    assert recover(trained.nodes[1].domain, receipt, Signature.parse(str(result.meta["signature"]))) == (
        trained.nodes[1].address
    )
    assert receipt.content_digest == content.digest
    assert content.wrapped_key is None
    wrapped = trained.nodes[1].orders.folder(trained.order).key_to_release(1)
    assert wrapped is not None
    key = trained.world.delivery.unwrap(wrapped, trained.order, 1)
    assert content.key_commitment == key_commitment(key, trained.order, 1)
    kinds: tuple[tuple[FileKind, ContentFile], ...] = (("rows", content.rows), ("model", content.model))
    opened = {
        kind: open_file(
            key, trained.world.market.fetch(file.cid), file_label(trained.order, 1, kind), file.plain_sha256
        )
        for kind, file in kinds
    }
    sampler = Sampler(opened["model"], SEED, 1)
    assert sampler.row_bytes(0, 200) == opened["rows"]
    schema, book = trained.world.collection.schema, sampler.model.codebook
    for name, rows in ((DELIVERED, 200), (EVIDENCE, EVIDENCE_ROWS)):
        assert np.array_equal(result.arrays[name], pair_counts(sampler.values(0, rows), book, schema))
    assert shard_root(opened["rows"], sampler.row_width) == receipt.shard_root
    assert all(
        key not in data and opened["rows"][:64] not in data for data in trained.world.market.content.values()
    )


def test_open_order_is_published_in_clear(world: World, open_delivery_key: Digest) -> None:
    world.collection = replace(world.collection, visibility="open")
    terms = world.terms(delivery_key=open_delivery_key)
    nodes = [world.node(0), world.node(1)]
    for node in nodes:
        world.market.nodes[node.address] = node
        world.accept(node, terms)
    order = world.match(terms)
    plan = world.plan(terms)
    outcome = Coordinator(
        plan, QueueTransport(world.client, poll_seconds=0.001), family_of(plan.family)
    ).run()
    world.chain.committed[order] = tuple(model.model_digest for model in outcome.models)
    world.chain.seeds[order] = SEED
    meta: dict[str, Any] = {"seed": str(SEED), "draws": 1, "shard": 0, "rows": 300}
    result = Result.decode(sample_shard(nodes[0], Task(order, "sample", nodes[0].address, meta).encode()))
    content = ShardContent.parse(result.meta["content"])
    assert content.sealed_key is None
    assert content.model.matches_plain(world.market.fetch(content.model.cid))


def test_the_train_result_says_what_every_node_spent(trained: Trained) -> None:
    for model in models_of(trained.outcome).models:
        assert 0 < model.epsilon_micro <= 3_000_000


def test_score_phase_refuses_models_that_the_chain_does_not_hold(trained: Trained) -> None:
    trained.world.chain.committed[trained.order] = (Digest(bytes(32)), Digest(bytes(32)))
    with pytest.raises(JobRefused):
        trained.score()


def test_score_phase_names_a_node_whose_content_is_not_there(trained: Trained) -> None:
    phase = trained.phase()
    broken = ScorePhase(phase.domain, phase.transport, lambda _cid: b"else", phase.upload, phase.say)
    with pytest.raises(InvalidAnswer, match="rows file is not the signed one") as caught:
        broken.run(trained.world.job("score"), trained.outcome, trained.world.chain.commitment(trained.order))
    assert (caught.value.node, caught.value.name) == (str(trained.nodes[0].address), "sample")


def test_score_phase_gives_shares_signed_by_all_and_a_file_for_the_buyer(trained: Trained) -> None:
    result = trained.score()
    assert sum(result.shares_bps) == 10_000
    assert [entry.contributor for entry in result.evaluations] == [n.address for n in trained.nodes]
    assert all(300_000 < entry.score_micro <= 1_000_000 for entry in result.evaluations)
    content = result.score
    sealed = trained.world.market.fetch(content.file.cid)
    assert content.wrapped_key is not None
    key = trained.world.delivery.unwrap(content.wrapped_key, trained.order, SCORE_SHARD)
    assert content.key_commitment == key_commitment(key, trained.order, SCORE_SHARD)
    plain = open_file(key, sealed, file_label(trained.order, SCORE_SHARD, "score"), content.file.plain_sha256)
    document = json.loads(plain)
    assert document["sharesBps"] == list(result.shares_bps)
    sent = [Result.decode(sample_shard(n, trained.sample_task(k))) for k, n in enumerate(trained.nodes)]
    assert document["poolCounts"] == np.sum([result.arrays[DELIVERED] for result in sent], axis=0).tolist()
    assert [shard["evidenceCounts"] for shard in document["shards"]] == [
        result.arrays[EVIDENCE].tolist() for result in sent
    ]
    assert ScoreResult.read(result.encode(), "result") == result, "what goes to the backend comes back"


def test_repeated_score_phase_asks_no_node_again(trained: Trained) -> None:
    first = trained.score()
    calls = trained.world.market.calls
    again = trained.score()
    assert trained.world.market.calls == calls
    sealed_anew = {"score": first.score}
    assert again.model_copy(update=sealed_anew) == first


def test_score_is_one_release_on_held_out_rows_within_the_orders_epsilon(trained: Trained) -> None:
    trained.score()
    entries = trained.nodes[0].state.ledger.entries()
    assert [(entry.release.name, entry.release.split) for entry in entries] == [
        ("bins", "training"), ("tables", "training"), ("score", "holdout"),
    ]  # fmt: skip
    assert trained.nodes[0].state.ledger.spent() <= 3.0 + 1e-6


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sharesBps": [9_999, 1]}, "shares-differ"),
        ({"datasetRoot": str(Digest(bytes(32)))}, "root-differs"),
        ({"shardRoots": [str(Digest(bytes(32)))] * 2}, "root-differs"),
        ({"shardRoots": ["0x00"]}, "bad-task"),
        ({"shardRoots": None}, "bad-task"),
    ],
)
def test_refuses_to_sign_an_evaluation_that_it_cannot_recompute(
    trained: Trained, change: dict[str, Any], code: str
) -> None:
    task, node = evaluation_task(trained)
    changed = Task(task.order, task.name, task.node, {**task.meta, **change}, task.arrays)
    assert refused(evaluate_dataset, node, changed.encode()) == code
    assert all(entry.release.name != "score" for entry in node.state.ledger.entries())


@pytest.mark.parametrize("name", [DELIVERED, EVIDENCE, REFERENCES])
def test_refuses_an_evaluation_in_which_its_own_counts_were_changed(trained: Trained, name: str) -> None:
    task, node = evaluation_task(trained)
    counts = task.arrays[name].copy()
    counts[0, :2] = counts[0, :2] + np.array([1, -1])
    changed = Task(task.order, task.name, task.node, task.meta, {**task.arrays, name: counts})
    assert refused(evaluate_dataset, node, changed.encode()) == "counts-differ"


def test_refuses_an_evaluation_over_arrays_of_another_shape(trained: Trained) -> None:
    task, node = evaluation_task(trained)
    changed = Task(task.order, task.name, task.node, task.meta, {DELIVERED: task.arrays[DELIVERED]})
    assert refused(evaluate_dataset, node, changed.encode()) == "bad-task"


def test_refuses_to_draw_a_second_score_under_another_name(trained: Trained) -> None:
    task, node = evaluation_task(trained)
    evaluate_dataset(node, task.encode())
    renamed = Task(task.order, "evaluate/0002", task.node, task.meta, task.arrays)
    assert refused(evaluate_dataset, node, renamed.encode()) == "bad-task"


def test_stored_score_is_sent_again_and_never_redrawn(trained: Trained) -> None:
    task, node = evaluation_task(trained)
    assert evaluate_dataset(node, task.encode()) == evaluate_dataset(trained.world.node(0), task.encode())


def test_refusing_node_fails_the_score_phase_by_name(trained: Trained) -> None:
    trained.world.chain.committed[trained.order] = tuple(
        reversed(trained.world.chain.committed[trained.order])
    )
    outcome = trained.outcome
    swapped = TrainingOutcome(
        outcome.plan, tuple(reversed(outcome.models)), outcome.shared, outcome.references, ()
    )
    with pytest.raises(NodeRefused, match="wrong-model"):
        trained.phase().run(
            trained.world.job("score"), swapped, trained.world.chain.commitment(trained.order)
        )


def evaluation_task(trained: Trained) -> tuple[Task, Node]:
    """The evaluate task of the first node, taken from the queue before that node has answered it."""
    market, node = trained.world.market, trained.nodes[0]

    class UnansweredError(Exception):
        pass

    def stop(_name: str) -> None:
        if (trained.order, trained.nodes[0].address, "evaluate") in market.posted:
            raise UnansweredError

    original = market.tasks

    def tasks(order: Digest, name: str) -> list[TaskView]:
        stop(name)
        return original(order, name)

    with patch.object(market, "tasks", tasks), pytest.raises(UnansweredError):
        trained.score()
    return trained.posted("evaluate"), node
