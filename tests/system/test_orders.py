"""Whole orders over real processes and a real chain: bought, interrupted, refunded - and nothing is lost."""

from __future__ import annotations

import csv
import json
import re
import signal

import pytest

from provenance.chain.ports import OrderState
from provenance.crypto.seal import DeliveryKey, file_label, open_file
from provenance.errors import SealError
from provenance.table.codec import encode_table
from tessera.client.delivery import Delivery
from tessera.client.order_file import OrderFile, order_path
from tests.system.market import LONG_SECONDS, Market

pytestmark = pytest.mark.system

ORDERED = ("--collection", "visits", "--rows", "10000")
HEX_KEY = re.compile(rb"[0-9a-fA-F]{64}")


def test_an_interrupted_request_continues_and_ends_in_checked_rows(market: Market) -> None:
    """Ordered under conditions by command line without waiting, then the same command again: one order, one
    file of rows, all of them as asked."""
    to = market.folder / "bought.csv"
    options = [
        *market.buyer_options(),
        *("--key", str(market.network.key_file("delivery")), "--collection", "visits", "--rows", "600"),
        *(
            "--epsilon",
            "2",
            "--challenge",
            "3",
            "--deliver-within",
            str(LONG_SECONDS),
            "--max-price",
            "10",
            "--out",
            str(to),
        ),
        *("--where", "age>=20", "--where", "ward=north|south|east"),
    ]
    owed_before = _owed(market)
    placed = market.run("request", *options, "--no-wait")
    assert placed.returncode == 0, placed.stderr
    assert not to.exists()
    order = OrderFile.read(order_path(to))
    assert order_path(to).stat().st_mode & 0o077 == 0

    done = market.run("request", *options)
    assert done.returncode == 0, done.stderr
    assert "continuing order" in done.stdout
    with to.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 600
    assert all(int(row["age"]) >= 20 and row["ward"] in ("north", "south", "east") for row in rows)
    encode_table(order.collection.schema, {name: [row[name] for row in rows] for name in rows[0]})
    assert [view.order_id for view in market.buyer.orders()].count(order.order_id) == 1

    market.await_on_chain(order.order_id, OrderState.SETTLED)
    _assert_paid(market, order, owed_before)
    _assert_parquet_is_the_same_rows(market, order, rows)


def _owed(market: Market) -> dict[str, int]:
    names = ("broker", *market.network.nodes)
    return {name: market.chain.claimable(market.network.account(name).address) for name in names}


def _assert_paid(market: Market, order: OrderFile, before: dict[str, int]) -> None:
    """The whole price is owed to broker and contributors (beside the broker's bond); what is pulled arrives."""
    owed = _owed(market)
    assert sum(owed.values()) - sum(before.values()) == order.terms.price + order.terms.bond
    richest = max(market.network.nodes, key=lambda name: owed[name])
    address = market.network.account(richest).address
    held = market.chain.balance(address)
    network = ("--network", str(market.network.folder / "network.json"))
    claimed = market.run("claim", *network, "--wallet", str(market.network.key_file(richest)))
    assert claimed.returncode == 0, claimed.stderr
    assert market.chain.balance(address) - held == owed[richest] > 0


def _assert_parquet_is_the_same_rows(market: Market, order: OrderFile, rows: list[dict[str, str]]) -> None:
    import pyarrow.parquet as pq

    to = market.folder / "again.parquet"
    key = ("--key", str(market.network.key_file("delivery")))
    again = market.run("download", str(order.order_id), "--out", str(to), *market.buyer_options(), *key)
    assert again.returncode == 0, again.stderr
    table = pq.read_table(to)
    assert table.column("age").to_pylist() == [int(row["age"]) for row in rows]
    assert table.column("ward").to_pylist() == [None if row["ward"] == "?" else row["ward"] for row in rows]


def test_a_node_killed_while_it_trains_finishes_after_a_restart(market: Market) -> None:
    node, other = market.process("maple"), market.process("rowan")
    address = str(market.network.account("maple").address)
    # The other node stands still from before the training on, so that it cannot end before the kill.
    market.process("coordinator").kill()
    order = market.place(rows=300)
    market.await_on_chain(order.order_id, OrderState.MATCHED)
    other.signal_group(signal.SIGSTOP)
    try:
        market.process("coordinator").restart()
        market.await_first_release("maple", order)
        node.kill()
        assert market.chain.order(order.order_id).state is OrderState.MATCHED
        assert market.chain.commitment(order.order_id).commit_block == 0, "killed after training"
    finally:
        other.signal_group(signal.SIGCONT)
    node.restart()
    market.await_state(order, "published")
    found = _fetch(market, order)
    assert found.verify(market.chain).passed
    spent = next(shard.epsilon_micro for shard in found.manifest.shards if str(shard.contributor) == address)
    assert spent <= order.terms.epsilon_micro
    names = _releases_of(market, "maple", order)
    assert names
    assert len(names) == len(set(names)), f"a release was made twice: {names}"
    market.await_on_chain(order.order_id, OrderState.SETTLED)


