"""Whole orders while the chain replaces its blocks and asks for twenty times the fee, and while the broker is killed:
every step counts once, nothing is given away before it counts, and nobody loses a stake or a wei.

Every process acts on blocks with DEPTH blocks on top. The tests make the blocks, so that nothing hangs on how
quick anybody is.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest

from backend.indexer.follower import event_row
from provenance.chain.events import DatasetPublished, OtherEvent, Transfer
from provenance.chain.finality import LATEST
from provenance.chain.ports import OrderState
from provenance.chain.reader import ChainReader
from provenance.store.folder import FolderStore
from provenance.units import WHOLE_BPS
from provenance.values import Address, Digest
from tessera.client.order_file import OrderFile
from tessera.devnet.demo_checks import Holders, Snapshot
from tests.system.conftest import open_market
from tests.system.killed_broker import POINTS
from tests.system.market import COLLECTION, TABLE_ROWS, Market
from tests.waiting import until

pytestmark = pytest.mark.system

T = TypeVar("T")
DEPTH = 3
GWEI = 10**9
KILLS = 20
FAILED = (OrderState.CANCELLED, OrderState.REFUNDED, OrderState.REVOKED)


@dataclass(frozen=True, slots=True)
class Chain:
    """A market whose blocks are made by the test, and its chain as it is at the newest of them."""

    market: Market
    newest: ChainReader

    def request(self, method: str, *params: object) -> Any:
        return self.newest.rpc.request(method, *params)

    def mine(self, blocks: int = 1) -> None:
        self.request("anvil_mine", hex(blocks))

    def mine_until(self, look: Callable[[], T | None], what: str) -> T:
        """A block whenever the look finds nothing: what is found was not there a block before."""

        def once() -> T | None:
            found = look()
            if not found:
                self.mine()
            return found

        return until(once, what, pause_seconds=0.25)

    def replace_blocks(self) -> None:
        """The last DEPTH blocks are replaced by empty ones."""
        self.request("anvil_reorg", DEPTH, [])

    def pending(self, sender: Address, to: Address) -> dict[str, str] | None:
        """The account's transaction to a contract that waits for a block."""
        content = self.request("txpool_content")
        waiting = (
            each
            for owner, by_nonce in content["pending"].items()
            if Address.parse(owner) == sender
            for each in by_nonce.values()
        )
        return next((each for each in waiting if Address.parse(each["to"]) == to), None)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        open_market(folder, COLLECTION, TABLE_ROWS, finality=str(DEPTH)) as market,
        ChainReader(market.network.rpc_url, market.chain.deployment, finality=LATEST) as newest,
    ):
        newest.rpc.request("evm_setAutomine", False)
        newest.rpc.request("evm_setIntervalMining", 0)
        yield Chain(market, newest)


def steps_of(order: Digest, newest: ChainReader) -> dict[str, Callable[[], bool]]:
    """The steps of an order by name, each with a look whether the newest block shows it."""

    def reached(state: OrderState) -> Callable[[], bool]:
        def look() -> bool:
            found = newest.order(order).state
            assert found not in FAILED, f"the order is {found.name}"
            return found >= state

        return look

    return {
        "place": reached(OrderState.OPEN),
        "match": reached(OrderState.MATCHED),
        "commit": lambda: newest.commitment(order).commit_block != 0,
        "fix": lambda: newest.is_hash_fixed(order),
        "draw": lambda: newest.commitment(order).seed is not None,
        "publish": reached(OrderState.PUBLISHED),
        "settle": reached(OrderState.SETTLED),
    }


def test_blocks_are_replaced_after_every_step_and_fees_rise_twentyfold_at_the_publication(
    chain: Chain,
) -> None:
    market, newest = chain.market, chain.newest
    before = Books.read(market)
    order = market.place(rows=300)
    steps = steps_of(order.order_id, newest)
    for number, (step, shows) in enumerate(steps.items()):
        overtaken = fees_rise_at_publication(chain, order, shows) if step == "publish" else None
        chain.mine_until(shows, f"{step} to be mined")
        if overtaken is not None:
            assert_replaced(chain, order, overtaken)
            assert_nothing_given_away(market, order)
        chain.replace_blocks()
        assert not shows(), f"{step} was in the replaced blocks"
        if number % 2:
            chain.request("anvil_dropAllTransactions")
    assert_settled_once(chain, [order], before)


