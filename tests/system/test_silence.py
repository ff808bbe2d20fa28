"""A contributor that falls silent after the seed is drawn: its receipt is demanded on chain, and a restart answers."""

from __future__ import annotations

import time

import pytest

from provenance.chain.dispute_events import DemandOpened, ReceiptAnswered
from provenance.chain.disputes import DemandKind
from provenance.chain.ports import OrderState
from tests.system.market import PATIENCE_SECONDS, Market

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_a_node_killed_before_the_seed_is_asked_on_chain_and_answers_after_its_restart(
    market: Market,
) -> None:
    node = market.process("rowan")
    address = market.network.account("rowan").address
    order = market.place(rows=300)
    market.await_state(order, "committed")
    node.kill()
    try:
        market.await_state(order, "seeded")
        shard = [each.contributor for each in market.ledger.participants(order.order_id)].index(address)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not market.ledger.demand(order.order_id, shard).is_open:
            assert time.monotonic() < deadline, "nobody demanded the receipt"
            time.sleep(0.3)
        demand = market.ledger.demand(order.order_id, shard)
        assert demand.kind is DemandKind.RECEIPT
        assert demand.demander == market.network.account("broker").address
        assert demand.deposit == order.terms.price // 100
    finally:
        node.restart()
    market.await_state(order, "settled")
    assert market.ledger.order(order.order_id).state is OrderState.SETTLED
    events = [event for event in market.ledger.events(0, market.ledger.block_number())
              if getattr(event, "order", None) == order.order_id]  # fmt: skip
    assert sum(isinstance(event, DemandOpened) for event in events) == 1
    (answer,) = (event for event in events if isinstance(event, ReceiptAnswered))
    assert answer.answerer == address
    dataset = market.ledger.dataset_of_order(order.order_id)
    assert dataset is not None
    recorded = market.ledger.dataset(dataset).shards[shard]
    assert answer.receipt.shard_root == recorded.shard_root, "one shard has one receipt, whoever asks"
    assert answer.receipt.content_digest == recorded.content_digest