def test_a_backend_killed_between_publication_and_settlement_still_settles(market: Market) -> None:
    """Before that, a node stands still with the key of its shard: the rows of the other are delivered."""
    order = market.place(rows=300, challenge_seconds=LONG_SECONDS)
    slow = market.process("rowan")
    market.await_state(order, "scored")
    slow.signal_group(signal.SIGSTOP)
    try:
        market.await_state(order, "published")
        _assert_delivered_without(market, order, "rowan")
    finally:
        slow.signal_group(signal.SIGCONT)
    assert _fetch(market, order).verify(market.chain).passed, "once it goes on its key comes too"
    market.process("backend").kill()
    market.skip(LONG_SECONDS + 1)
    assert market.chain.order(order.order_id).state is OrderState.PUBLISHED
    market.process("backend").restart()
    market.network.await_backend()
    market.await_state(order, "settled")
    market.await_on_chain(order.order_id, OrderState.SETTLED)
    steps = [entry.step for entry in market.buyer.status(order).transactions]
    assert steps.count("publish") == steps.count("settle") == 1


def _assert_delivered_without(market: Market, order: OrderFile, late: str) -> None:
    to, key = market.folder / "in_part.csv", ("--key", str(market.network.key_file("delivery")))
    words = ("download", str(order.order_id), "--out", str(to), *market.buyer_options(), *key)
    done = market.run(*words, "--key-wait", "5")
    assert done.returncode == 5, done.stdout + done.stderr
    address = market.network.account(late).address
    told = " ".join(done.stderr.split())
    assert "waiting up to 5 s for the keys of shards" in told
    assert f"contributor {address} has not released the key of shard" in told
    (rows,) = (each.rows for each in market.chain.participants(order.order_id) if each.contributor != address)
    assert len(to.read_text(encoding="utf-8").splitlines()) == rows + 1


def test_with_the_backend_gone_nobody_but_the_buyer_reads_and_anybody_verifies(market: Market) -> None:
    found = _last_delivery(market)
    assert found.verify(market.chain).passed
    market.process("backend").kill()
    try:
        _assert_backend_cannot_open(market, found)
        _assert_verifies_alone(market, found)
    finally:
        market.process("backend").restart()
        market.network.await_backend()


def _assert_backend_cannot_open(market: Market, found: Delivery) -> None:
    """Database, store and logs hold no key, no model, no row; no 32 bytes in them open a shard."""
    kept = _everything_the_backend_keeps(market)
    broker = market.network.key_file("broker").read_bytes()
    candidates = {bytes.fromhex(text.decode()) for text in HEX_KEY.findall(kept + broker)}
    assert len(candidates) > 50
    buyer_key = found.delivery_key
    assert buyer_key is not None
    for entry in found.manifest.shards:
        cid = entry.content.wrapped_key_cid
        assert cid is not None
        wrapped = found.store.get(cid)
        content_key = buyer_key.unwrap(wrapped, found.manifest.order, entry.shard)
        assert content_key not in kept
        assert content_key.hex().encode() not in kept
        model = found.open(entry.shard)
        assert model[100:164] not in kept
        sealed = found.store.get(entry.content.rows.cid)
        label = file_label(found.manifest.order, entry.shard, "rows")
        signed = entry.content.rows.plain_sha256
        rows = open_file(content_key, sealed, label, signed)
        assert rows[:64] not in kept
        for secret in candidates:
            with pytest.raises(SealError):
                open_file(secret, sealed, label, signed)
            with pytest.raises(SealError):
                DeliveryKey(secret).unwrap(wrapped, found.manifest.order, entry.shard)


def _everything_the_backend_keeps(market: Market) -> bytes:
    root = market.network.folder
    files = [
        *root.joinpath("backend").rglob("*"),
        *market.network.store_folder.rglob("*"),
        root / "logs" / "backend.log",
    ]
    return b"\n".join(file.read_bytes() for file in files if file.is_file())


def _assert_verifies_alone(market: Market, found: Delivery) -> None:
    name = market.chain.deployment.dataset_name(found.dataset_id)
    where = ("--dataset", name, "--rpc", market.network.rpc_url, "--store", str(market.network.store_folder))
    key = ("--key", str(market.network.key_file("delivery")))
    whole = market.run("verify", *where, *key, "--json")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert json.loads(whole.stdout)["notChecked"] == []

    unseen = market.run("verify", *where, "--json")
    assert unseen.returncode == 2, unseen.stdout + unseen.stderr
    assert "no row was looked at" in unseen.stderr
    public = market.run("verify", *where, "--json", "--public")
    assert public.returncode == 0, public.stdout + public.stderr
    assert "rows" in json.loads(public.stdout)["notChecked"]

    model = found.manifest.shards[0].content.model.cid
    (file,) = market.network.store_folder.rglob(str(model))
    true = file.read_bytes()
    file.write_bytes(true[:-1] + bytes([true[-1] ^ 1]))
    try:
        forged = market.run("verify", *where, *key, "--json")
    finally:
        file.write_bytes(true)
    assert forged.returncode == 1
    assert "files present" in json.loads(forged.stdout)["failed"]


