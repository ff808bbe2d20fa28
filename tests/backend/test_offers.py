"""Data sets offered for resale are found without knowing them: followed from the chain, also backwards, and listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import backend.offers
from backend.indexer.follower import Followed, Follower, Reorganised
from backend.ports import Ports
from provenance.api.catalogue import OfferState, SaleView
from provenance.api.client import RetryPolicy
from provenance.api.market import MarketClient
from provenance.chain.events import ChainEvent
from provenance.chain.reader import ChainReader
from provenance.crypto.seal import DeliveryKey
from tessera.client.resale import Resale
from tests.backend.conftest import Api, Chain
from tests.backend.memory_chain import (
    ANN,
    BEN,
    CAT,
    Memory,
    accepted,
    delivered,
    every_way_to_end,
    expired,
    follow,
    listed,
    placed,
    published,
    rejected,
    sold,
    unlisted,
)
from tests.memory import MemoryStore
from tests.provenance.chain.conftest import ETHER, Market
from tests.provenance.chain.sealed_manifest import sealed_manifest
from tests.provenance.chain.test_derived_order import publish, settle
from tests.provenance.chain.test_life_of_an_order import BUYER
from tests.provenance.verify.publication import KEY
from tests.waiting import HANG_SECONDS

SECOND = 81


@pytest.fixture
def client(api: Api) -> Iterator[MarketClient]:
    with MarketClient(
        str(api.client.base_url), retry=RetryPolicy(give_up_seconds=0), timeout_seconds=HANG_SECONDS
    ) as made:
        yield made


@pytest.fixture
def market(memory: Memory) -> Memory:
    """A chain in memory with three data sets, followed."""
    chain, ports = memory
    chain.add(1, placed("one"), *published(1, "one"), *published(2, "two"), *published(3, "three"))
    follow(ports)
    return chain, ports


def add(market: Memory, number: int, *events: ChainEvent, fork: str = "a") -> list[Followed | Reorganised]:
    chain, ports = market
    chain.add(number, *events, fork=fork)
    return follow(ports)


def seen(client: MarketClient, **asked: Any) -> list[tuple[int, str]]:
    return [(each.dataset, str(each.state)) for each in client.offers(**asked)]


def on_sale(client: MarketClient, dataset: int) -> SaleView:
    sale = client.dataset(dataset).sale
    assert sale is not None
    return sale


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=open", "state"),
        ("state=LISTED", "state"),
        ("state=", "state"),
        ("buyer=0x12", "buyer"),
        ("buyer=", "buyer"),
        ("seller=somebody", "seller"),
    ],
)
def test_a_filter_that_there_is_not_is_refused_and_named(api: Api, query: str, field: str) -> None:
    answer = api.call("GET", f"/v1/offers?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_nothing_is_changed_at_the_address_of_the_list(api: Api) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert api.call(method, "/v1/offers", {}).status_code == 405


def test_nothing_is_offered_at_first(market: Memory, client: MarketClient) -> None:
    assert client.offers() == ()
    assert client.dataset(1).sale is None


def test_offers_are_listed_newest_first_and_found_by_buyer_seller_and_state(
    market: Memory, client: MarketClient
) -> None:
    for number, events in enumerate(every_way_to_end(), 2):
        add(market, number, *events)
    assert seen(client) == [
        (3, "sold"), (1, "accepted"), (2, "rejected"), (1, "expired"), (2, "unlisted"), (1, "unlisted"),
    ]  # fmt: skip
    assert seen(client, buyer=CAT) == [(1, "accepted")]
    assert seen(client, buyer=BEN) == [(3, "sold"), (2, "rejected"), (1, "expired")]
    assert seen(client, seller=CAT) == [(2, "rejected")]
    assert seen(client, seller=ANN, state=OfferState.UNLISTED) == [(2, "unlisted"), (1, "unlisted")]
    assert seen(client, buyer=BEN, state=OfferState.SOLD) == [(3, "sold")]
    assert seen(client, buyer=ANN) == seen(client, state=OfferState.LISTED) == []


def test_an_offer_says_what_a_buyer_has_to_know(market: Memory, client: MarketClient, api: Api) -> None:
    add(market, 2, listed(2))
    (offer,) = client.offers()
    assert (offer.price_wei, offer.seller, offer.buyer, offer.deadline) == (2**95, ANN, None, None)
    assert (offer.rows, offer.dataset_status, offer.collection) == (60, "valid", None)
    assert api.call("GET", "/v1/offers").json()["offers"][0]["priceWei"] == str(2**95)
    add(market, 3, listed(2, price=9))
    (cheaper,) = client.offers()
    assert (cheaper.price_wei, cheaper.block, offer.block) == (9, 3, 2)
    assert cheaper.transaction != offer.transaction
    add(market, 4, sold(2, price=9))
    (bought,) = client.offers()
    assert (bought.state, bought.buyer, bought.deadline) == (OfferState.SOLD, BEN, 1_900_000_000)
    add(market, 5, delivered(2))
    assert (client.offers()[0].state, client.offers()[0].deadline) == (OfferState.DELIVERED, 1_900_000_500)
    sale = on_sale(client, 2)
    assert sale.to_document().items() <= client.offers()[0].to_document().items()
    add(market, 6, accepted(2))
    (done,) = client.offers()
    assert (done.state, done.buyer, done.deadline) == (OfferState.ACCEPTED, BEN, None)
    assert client.dataset(2).sale is None, "it is not offered any more"


def test_the_page_says_what_a_listed_data_set_costs(market: Memory, api: Api) -> None:
    last_cell = "<td>12.5</td></tr>"
    add(market, 2, listed(2, price=125 * 10**17))
    assert api.call("GET", "/").text.count(last_cell) == 1
    add(market, 3, sold(2, price=125 * 10**17))
    assert last_cell not in api.call("GET", "/").text


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        ((unlisted(1),), "unlisted"),
        ((sold(1), expired(1)), "expired"),
        ((sold(1), delivered(1), rejected(1)), "rejected"),
    ],
)
def test_an_offer_that_ended_leaves_room_for_another(
    market: Memory, client: MarketClient, ending: tuple[ChainEvent, ...], state: str
) -> None:
    add(market, 2, listed(1), *ending)
    assert (seen(client), client.dataset(1).sale) == ([(1, state)], None)
    add(market, 3, listed(1, price=4))
    assert seen(client) == [(1, "listed"), (1, state)]
    assert on_sale(client, 1).price_wei == 4


def test_the_offer_of_a_later_holder_replaces_that_of_an_earlier(
    market: Memory, client: MarketClient
) -> None:
    add(market, 2, listed(1, seller=ANN))
    add(market, 3, listed(1, seller=CAT, price=5))
    assert [(each.seller, each.state) for each in client.offers()] == [
        (CAT, OfferState.LISTED),
        (ANN, OfferState.UNLISTED),
    ]
    assert on_sale(client, 1).seller == CAT


def test_a_replaced_block_takes_offers_and_purchases_with_it(market: Memory, client: MarketClient) -> None:
    chain, _ = market
    add(market, 2, listed(1))
    add(market, 3, sold(1), listed(2))
    assert seen(client) == [(2, "listed"), (1, "sold")]
    chain.cut(2)
    assert add(market, 3, listed(1, price=3), fork="b")[0] == Reorganised(2)
    assert seen(client) == [(1, "listed")]
    (offer,) = client.offers()
    assert (offer.buyer, offer.deadline, offer.price_wei) == (None, None, 3)
    chain.cut(1)
    assert add(market, 2, fork="c")[0] == Reorganised(1)
    assert (client.offers(), client.dataset(1).sale) == ((), None)


def test_the_list_ends_where_every_list_does(
    market: Memory, client: MarketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.offers, "LIST_LIMIT", 2)
    add(market, 2, listed(1), listed(2), listed(3))
    assert seen(client) == [(3, "listed"), (2, "listed")]
    assert seen(client, state=OfferState.UNLISTED) == []


@pytest.fixture(scope="module")
def resold(chain: Chain) -> Iterator[tuple[Market, int]]:
    """The session's chain as a market of accounts, and a settled data set of the account BUYER."""
    accounts = Market(chain.url, ChainReader(chain.url, chain.reader.deployment))
    found = publish(accounts, b"listed by the backend")
    settle(accounts, found)
    yield accounts, found.id
    accounts.close()


