"""A contributor that is away: what it owes is demanded on chain, and within two times to answer it loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from provenance.chain.dispute_events import SaltAnswered
from provenance.chain.disputes import DemandKind
from provenance.chain.events import ContributorFined, ShardDropped, StakeSlashed
from provenance.chain.ports import OrderState
from tests.system.market import Market
from tests.waiting import until

pytestmark = pytest.mark.system

HOUR = 3600


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


@pytest.mark.parametrize("time", ["first", "second"])
def test_a_node_that_is_away_for_an_hour_within_its_time_to_answer_loses_nothing(
    market: Market, time: str
) -> None:
    """Killed after the commit: its salt is demanded, and a restart answers by itself, also after a warning."""
    node, address = market.process("rowan"), market.network.account("rowan").address
    with blocks_for_transactions_only(market):
        order = market.place(rows=300)
        market.await_state(order, "committed")
        node.kill()
    try:
        before = market.chain.stake_of(address)
        shard = [each.contributor for each in market.chain.participants(order.order_id)].index(address)
        with receipts_demanded_at_once(market):
            until(lambda: market.chain.demand(order.order_id, shard).is_open, "the demand")
            demand = market.chain.demand(order.order_id, shard)
            assert demand.kind is DemandKind.SALT
            assert demand.demander == market.network.account("broker").address
            assert demand.deposit == 0
            if time == "second":
                market.skip(order.terms.answer_seconds + 1)
                until(lambda: market.chain.is_warned(order.order_id, shard), "the warning")
        market.skip(HOUR)
        status = market.run("node", "status", "--folder", str(market.network.node_folder("rowan")))
        assert "DEMAND " in status.stdout
        assert ("THE FIRST TIME HAS PASSED" in status.stdout) is (time == "second")
    finally:
        node.restart()
    market.await_state(order, "settled")
    assert market.chain.order(order.order_id).state is OrderState.SETTLED
    events = [event for event in market.chain.events(0, market.chain.block_number())
              if getattr(event, "order", None) == order.order_id]  # fmt: skip
    (answer,) = (event for event in events if isinstance(event, SaltAnswered) and event.shard == shard)
    assert answer.answerer == address
    assert not any(isinstance(event, StakeSlashed | ShardDropped | ContributorFined) for event in events)
    after = market.chain.stake_of(address)
    assert after.free + after.reserved == before.free + before.reserved
    dataset = market.chain.dataset_of_order(order.order_id)
    assert dataset is not None
    assert len(market.chain.dataset(dataset).shards) == 2
