"""Orders from stock at the nodes and the coordinator: who would gain by breaking them, and one that is delivered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from generator.errors import NodeError, NotYet, TaskRefused
from generator.federation.task import Result, Task
from generator.node.accept import accept_order, check_budget, proposal_of
from generator.node.commit import commit_model
from generator.node.context import Node
from generator.node.recorded_heads import require_newest_ledger
from generator.node.report import _would_answer
from generator.node.sample import sample_shard
from generator.node.stock import retire
from generator.node.train import train_step
from provenance.api.coordination import ScoreResult, TrainResult
from provenance.api.tasks import CommitAnswer, CommitTask
from provenance.canonical import JsonValue
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import DatasetStatus, OrderState
from provenance.crypto.merkle import shard_root
from provenance.exact.model import model_digest
from provenance.exact.sampler import Sampler
from provenance.record.collection import Request
from provenance.record.receipts import ShardReceipt
from provenance.record.terms import participants_digest
from provenance.table.conditions import Conditions, Segment
from provenance.values import Digest
from tests.generator.node.stock import OTHER_SEED, Sold, content_of, new_stock, record, score_of
from tests.generator.node.trained import Trained

Change = Callable[[Trained], None]


@pytest.fixture(scope="module")
def stock_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return new_stock(tmp_path_factory.mktemp("stock"))


@pytest.fixture
def stock(stock_once: Trained, tmp_path: Path) -> Trained:
    return stock_once.copy_to(tmp_path / "copy")


def refused(sold: Sold, node: Node | None = None) -> str:
    sold.world.open(sold.terms)
    with pytest.raises(TaskRefused) as caught:
        accept_order(node or sold.trained.nodes[0], sold.world.offer(sold.terms))
    return caught.value.code


def ledgers(trained: Trained) -> list[bytes]:
    return [(node.state.folder / "ledger.jsonl").read_bytes() for node in trained.nodes]


# Denied


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon_micro": 2_999_999},
        {"epsilon_micro": 3_000_001},
        {"delta_e12": 9_999_999},
        {"epsilon_micro": 1},
    ],
)
def test_terms_with_another_epsilon_or_delta_than_the_training_s_are_refused(
    stock: Trained, changes: dict[str, int]
) -> None:
    assert refused(Sold.of(stock, **changes)) == "training-differs"


def test_a_training_that_this_node_never_saw_is_refused(stock: Trained) -> None:
    unknown = Request("research", (), Digest(bytes([3]) * 32))
    assert refused(Sold.of(stock, request=unknown)) == "training-unknown"
    folders = {path.name for path in (stock.nodes[0].state.folder / "orders").iterdir()}
    assert folders == {stock.order.hex()}, "a request must not fill the folder"


def test_a_contributor_that_did_not_train_refuses(stock: Trained) -> None:
    assert refused(Sold.of(stock), stock.world.node(2)) == "training-unknown"


def test_an_order_that_was_sold_from_stock_is_no_training(stock: Trained) -> None:
    first = Sold.of(stock)
    stock.world.open(first.terms)
    accept_order(stock.nodes[0], first.world.offer(first.terms))
    assert refused(Sold.of(stock, request=Request("research", (), first.order))) == "training-differs"


def test_a_collection_without_standing_models_sells_none(trained: Trained) -> None:
    assert refused(Sold.of(trained)) == "training-differs"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda each: each.world.chain.states.update({each.order: OrderState.REFUNDED}), "training-not-valid"),
        (lambda each: each.world.chain.states.update({each.order: OrderState.REVOKED}), "training-not-valid"),
        (lambda each: each.world.chain.recorded.clear(), "training-not-valid"),
        (lambda each: record(each, status=DatasetStatus.REVOKED), "training-not-valid"),
        (lambda each: record(each, status=DatasetStatus.REDUCED), "training-not-valid"),
        (lambda each: record(each, shards=[]), "training-lost"),
        (lambda each: record(each, evaluations=[]), "training-lost"),
        (lambda each: model_of(each.nodes[0], each.order).unlink(), "training-lost"),
        (lambda each: spoil(model_of(each.nodes[0], each.order)), "training-lost"),
        (lambda each: each.nodes[0].state.order(each.order).store_model(each.nodes[1].training(each.order).model()),
         "training-lost"),
        (lambda each: spoil(evaluation_of(each.nodes[0], each.order)), "training-lost"),
        (lambda each: each.nodes[0].orders.folder(each.order).drop_evaluation(), "training-lost"),
        (lambda each: each.nodes[0].orders.folder(each.order).store_untrained(b"x"), "training-lost"),
        (lambda each: retire(each.nodes[0].orders, each.order), "retired"),
    ],
    ids=["refunded", "revoked", "unrecorded", "status-revoked", "reduced", "no-shard", "no-score", "no-model",
         "damaged-model", "other-model", "damaged-score", "score-lost", "untrained", "retired"],
)  # fmt: skip
def test_a_model_that_does_not_stand_is_not_sold(stock: Trained, change: Change, code: str) -> None:
    before = ledgers(stock)
    change(stock)
    assert refused(Sold.of(stock)) == code
    assert ledgers(stock) == before


def model_of(node: Node, order: Digest) -> Path:
    return node.state.folder / "orders" / order.hex() / "model.tsm"


def evaluation_of(node: Node, order: Digest) -> Path:
    return node.folder / "orders" / order.hex() / "evaluation.json"


def spoil(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def test_a_node_whose_ledger_was_put_back_takes_no_order_from_stock(stock: Trained) -> None:
    """The head and what the table has spent would be signed with its shard."""
    newest = put_back(stock)
    assert refused(Sold.of(stock), stock.world.node(0)) == "ledger-restored"
    newest()
    sold = Sold.of(stock)
    assert sold.world.accept(stock.world.node(0), sold.terms).max_rows == 500


def test_no_head_of_a_ledger_that_was_put_back_meanwhile_is_signed(stock: Trained) -> None:
    """It would be on chain for good, and keep the node from every order though the newest copy is brought back."""
    sold = Sold.of(stock)
    sold.match()
    sold.commit()
    newest = put_back(stock)
    for shard, (node, rows) in enumerate(zip(sold.nodes, (300, 200), strict=True)):
        task = Task(
            sold.order,
            "sample",
            node.address,
            {"seed": str(OTHER_SEED), "draws": 1, "shard": shard, "rows": rows},
        )
        sample_shard(node, task.encode())
    other, own = (content_of(node, sold.order).ledger for node in sold.nodes)
    assert (other, own) == (stock.nodes[1].state.ledger.published_head(), None)
    newest()
    require_newest_ledger(stock.nodes[0])


def test_a_receipt_waits_for_no_market_to_tell_of_earlier_heads(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    sold.commit()
    record_with(stock, "shards", content_digest=Digest(bytes([2]) * 32))
    node = replace(stock.nodes[0], fetch=lambda _: pytest.fail("the market was asked"))
    asked: dict[str, JsonValue] = {"seed": str(OTHER_SEED), "draws": 1, "shard": 1, "rows": 200}
    sample_shard(node, Task(sold.order, "sample", node.address, asked).encode())
    assert content_of(node, sold.order).ledger == node.state.ledger.published_head()


def put_back(trained: Trained) -> Callable[[], object]:
    """The first node's ledger as it was before the line that is on chain. Returns what brings the newest back."""
    node, ledger = trained.nodes[0], trained.nodes[0].state.ledger.path
    signed, newest = content_of(node, trained.order).ledger, ledger.read_bytes()
    assert signed is not None
    ledger.write_bytes(b"".join(newest.splitlines(keepends=True)[: signed.entries - 1]))
    return lambda: ledger.write_bytes(newest)


