"""A data set changes hands and its contributors get their part: resale, royalties and payouts, by command line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from provenance.chain.ports import OrderState
from provenance.chain.sales import SaleState
from provenance.chain.writer import ChainWriter
from provenance.crypto.resold_keys import masked_keys
from provenance.crypto.seal import SCORE_SHARD, new_delivery_key
from provenance.record.collection import Collection
from provenance.units import ONE_TOKEN
from tessera.devnet.network import NodeSpec
from tests.system.conftest import open_market
from tests.system.market import COLLECTION, SCHEMA, TABLE_ROWS, Market, write_table
from tests.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

ORIGINAL = dataclasses.replace(COLLECTION, royalty_bps=500)


@pytest.fixture(scope="module")
def resale_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with open_market(tmp_path_factory.mktemp("resale"), ORIGINAL, TABLE_ROWS) as running:
        yield running


@pytest.fixture(scope="module")
def sold(resale_market: Market) -> int:
    """A settled data set in the hands of the buyer."""
    order = resale_market.place(rows=300, collection=ORIGINAL)
    resale_market.await_state(order, "settled")
    resale_market.await_on_chain(order.order_id, OrderState.SETTLED)
    dataset = resale_market.chain.dataset_of_order(order.order_id)
    assert dataset is not None
    return dataset


def run(market: Market, *words: object, status: int = 0, wallet: str = "buyer") -> str:
    network = ("--network", str(market.network.folder / "network.json"))
    signing = () if wallet == "" else ("--wallet", str(market.network.key_file(wallet)))
    done = market.run(*map(str, words), *signing, *network)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def listed(market: Market, *words: object) -> list[dict[str, Any]]:
    """What the market says is for sale, or what else `words` ask for."""
    found = run(market, "resale", "list", "--json", *words, wallet="")
    return cast("list[dict[str, Any]]", json.loads(found))


def test_a_data_set_is_sold_looked_at_and_paid_for(resale_market: Market, sold: int) -> None:
    market, chain = resale_market, resale_market.chain
    market.network.fund("second", 100 * ONE_TOKEN)
    new_delivery_key(market.network.key_file("second-delivery"))
    new_delivery_key(market.network.key_file("stranger"))
    first, second = (("--key", market.network.key_file(name)) for name in ("delivery", "second-delivery"))
    to = market.folder / "resold.csv"

    not_mine = run(market, "resale", "offer", sold, "--price", "40", *second, status=1, wallet="second")
    assert "belongs to" in not_mine
    assert "name your delivery key" in run(market, "resale", "offer", sold, "--price", "40", status=2)
    run(market, "resale", "offer", sold, "--price", "40", *first)
    (offer,) = until(lambda: listed(market), "the market to list the offer")
    assert (offer["dataset"], offer["priceWei"]) == (sold, str(40 * ONE_TOKEN))
    assert (offer["collection"], offer["rows"]) == (str(ORIGINAL.digest), 300)
    assert ORIGINAL.name in run(market, "resale", "list", wallet="")
    sold = offer["dataset"]  # the second buyer knows no other number
    shown = run(market, "resale", "show", sold, wallet="")
    assert "price   40 tokens" in shown
    assert "deposit 4 tokens" in shown
    assert "committed to by those who made the data set" in shown
    too_dear = run(market, "resale", "buy", sold, "--max-price", "39", *second, status=1, wallet="second")
    assert "offered at 40 tokens, you agreed to 39 tokens" in too_dear
    run(market, "resale", "buy", sold, "--max-price", "40", *second, wallet="second")

    # Nothing opens before the delivery, and who cannot open the files cannot deliver.
    wrong_key = run(market, "resale", "open", sold, "--out", to, *second, status=2, wallet="")
    assert "no seller delivered keys for yours" in wrong_key
    stranger = ("--key", market.network.key_file("stranger"))
    assert "is not the one of data set" in run(market, "resale", "deliver", sold, *stranger, status=1)
    run(market, "resale", "deliver", sold, *first)
    assert chain.sale(sold).state is SaleState.DELIVERED

    assert "every check passed" in run(market, "resale", "open", sold, "--out", to, *second, wallet="")
    bought = to.read_text(encoding="utf-8")
    assert len(bought.splitlines()) == 301
    order = str(chain.dataset(sold).order)
    run(market, "download", order, "--out", market.folder / "original.csv", *first)
    assert bought == (market.folder / "original.csv").read_text(encoding="utf-8")

    seller, pot = market.network.account("buyer").address, chain.dataset_balance(sold)
    owed = chain.claimable(seller)
    run(market, "resale", "accept", sold, wallet="second")
    assert chain.dataset(sold).owner == market.network.account("second").address
    assert chain.dataset_balance(sold) - pot == 2 * ONE_TOKEN, "5 % of the price to the contributors"
    assert chain.claimable(seller) - owed == 38 * ONE_TOKEN + 4 * ONE_TOKEN, (
        "the price less royalty, and the deposit"
    )
    bought_by = ("--buyer", market.network.account("second").address)
    until(lambda: listed(market, *bought_by, "--state", "accepted"), "the market to list the end of the sale")
    assert listed(market) == []

    # The new owner verifies with its own key as the first buyer does with its.
    words = ("verify", "--dataset", str(sold), "--rpc", market.network.rpc_url)
    store = ("--store", str(market.network.store_folder))
    verified = market.run(*words, *store, *map(str, second))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "300 of 300 rows recomputed" in verified.stdout
    other = market.run(*words, *store, *map(str, stranger))
    assert other.returncode == 2, other.stdout + other.stderr
    assert "wrong key" in other.stdout


def test_a_sale_is_rejected_for_a_wrong_key_and_for_nothing_else(resale_market: Market, sold: int) -> None:
    """The first seller is honest; the second one has a program of its own, which delivers a key of nothing."""
    market, chain = resale_market, resale_market.chain
    market.network.fund("third", 100 * ONE_TOKEN)
    third = ("--key", new_key(market, "third-delivery"))
    seller, buyer = (market.network.account(name) for name in ("second", "third"))
    offered = ("resale", "offer", sold, "--price", "10", "--key", market.network.key_file("second-delivery"))
    assert chain.dataset(sold).owner == seller.address

    run(market, *offered, wallet="second")
    run(market, "resale", "buy", sold, "--max-price", "10", *third, wallet="third")
    sale = chain.sale(sold)
    keys = [(shard, bytes(32)) for shard in (*range(len(chain.promised_keys(sale)) - 1), SCORE_SHARD)]
    bundle = masked_keys(keys, chain.dataset(sold).order, sale.point)
    ChainWriter(chain, seller).deliver_keys(sold, bundle)
    to = market.folder / "nothing.csv"
    looked_at = run(market, "resale", "open", sold, "--out", to, *third, status=1, wallet="")
    assert f"tessera resale reject {sold}" in looked_at
    assert not to.exists()
    other = ("--key", market.network.key_file("stranger"))
    assert "with another delivery key" in run(
        market, "resale", "reject", sold, *other, status=1, wallet="third"
    )
    run(market, "resale", "reject", sold, *third, wallet="third")
    assert chain.dataset(sold).owner == seller.address
    assert "claimed 11 tokens" in run(market, "claim", wallet="third")
    assert chain.balance(buyer.address) == 101 * ONE_TOKEN, "the price, and the seller's deposit"

    run(market, *offered, wallet="second")
    assert "1 with wrong keys" in run(market, "resale", "show", sold, wallet="")
    run(market, "resale", "buy", sold, "--max-price", "10", *third, wallet="third")
    run(
        market,
        "resale",
        "deliver",
        sold,
        "--key",
        market.network.key_file("second-delivery"),
        wallet="second",
    )
    assert "every check passed" in run(market, "resale", "open", sold, "--out", to, *third, wallet="")
    refused = run(market, "resale", "reject", sold, *third, status=1, wallet="third")
    assert "this sale cannot be rejected" in refused
    run(market, "resale", "accept", sold, wallet="third")
    assert chain.dataset(sold).owner == buyer.address


def new_key(market: Market, name: str) -> Path:
    new_delivery_key(market.network.key_file(name))
    return market.network.key_file(name)


def test_the_parents_contributors_collect_their_royalty_of_a_derived_order(
    resale_market: Market, sold: int
) -> None:
    market, chain = resale_market, resale_market.chain
    derived = dataclasses.replace(
        ORIGINAL, name="visits-derived", title="Derived visits", parents=(sold,), own_real_micro=500_000,
        royalty_bps=0,
    )  # fmt: skip
    _serve(market, derived, {"oak": 300, "elm": 240})
    pot = chain.dataset_balance(sold)
    order = market.place(rows=200, collection=derived)
    market.await_state(order, "settled")
    market.await_on_chain(order.order_id, OrderState.SETTLED)
    royalty = order.terms.price * 500 // 10_000
    assert chain.dataset_balance(sold) - pot == royalty > 0
    dataset = chain.dataset_of_order(order.order_id)
    assert dataset is not None
    assert chain.dataset(dataset).parents == (sold,)

    assert "in the pot" in run(market, "royalties", "show", sold, wallet="")
    contributors = [market.network.account(name).address for name in TABLE_ROWS]
    before = sum(chain.claimable(address) for address in contributors)
    run(market, "royalties", "divide", sold, wallet="third")
    gained = sum(chain.claimable(address) for address in contributors) - before
    assert gained == pot + royalty - chain.dataset_balance(sold)
    assert chain.dataset_balance(sold) < len(contributors), "only what rounding leaves"
    assert "is empty" in run(market, "royalties", "divide", dataset, status=1, wallet="third")


def _serve(market: Market, collection: Collection, table_rows: dict[str, int]) -> None:
    """Nodes of their own for a second collection."""
    network = market.network
    network.publish(collection)
    specs = []
    for seed, (name, rows) in enumerate(table_rows.items(), 7):
        write_table(market.folder / f"{name}.csv", rows, seed)
        specs.append(NodeSpec(name, market.folder / f"{name}.csv", declared_rows=rows, epsilon_cap="100"))
    network.start_nodes(specs, collection)
    network.await_contributors(collection, [spec.name for spec in specs])
    assert SCHEMA.digest == collection.schema.digest


def test_a_payout_address_is_rotated_by_signature_and_claimed_by_a_relayer(
    resale_market: Market, sold: int, tmp_path: Path
) -> None:
    market, chain = resale_market, resale_market.chain
    name = max(TABLE_ROWS, key=lambda name: chain.claimable(market.network.account(name).address))
    node = market.network.account(name).address
    vault = market.network.account("vault").address
    owed = chain.claimable(node)
    assert owed > 0, f"data set {sold} was paid for"
    rotation = tmp_path / "rotation.json"
    sign = ("payout", "sign", "--to", vault, "--out", rotation)
    denied = run(market, *sign, "--account", node, status=1, wallet="third")
    assert "only that address can name another" in denied
    run(market, *sign, wallet=name)
    run(market, "payout", "send", rotation, wallet="third")
    assert chain.payout_of(node) == vault
    assert "it was sent already" in run(market, "payout", "send", rotation, status=1, wallet="third")
    before = chain.balance(vault)
    assert "sent to" in run(market, "claim", "--for", node, wallet="third")
    assert chain.balance(vault) - before == owed
    assert chain.claimable(node) == 0
    run(market, "payout", "set", "--to", node, "--account", node, wallet="vault")
    assert chain.payout_of(node) == node
