"""A contributor that falls silent after the seed is drawn: its receipt is demanded on chain, and a restart answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from provenance.api.market import MarketClient
from provenance.chain.dispute_events import DemandOpened, ReceiptAnswered
from provenance.chain.disputes import DemandKind
from provenance.chain.ports import OrderState
from provenance.values import Digest
from tests.system.market import Market
from tests.waiting import until

pytestmark = pytest.mark.system


@contextmanager
def blocks_for_transactions_only(market: Market) -> Iterator[None]:
    """Inside the block no seed can be drawn, for it needs blocks after the commitment's; afterwards one comes a
    second again."""
    market.chain.rpc.request("evm_setAutomine", True)
    try:
        yield
    finally:
        market.chain.rpc.request("evm_setIntervalMining", 1)


@contextmanager
def receipts_demanded_at_once(market: Market) -> Iterator[None]:
    """Inside the block the broker is another process, which calls everybody silent who still owes a receipt."""
    backend = market.process("backend")
    patient = backend.command
    backend.command = replace(patient, env={**patient.env, "TESSERA_RECEIPT_SECONDS": "1"})
    backend.restart()
    market.network.await_backend()
    try:
        yield
    finally:
        backend.command = patient
        backend.restart()
        market.network.await_backend()


def await_sample(market: Market, order: Digest, node: str) -> None:
    """Waits until the broker has the node's sample, so that the node is not among the silent."""
    address = market.network.account(node).address
    with MarketClient(market.network.api_url, signer=market.network.account("broker")) as broker:

        def has_it() -> bool:
            return any(
                task.node == address and task.state == "done" for task in broker.tasks(order, "sample")
            )

        until(has_it, f"{node}'s sample")


def test_a_node_killed_before_the_seed_is_asked_on_chain_and_answers_after_its_restart(
    market: Market,
) -> None:
    node = market.process("rowan")
    address = market.network.account("rowan").address
    with blocks_for_transactions_only(market):
        order = market.place(rows=300)
        market.await_state(order, "committed")
        node.kill()
    try:
        market.await_state(order, "seeded")
        await_sample(market, order.order_id, "maple")
        shard = [each.contributor for each in market.chain.participants(order.order_id)].index(address)
        with receipts_demanded_at_once(market):
            until(lambda: market.chain.demand(order.order_id, shard).is_open, "the receipt's demand")
        demand = market.chain.demand(order.order_id, shard)
        assert demand.kind is DemandKind.RECEIPT
        assert demand.demander == market.network.account("broker").address
        assert demand.deposit == order.terms.price // 100
    finally:
        node.restart()
    market.await_state(order, "settled")
    assert market.chain.order(order.order_id).state is OrderState.SETTLED
    events = [event for event in market.chain.events(0, market.chain.block_number())
              if getattr(event, "order", None) == order.order_id]  # fmt: skip
    assert sum(isinstance(event, DemandOpened) for event in events) == 1
    (answer,) = (event for event in events if isinstance(event, ReceiptAnswered))
    assert answer.answerer == address
    dataset = market.chain.dataset_of_order(order.order_id)
    assert dataset is not None
    recorded = market.chain.dataset(dataset).shards[shard]
    assert answer.receipt.shard_root == recorded.shard_root, "one shard has one receipt, whoever asks"
    assert answer.receipt.content_digest == recorded.content_digest