def fees_rise_at_publication(chain: Chain, order: OrderFile, shows: Callable[[], bool]) -> dict[str, str]:
    """Returns the publication that waits while three blocks ask for more than it offers."""
    market = chain.market
    chain.mine_until(lambda: market.buyer.status(order).state == "seeded", "the seed to be acted on")
    base = 10 * GWEI
    chain.request("anvil_setNextBlockBaseFeePerGas", hex(base))
    chain.mine()
    broker, registry = market.network.account("broker").address, market.chain.deployment.datasets
    waiting = until(lambda: chain.pending(broker, registry), "the publication to be sent")
    chain.request("anvil_setNextBlockBaseFeePerGas", hex(20 * base))
    chain.mine(3)
    assert not shows(), f"{waiting['maxFeePerGas']} a unit of gas was enough"
    return waiting


def assert_replaced(chain: Chain, order: OrderFile, overtaken: dict[str, str]) -> None:
    """What was mined is another version of the same transaction, under its nonce."""
    head = chain.newest.block_number()
    (event,) = (
        event
        for event in chain.newest.events(head, head)
        if isinstance(event, DatasetPublished) and event.order == order.order_id
    )
    mined = chain.request("eth_getTransactionByHash", str(event.at.transaction))
    assert mined["hash"] != overtaken["hash"]
    assert (mined["nonce"], mined["input"]) == (overtaken["nonce"], overtaken["input"])
    for fee in ("maxFeePerGas", "maxPriorityFeePerGas"):
        assert int(mined[fee], 16) * 8 > int(overtaken[fee], 16) * 9


def assert_nothing_given_away(market: Market, order: OrderFile) -> None:
    """Recorded in a block that can go away, so nothing that opens rows can be had yet."""
    state, uploads = (
        market.network.folder / "backend",
        FolderStore(market.network.folder / "backend" / "waiting"),
    )
    assert uploads.cids(), f"the sealed files wait in {state}"
    assert not any(map(FolderStore(market.network.store_folder).has, uploads.cids()))
    assert market.buyer.status(order).manifest_cid is None


@contextmanager
def killed_again_and_again(market: Market, seed: int) -> Iterator[Callable[[], list[str]]]:
    """Inside the block the broker is killed KILLS times; the value says where it was so far."""
    log = market.folder / "kills"
    log.write_text("")
    backend = market.process("backend")
    undisturbed = backend.command
    words = ["tests.system.killed_broker" if word == "backend.main" else word for word in undisturbed.argv]
    more = {"KILL_SEED": str(seed), "KILL_TIMES": str(KILLS), "KILL_LOG": str(log)}
    backend.command = replace(undisturbed, argv=words, env={**undisturbed.env, **more})
    backend.restart()
    market.network.await_backend()
    try:
        yield lambda: log.read_text().splitlines()
    finally:
        backend.command = undisturbed
        backend.kill()
        backend.restart()
        market.network.await_backend()


