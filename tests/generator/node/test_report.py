"""Status, budget, receipts and the dry run: what an operator reads, and that reading sends and spends nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import cast
from unittest.mock import patch

import pytest

from generator.errors import AwaitingApproval
from generator.node.accept import accept_order
from generator.node.context import Node
from generator.node.outbox_log import OutboxLog
from generator.node.report import dry_run_lines, outbox_lines, status
from generator.node.setup import Opened
from generator.node.train import train_step
from generator.privacy.ledger_lines import budget_lines
from provenance.api.market import MarketClient
from provenance.api.orders import OrderState, OrderView
from provenance.chain.disputes import DemandKind
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import StakeOnChain
from provenance.chain.reader import ChainReader
from provenance.record.terms import OrderTerms
from provenance.units import TOKENS
from provenance.values import Cid, Signature
from tessera.cli.node import _say_status
from tests.generator.node.test_demands import Chain
from tests.generator.node.world import AUTO, World

ASK = AUTO.replace('default = "auto"', 'default = "ask"')


class Market:
    """Reads only: anything else a dry run tried would be an AttributeError."""

    def __init__(self, world: World, *terms: OrderTerms) -> None:
        self._world, self._terms = world, terms

    def orders(self, *, state: OrderState) -> tuple[OrderView, ...]:
        assert state is OrderState.OPEN
        return tuple(self._view(each) for each in self._terms)

    def content(self, cid: Cid) -> bytes:
        return self._world.market.fetch(cid)

    def _view(self, terms: OrderTerms) -> OrderView:
        return OrderView(
            order_id=self._world.order(terms), state=OrderState.OPEN, chain_state="open", reason=None,
            buyer=terms.buyer, collection=terms.collection, terms=terms.document(),
            signature=Signature(bytes(65)), request=self._world.request.document(), participants=(),
            dataset_id=None, manifest_cid=None, transactions=(), demands=(), created_at=1,
        )  # fmt: skip

    def upload(self, data: bytes) -> str:
        raise AssertionError("a dry run uploads nothing")


def opened(world: World, node: Node) -> Opened:
    return Opened(
        node.settings,
        node.signer,
        node.collection,
        cast(ChainReader, node.chain),
        node.state,
        OutboxLog(node.folder),
        node.folder,
    )


def dry_run(world: World, node: Node, *terms: OrderTerms) -> str:
    market = cast(MarketClient, Market(world, *terms))
    text = "\n".join(dry_run_lines(opened(world, node), market))
    assert OutboxLog(node.folder).entries() == []
    assert node.state.ledger.entries() == ()
    assert list(node.orders.accepted()) == []
    return text


def test_dry_run_says_why_an_order_would_be_refused(world: World) -> None:
    world.open()
    assert "would be refused (privacy-cap)" in dry_run(world, world.node(cap=1.0), world.terms())


def test_dry_run_does_not_believe_the_market_that_an_order_is_open(world: World) -> None:
    assert "not by the escrow" in dry_run(world, world.node(), world.terms())


def test_dry_run_says_when_the_operator_would_be_asked(world: World) -> None:
    world.open()
    assert "would wait for `approve" in dry_run(world, world.node(policy=ASK), world.terms())


def test_dry_run_says_that_only_the_sum_of_masked_counts_is_seen(world: World) -> None:
    world.collection = replace(
        world.collection, settings={**world.collection.settings, "noise": "distributed"}
    )
    world.open()
    assert "masked: only all nodes' sum is seen" in dry_run(world, world.node(), world.terms())


def test_dry_run_lists_money_announcement_and_what_an_order_would_take(world: World) -> None:
    world.chain.stake = StakeOnChain(0, 0, 0, 0, False)
    world.open()
    text = dry_run(world, world.node(), world.terms())
    for part in (
        "ContributorRegistry.register",
        "depositing 1 token of stake",
        "declaredRows",
        "epsilon 3",
    ):
        assert part in text
    assert f"sealed to delivery key {world.delivery.public}" in text


def test_dry_run_without_orders_says_that_nothing_else_would_leave(world: World) -> None:
    assert "nothing else would leave" in dry_run(world, world.node())


def test_budget_shows_cap_spent_and_every_release(world: World) -> None:
    node = world.node()
    world.accept(node)
    world.match()
    train_step(node, world.training_task(node))
    text = "\n".join(budget_lines(opened(world, node).state.ledger))
    assert "epsilon 10 at delta 1e-05" in text
    assert "bins" in text
    assert "gaussian" in text


def test_status_shows_money_orders_and_questions(world: World) -> None:
    node = world.node()
    world.accept(node)
    asking = world.node(policy=ASK)
    other = world.terms(rows=400)
    world.open(other)
    with pytest.raises(AwaitingApproval):
        accept_order(asking, world.offer(other))
    shown = status(opened(world, asking))
    assert [(held.order, held.is_delivered, held.rows) for held in shown.orders] == [
        (world.order(), False, 500)
    ]
    (question,) = shown.questions
    assert question.order == world.order(other)
    assert question.summary.startswith("400 rows of toy")
    assert shown.claimable_wei == 7
    assert shown.doing is None


def test_status_shows_an_open_demand_how_long_it_has_and_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    node = world.node()
    world.accept(node)
    order, demands = world.match(), Chain()
    world.chain.demands, world.chain.warned = demands.open, demands.warned
    (held,) = status(opened(world, node)).orders
    assert held.demanded == ""
    demands.ask(order, DemandKind.RECEIPT, shard=1)
    assert status(opened(world, node)).orders == (held,), "another's"
    demands.ask(order, DemandKind.RECEIPT)
    (held,) = status(opened(world, node)).orders
    assert "the receipt is demanded, to be shown by" in held.demanded
    demands.warned.add((order, 0))
    found = status(opened(world, node))
    assert "THE FIRST TIME HAS PASSED; stake is lost unless it is shown by" in found.orders[0].demanded
    _say_status(found, TOKENS)
    said = capsys.readouterr().out
    assert f"DEMAND      {order}: the receipt is demanded, THE FIRST TIME HAS PASSED" in said
    assert "start the node: it answers by itself" in said


def test_status_without_a_chain_still_shows_the_rest(world: World) -> None:
    def down(_address: object) -> StakeOnChain:
        raise ChainUnavailableError("no usable answer")

    node = world.node()
    world.accept(node)
    with patch.object(world.chain, "stake_of", down):
        shown = status(opened(world, node))
    assert (shown.stake, shown.claimable_wei) == (None, None)
    assert shown.chain_problem == "no usable answer"
    assert [held.order for held in shown.orders] == [world.order()]


def test_receipts_are_listed_by_order_and_summed_by_kind(world: World) -> None:
    outbox = OutboxLog(world.node().folder)
    with outbox.about(str(world.order()), "bins", "0.5"):
        outbox.record("PUT", "/v1/tasks/3/result", b"12345")
    outbox.record("POST", "/v1/contributors", b"{}")
    (line,) = outbox_lines(outbox, order=str(world.order())[:8])
    assert "result" in line
    assert "epsilon 0.5" in line
    assert [line.split()[0] for line in outbox_lines(outbox, summary=True)] == ["result", "announcement"]