def test_a_record_that_this_node_s_chain_does_not_show_yet_is_waited_for(stock: Trained) -> None:
    stock.world.chain.states[stock.order] = OrderState.MATCHED
    sold = Sold.of(stock)
    stock.world.open(sold.terms)
    with pytest.raises(NotYet):
        accept_order(stock.nodes[0], sold.world.offer(sold.terms))


def test_conditions_that_the_model_cannot_meet_are_refused_at_the_acceptance(
    stock: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = stock.world.collection.schema
    asked = Conditions(schema, (Segment(500, {0: ((0, 1),), 1: ((3, 3),)}),))
    sold = Sold.of(stock, request=Request.of("research", asked, stock.order))
    monkeypatch.setattr("generator.node.model_checks.ATTEMPTS", 2)
    assert refused(sold) == "conditions-unmet"


def test_no_training_step_of_an_order_from_stock_is_answered(stock: Trained) -> None:
    """A broker that asks for one would have releases that no budget was asked for."""
    sold = Sold.of(stock)
    sold.match()
    before = ledgers(stock)
    node = stock.nodes[0]
    for order in (sold.order, stock.order):
        plan = replace(stock.outcome.plan, order=order)
        with pytest.raises(TaskRefused) as caught:
            train_step(node, stock.world.training_task(node, plan, "bins/0002"))
        assert caught.value.code == {sold.order: "from-stock", stock.order: "order-ended"}[order]
    assert ledgers(stock) == before


def test_only_an_order_that_trained_can_be_retired(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    orders = stock.nodes[0].orders
    with pytest.raises(NodeError, match="retire that one"):
        retire(orders, sold.order)
    with pytest.raises(NodeError, match="did not accept"):
        retire(orders, Digest(bytes(32)))
    retire(orders, stock.order)
    assert sold.phase("train").failed == [], "what was accepted before is served"


def test_another_training_than_the_buyer_named_is_refused_by_the_coordinator(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    shown = sold.plan().training
    assert shown is not None
    other = shown.model_copy(update={"terms": stock.world.terms(rows=400)})
    for training, words in (
        (other, "the buyer's request names"),
        (None, "the job shows none"),
        (shown.model_copy(update={"request": Request("else")}), "not the one that its terms bind"),
        (
            shown.model_copy(update={"participants": shown.participants[::-1]}),
            "not those that the chain names",
        ),
    ):
        (reason,) = sold.phase("train", training=training).failed
        assert words in reason


def test_a_contributor_that_is_not_of_the_training_is_refused_by_the_coordinator(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    stranger = replace(stock.world.participants[0], contributor=stock.world.signer(7).address)
    matched = (stranger, stock.world.participants[1])
    stock.world.chain.matched[sold.order] = matched
    (reason,) = sold.phase("train").failed
    assert f"{stranger.contributor} did not train for order {stock.order}" in reason


def test_a_training_whose_results_the_market_lost_asks_nobody_to_train(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    market, node = stock.world.market, stock.nodes[0]
    del market.posted[stock.order, node.address, "tables"]
    posted = len(market.posted)
    (reason,) = sold.phase("train").failed
    assert f"no result of task 'tables' of {node.address}" in reason
    assert len(market.posted) == posted


def test_models_that_the_chain_did_not_commit_to_are_refused_by_the_coordinator(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    stock.world.chain.committed[stock.order] = (Digest(bytes([4]) * 32),) * 2
    (reason,) = sold.phase("train").failed
    assert "the chain committed to 0x0404" in reason


def test_rows_of_another_model_than_the_training_s_are_not_scored(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    sold.commit()
    stock.world.chain.committed[sold.order] = stock.world.chain.committed[sold.order][::-1]
    (reason,) = sold.phase("score").failed
    assert "other models than those that were trained" in reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda each: record_with(each, "evaluations", score_micro=123),
            "released with the training was 123",
        ),
        (
            lambda each: record_with(each, "shards", epsilon_micro=5),
            "recorded with the training (5, 10000000)",
        ),
    ],
)
def test_a_contributor_that_signs_other_figures_than_the_training_s_is_rejected_before_the_record(
    stock: Trained, change: Change, words: str
) -> None:
    """Check 29 would fail for everybody, and the buyer have paid."""
    sold = Sold.of(stock)
    sold.match()
    sold.commit()
    change(stock)
    phase = sold.phase("score")
    assert (phase.results, len(phase.failed)) == ([], 1)
    assert words in phase.failed[0]
    ((_, reason),) = phase.rejected
    assert words in reason


def record_with(trained: Trained, part: str, **figures: object) -> None:
    """The record of the training with other figures of the first node's."""
    held = trained.world.chain.recorded[trained.order]
    first, *others = getattr(held, part)
    record(trained, **{part: [SimpleNamespace(**(vars(first) | figures)), *others]})


def test_a_record_of_the_training_that_the_chain_took_back_is_waited_for(stock: Trained) -> None:
    sold = Sold.of(stock)
    sold.match()
    sold.commit()
    stock.world.chain.recorded.clear()
    with pytest.raises(ChainUnavailableError, match="whose models are sold, has no data set on chain"):
        sold.phase("score")


# Delivered


def test_an_order_from_stock_is_delivered_and_spends_no_privacy(stock: Trained) -> None:
    before, sold = ledgers(stock), Sold.of(stock)
    sold.match()
    (trained,) = sold.phase("train").results
    assert isinstance(trained, TrainResult)
    models = {model.contributor: model for model in stock.outcome.models}
    for shard, (model, node) in enumerate(zip(trained.models, sold.nodes, strict=True)):
        assert (model.shard, model.contributor) == (shard, node.address)
        assert model.model_digest == models[node.address].model_digest
        assert (model.epsilon_micro, model.delta_e12) == (models[node.address].epsilon_micro, 10_000_000)

    match = participants_digest(stock.world.chain.matched[sold.order])
    for node, told in zip(sold.nodes, trained.models, strict=True):
        task = CommitTask(order=sold.order, match=match).encode()
        answer = CommitAnswer.read(commit_model(node, task), "answer")
        before_salt = node.orders.folder(stock.order).salt(participants_digest(stock.world.participants))
        assert (answer.shard, answer.model_digest) == (told.shard, told.model_digest)
        assert node.orders.folder(sold.order).salt(match) != before_salt

    sold.commit()
    asked = len(stock.world.market.posted)
    score_phase = sold.phase("score")
    (scored,) = score_phase.results
    assert isinstance(scored, ScoreResult)
    assert sum(scored.shares_bps) == 10_000
    assert [each.score_micro for each in scored.evaluations] == [score_of(n, stock.order) for n in sold.nodes]
    names = {name for (order, _, name) in list(stock.world.market.posted)[asked:]}
    assert names == {"sample", "evaluate"}, "nothing else is asked of a node"
    assert scored.privacy["trainingOrder"] == str(stock.order)
    assert scored.privacy["newEpsilonMicro"] == 0
    assert "not released anew" in str(scored.privacy["scores"])
    assert all(str(stock.order) in line for line in scored.broker_saw[:2])

    for shard, node in enumerate(sold.nodes):
        stored = node.orders.folder(sold.order).stored("sample")
        assert stored is not None
        receipt = ShardReceipt.parse(Result.decode(stored).meta["receipt"])
        own = node.training(sold.order).model()
        rows = Sampler(own, OTHER_SEED, shard).row_bytes(0, (300, 200)[shard])
        assert receipt.shard_root == shard_root(rows, Sampler(own, OTHER_SEED, shard).row_width)
        assert (receipt.model_digest, receipt.epsilon_micro) == (
            model_digest(own), models[node.address].epsilon_micro,
        )  # fmt: skip
        again = stock.world.node(stock.nodes.index(node))
        task = stock.world.market.posted[sold.order, node.address, "sample"][1]
        assert sample_shard(again, task) == stored, "also after a restart"
    assert ledgers(stock) == before, "not a byte of any ledger changed"


def test_cap_and_limits_of_epsilon_do_not_count_an_order_from_stock(stock: Trained) -> None:
    """The table's cap is used up by the training; what is accepted from stock leaves other orders their part."""
    limits = "".join(f'maximum_epsilon{each} = "0"\n' for each in ("", "_per_day", "_per_month"))
    policy = f'default = "auto"\n{limits}'
    node = stock.world.node(0, policy=policy)
    sold, later = Sold.of(stock), Sold.of(stock, salt=Digest(bytes([6]) * 32))
    sold.world.open(sold.terms)
    answer = json.loads(accept_order(node, sold.world.offer(sold.terms)))
    assert answer["maxRows"] == 500
    proposal = proposal_of(node, later.terms, later.world.request)
    assert (proposal.spent_micro, proposal.epsilon_today_micro) == (0, 3_000_000), "the training's alone"
    assert proposal.orders_today == 2

    plain = stock.world.terms(salt=Digest(bytes([7]) * 32))
    with pytest.MonkeyPatch.context() as patch:
        checked: list[int] = []
        patch.setattr(type(node.state.ledger), "check_all", lambda _self, wanted: checked.append(len(wanted)))
        check_budget(node, stock.world.order(plain), plain, stock.world.request)
        check_budget(node, later.order, later.terms, later.world.request)
    assert checked == [2], "the order itself, and nothing promised to the one from stock"


def test_a_dry_run_says_that_no_privacy_would_be_spent(stock: Trained) -> None:
    sold, node = Sold.of(stock), stock.nodes[0]
    stock.world.open(sold.terms)
    said = "\n".join(_would_answer(node, sold.terms, sold.world.request))
    assert f"the model of order {stock.order}; no privacy is spent" in said
    assert "Gaussian" not in said
    assert f"order {sold.order}: would send, from stock, spending no epsilon:" in said
    assert "within epsilon" not in said
    retire(node.orders, stock.order)
    said = "\n".join(_would_answer(node, sold.terms, sold.world.request))
    assert "would be refused (retired)" in said


def test_money_rules_hold_for_orders_from_stock_too(stock: Trained) -> None:
    assert refused(Sold.of(stock, price=10)) == "policy-price"