def test_a_broker_that_is_killed_twenty_times_between_intent_and_receipt_sends_everything_once(
    chain: Chain,
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    market, orders = chain.market, []
    before = Books.read(market)
    with killed_again_and_again(market, seed) as kills:
        while len(kills()) < KILLS:
            market.network.await_backend()
            order = market.place(rows=200)
            for step, shows in steps_of(order.order_id, chain.newest).items():
                chain.mine_until(shows, f"{step} to be mined (seed {seed}, kills {kills()})")
            orders.append(order)
        assert set(kills()) <= set(POINTS)
    assert_settled_once(chain, orders, before)


@dataclass(frozen=True, slots=True)
class Books:
    """Who holds and is owed what, and what each contributor has at stake."""

    money: Snapshot
    stakes: dict[str, int]

    @classmethod
    def read(cls, market: Market) -> Books:
        network = market.network
        people = {name: network.account(name).address for name in ("buyer", "broker", *network.nodes)}
        stakes = {name: market.chain.stake_of(people[name]) for name in network.nodes}
        return cls(
            Holders(market.chain, people).snapshot(),
            {name: each.free + each.reserved for name, each in stakes.items()},
        )


def assert_settled_once(chain: Chain, orders: list[OrderFile], before: Books) -> None:
    """The orders have ended well for everybody, and the broker's database says of them what the chain says."""
    market = chain.market
    for order in orders:
        chain.mine_until(lambda: market.buyer.status(order).state == "settled", "the broker to say settled")  # noqa: B023
        sent = [entry.step for entry in market.buyer.status(order).transactions if entry.step != "approve"]
        assert sent == ["place", "match", "commit", "fix", "draw", "publish", "settle"]
        dataset = market.chain.dataset_of_order(order.order_id)
        assert dataset is not None
        found = market.delivered(dataset)
        assert found.verify(market.chain).passed
    after = Books.read(market)
    assert after.stakes == before.stakes, "nobody was slashed"
    assert after.money.total == before.money.total
    price = sum(order.terms.price for order in orders)
    assert before.money.balances["buyer"] - after.money.balances["buyer"] == price
    held = "escrow contract"
    assert after.money.balances[held] == before.money.balances[held], "nothing stays in escrow"
    earned = {
        name: after.money.balances[name] + after.money.claimable[name] - was - before.money.claimable[name]
        for name, was in before.money.balances.items()
        if name in after.money.claimable and name != "buyer"
    }
    assert sum(earned.values()) == price
    fees = sum(order.terms.price * order.terms.broker_fee_bps // WHOLE_BPS for order in orders)
    assert earned["broker"] == fees, "its bonds came back whole"
    assert min(earned.values()) >= 0, earned
    assert_database_is_the_chain(chain)
    assert_nothing_left_on_its_way(chain)


def assert_database_is_the_chain(chain: Chain) -> None:
    """Event by event, to the wei; and transaction by transaction."""
    newest, head = chain.newest, chain.newest.block_number()
    file = chain.market.network.folder / "backend" / "backend.sqlite"

    def stored(query: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    until(lambda: stored("SELECT max(block) FROM checkpoints") == [(head,)], "the broker to follow the chain")
    events = [
        event_row(event)
        for event in newest.events(newest.deployment.block, head)
        if not isinstance(event, OtherEvent | Transfer)
    ]
    columns = "block, log_index, transaction_hash, order_id, kind, payload"
    assert stored(f"SELECT {columns} FROM chain_events ORDER BY block, log_index") == [
        (row.block, row.log_index, row.transaction, row.order, row.kind, row.payload) for row in events
    ]
    noted = stored("SELECT hash, block, gas_used FROM order_transactions")
    for transaction, block, gas in noted:
        receipt = chain.request("eth_getTransactionReceipt", transaction)
        assert receipt is not None, f"{transaction} is noted, and on no chain"
        assert (int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16)) == (block, gas)
        assert int(receipt["status"], 16) == 1


def assert_nothing_left_on_its_way(chain: Chain) -> None:
    """Every nonce of the broker is used by one call: none takes effect twice, none is pending."""
    folder, broker = (
        chain.market.network.folder / "backend" / "outbox",
        chain.market.network.account("broker").address,
    )
    mined, pending = (
        chain.newest.rpc.integer("eth_getTransactionCount", str(broker), word)
        for word in ("latest", "pending")
    )
    assert mined == pending
    # An intent whose sender died after it was mined stays open in the outbox until the next one looks.
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob("*.json")]
    assert all(int(intent["nonce"]) < mined for intent in stored if intent["mined"] is None)
    # One that a replaced block made too early reverted, and was sent again: it had no effect.
    calls = [
        (found["to"], found["input"])
        for number in range(chain.newest.block_number() + 1)
        for found in chain.request("eth_getBlockByNumber", hex(number), True)["transactions"]
        if Address.parse(found["from"]) == broker
        and found["input"] != "0x"
        and int(chain.request("eth_getTransactionReceipt", found["hash"])["status"], 16) == 1
    ]
    assert len(calls) == len(set(calls)), "a call took effect under two nonces"