def resale(market: Market, number: int) -> Resale:
    signer, writer = market.account(number)
    return Resale(market.chain, writer, signer, MemoryStore())


def test_a_real_sale_is_followed_through_and_a_reorganisation_takes_an_offer_away(
    api: Api, ports: Ports, chain: Chain, client: MarketClient, resold: tuple[Market, int]
) -> None:
    accounts, dataset = resold
    seller, buyer = (accounts.account(number)[0].address for number in (BUYER, SECOND))
    assert api.chain is chain
    follow(ports)
    assert client.offers() == ()

    manifest = sealed_manifest(chain.reader.dataset(dataset).order)
    resale(accounts, BUYER).offer(dataset, 7 * ETHER, manifest, KEY)
    follow(ports)
    (offer,) = client.offers(state=OfferState.LISTED)
    assert (offer.dataset, offer.price_wei, offer.seller) == (dataset, 7 * ETHER, seller)
    assert offer.rows == client.dataset(dataset).rows > 0
    assert on_sale(client, dataset).transaction == offer.transaction

    chain.reader.rpc.request("anvil_reorg", 1, [])
    assert isinstance(Follower(ports).step(), Reorganised)
    follow(ports)
    assert (client.offers(), client.dataset(dataset).sale) == ((), None)

    resale(accounts, BUYER).offer(dataset, 8 * ETHER, manifest, KEY)
    resale(accounts, SECOND).buy(dataset, 8 * ETHER, manifest, DeliveryKey(b"\x41" * 32))
    follow(ports)
    (bought,) = client.offers(buyer=buyer)
    on_chain = accounts.chain.sale(dataset)
    assert (bought.state, bought.price_wei, bought.seller) == (OfferState.SOLD, on_chain.price, seller)
    assert bought.deadline == on_chain.deadline > 0

    resale(accounts, BUYER).deliver(dataset, manifest, KEY)
    follow(ports)
    (delivered_,) = client.offers(state=OfferState.DELIVERED)
    assert delivered_.deadline == accounts.chain.sale(dataset).deadline > on_chain.deadline
    resale(accounts, SECOND).accept(dataset)
    follow(ports)
    assert [each.state for each in client.offers(seller=seller)] == [OfferState.ACCEPTED]