def test_a_second_order_comes_from_stock_in_seconds_and_spends_no_privacy(market: Market) -> None:
    """10,000 rows of models that an earlier order trained: another seed, other rows, every check, no epsilon."""
    if not market.buyer.models("visits"):
        market.await_in_stock(market.place(rows=300))
    newest = market.buyer.models("visits")[0]
    key = ("--key", str(market.network.key_file("delivery")))
    anew = market.run("quote", *market.buyer_options(), *key, *ORDERED, "--epsilon", "2")
    assert "made to order, minutes" in anew.stdout
    assert f"({newest.training}): --from-stock" in anew.stdout.replace("order ", "")

    ledgers = {name: market.ledger_text(name) for name in market.network.nodes}
    to = market.folder / "from_stock.csv"
    options = ("--from-stock", "--challenge", "6", "--max-price", "200", "--out", str(to))
    done = market.run("request", *market.buyer_options(), *key, *ORDERED, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from stock, seconds" in done.stdout
    order = OrderFile.read(order_path(to))
    assert order.request.training == newest.training
    assert (order.terms.epsilon_micro, order.terms.delta_e12) == (newest.epsilon_micro, newest.delta_e12)
    seconds = market.seconds_to_record(order.order_id)
    print(f"{seconds} chain seconds from placing to record")
    assert seconds < 30

    found, trained = _fetch(market, order), market.delivered(newest.dataset)
    certificate = found.verify(market.chain)
    assert certificate.passed
    assert certificate.unchecked == ()
    assert str(newest.training) in certificate.check("training reused").detail
    models = {each.contributor: each.model_digest for each in trained.manifest.shards}
    assert {each.contributor: each.model_digest for each in found.manifest.shards} == models
    assert found.manifest.seed.seed != trained.manifest.seed.seed
    assert found.manifest.privacy["newEpsilonMicro"] == 0
    assert {name: market.ledger_text(name) for name in ledgers} == ledgers, "not a byte of any ledger changed"

    folder = str(market.network.node_folder("maple"))
    retired = market.run("node", "retire", str(newest.training), "--folder", folder)
    assert retired.returncode == 0, retired.stdout + retired.stderr
    assert newest.training not in [each.training for each in market.buyer.models("visits")]


def test_after_the_deadline_the_buyer_takes_the_money_back_without_any_broker(market: Market) -> None:
    buyer = market.buyer.wallet.address
    before = market.chain.balance(buyer)
    market.process("coordinator").kill()
    order = market.place(rows=300)
    market.await_on_chain(order.order_id, OrderState.MATCHED)
    market.process("backend").kill()
    try:
        assert before - market.chain.balance(buyer) == order.terms.price
        kept = str(market.folder / f"{order.order_id}.json")
        early = market.run("refund", kept, *market.buyer_options())
        assert early.returncode == 1
        assert "Traceback" not in early.stderr
        market.skip(LONG_SECONDS + 1)
        late = market.run("refund", kept, *market.buyer_options())
        assert late.returncode == 0, late.stderr
        # A broker that matched and did not deliver forfeits its bond to nobody: it is burned.
        assert market.chain.balance(buyer) == before
        assert market.chain.order(order.order_id).state is OrderState.REFUNDED
    finally:
        market.process("backend").restart()
        market.process("coordinator").restart()
        market.network.await_backend()
    market.await_state(order, "refunded")


def _last_delivery(market: Market) -> Delivery:
    """The newest data set of the market; an order of its own when this test runs alone."""
    if market.chain.dataset_count() == 0:
        market.await_on_chain(market.place(rows=300).order_id, OrderState.SETTLED)
    newest = market.chain.dataset_count()
    return market.delivered(newest)


def _fetch(market: Market, order: OrderFile) -> Delivery:
    dataset_id = market.chain.dataset_of_order(order.order_id)
    assert dataset_id is not None
    return market.delivered(dataset_id)


def _releases_of(market: Market, node: str, order: OrderFile) -> list[str]:
    """Names in the node's own privacy ledger, as far as this order."""
    entries = [json.loads(line)["entry"] for line in market.ledger_text(node).splitlines()]
    entries = [entry for entry in entries if entry["format"] == "tessera-release/1"]
    return [entry["release"] for entry in entries if entry["order"] == str(order.order_id)]
