"""Resale and what waits to be fetched, over a real chain: the client's rules and the contract's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState
from provenance.chain.sale_events import (
    DatasetSold,
    KeysDelivered,
    KeysPromised,
    SaleAccepted,
    SaleExpired,
)
from provenance.chain.sales import OfferTaken, SaleState
from provenance.crypto.permit import NO_PERMIT
from provenance.crypto.resold_keys import SaleKey, masked_keys
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey
from provenance.crypto.signing import Signer
from provenance.errors import KeyNotReleasedError, WrongKeyError
from provenance.record.manifest import Manifest
from provenance.values import Address, keccak256, sha256
from provenance.verify.opening import content_keys
from tessera.client.resale import Resale
from tessera.client.rewards import Rewards, SignedPayout
from tessera.errors import TesseraError, UsageError
from tests.anvil import running_anvil
from tests.memory import MemoryStore
from tests.provenance.chain.conftest import ETHER, Market, deployed
from tests.provenance.chain.sealed_manifest import content_key, sealed_manifest
from tests.provenance.chain.test_derived_order import Published, publish, settle
from tests.provenance.chain.test_life_of_an_order import BUYER, NODES, make_terms
from tests.provenance.verify.publication import KEY, Builder

THREE_DAYS = 3 * 86_400
SECOND, STRANGER = 81, 82
SECOND_KEY = DeliveryKey(b"\x41" * 32)
KEPT_SLOT = 3
"""Storage slot of the mapping of deposits that could not be sent (Demands._kept)."""


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """On a chain of its own: hours are skipped here."""
    with running_anvil() as url, deployed(url) as market:
        yield market


@pytest.fixture(scope="module")
def dataset(market: Market) -> int:
    """A settled data set of the account BUYER; what was published of it nobody looks at but in `manifest`."""
    found = publish(market, b"to be sold")
    settle(market, found)
    return found.id


@pytest.fixture(scope="module")
def manifest(market: Market, dataset: int) -> Manifest:
    return sealed_manifest(market.chain.dataset(dataset).order)


@pytest.fixture(scope="module")
def an_open_one() -> Manifest:
    return Builder(is_open=True).build().manifest


def resale(market: Market, number: int) -> Resale:
    signer, writer = market.account(number)
    return Resale(market.chain, writer, signer, MemoryStore())


def rewards(market: Market, number: int) -> Rewards:
    signer, writer = market.account(number)
    return Rewards(market.chain, writer, signer)


def test_refuses_to_offer_what_another_holds_or_what_is_not_settled(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    with pytest.raises(TesseraError, match="belongs to"):
        resale(market, STRANGER).offer(dataset, ETHER, manifest, KEY)
    unsettled: Published = publish(market, b"still in its window")
    with pytest.raises(TesseraError, match="once its challenge window is over"):
        resale(market, BUYER).offer(unsettled.id, ETHER, manifest, KEY)


def test_refuses_steps_out_of_order(market: Market, dataset: int, manifest: Manifest) -> None:
    second = resale(market, SECOND)
    for step in (second.accept, second.expire, second.withdraw):
        with pytest.raises(TesseraError, match="is not offered; expected"):
            step(dataset)
    for judged in (second.deliver, second.reject):
        with pytest.raises(TesseraError, match="is not offered; expected"):
            judged(dataset, manifest, KEY)


def test_offers_no_keys_that_it_cannot_deliver(market: Market, dataset: int, manifest: Manifest) -> None:
    seller = resale(market, BUYER)
    with pytest.raises(UsageError, match="name your delivery key"):
        seller.offer(dataset, ETHER, manifest, None)
    with pytest.raises(WrongKeyError, match="no seller delivered keys for yours"):
        seller.offer(dataset, ETHER, manifest, SECOND_KEY)
    score = replace(manifest.score, key_commitment=sha256(b"of another key"))
    with pytest.raises(TesseraError, match=f"the key of shard {SCORE_SHARD} is not the one"):
        seller.offer(dataset, ETHER, replace(manifest, score=score), KEY)
    released = MemoryStore()
    of_now = sealed_manifest(manifest.order, released=released)
    with pytest.raises(KeyNotReleasedError, match="shard 0 cannot be opened"):
        seller.offer(dataset, ETHER, of_now, KEY)
    with pytest.raises(TesseraError, match=r"the deposit of the offer is 1,000,000 tokens"):
        replace(seller, store=released).offer(dataset, 10_000_000 * ETHER, of_now, KEY)
    with pytest.raises(TesseraError, match=r"the deposit of the offer is 1,000,000 tokens"):
        seller.offer(dataset, 10_000_000 * ETHER, manifest, KEY)


def test_a_buyer_pays_for_no_other_keys_than_the_makers(
    market: Market, dataset: int, manifest: Manifest, an_open_one: Manifest
) -> None:
    seller, second = resale(market, BUYER), resale(market, SECOND)
    seller.offer(dataset, 7 * ETHER, manifest, KEY)
    with pytest.raises(TesseraError, match="offered at 7 tokens, you agreed to 6 tokens"):
        second.buy(dataset, 6 * ETHER, manifest, SECOND_KEY)
    with pytest.raises(UsageError, match="is sealed"):
        second.buy(dataset, 7 * ETHER, manifest, None)
    with pytest.raises(TesseraError, match="the offer is of 3 keys, the data set has 0"):
        second.buy(dataset, 7 * ETHER, an_open_one, SECOND_KEY)
    older = sealed_manifest(manifest.order, commits_to_keys=False)
    with pytest.raises(TesseraError, match=r"no fair exchange: .*\(trust_seller=\)"):
        second.buy(dataset, 7 * ETHER, older, SECOND_KEY)
    _, writer = market.account(BUYER)
    writer.list_for_sale(dataset, 7 * ETHER, [sha256(b"of no file")] * 3)
    with pytest.raises(TesseraError, match=r"promises key 0 with .* the seller would deliver another key"):
        second.buy(dataset, 7 * ETHER, manifest, SECOND_KEY)
    promised = market.chain.sale(dataset).promised
    seller.offer(dataset, 7 * ETHER, manifest, KEY)
    _, buyer = market.account(SECOND)
    buyer.approve(market.chain.deployment.sales, 7 * ETHER)
    with pytest.raises(RevertError) as caught:
        buyer.buy(OfferTaken(dataset, 7 * ETHER, promised, SaleKey(1).point), NO_PERMIT)
    assert caught.value.name == "DatasetSales_WrongPromise"
    buyer.approve(market.chain.deployment.sales, 0)
    seller.withdraw(dataset)


def test_deposits_of_offers_add_up(market: Market, dataset: int, manifest: Manifest) -> None:
    chain, seller = market.chain, resale(market, BUYER)
    me, sales = seller.signer.address, chain.deployment.sales
    before = chain.allowance(me, sales)
    seller.offer(dataset, 7 * ETHER, manifest, KEY)
    assert chain.allowance(me, sales) - before == 7 * ETHER // 10
    seller.offer(dataset, 9 * ETHER, manifest, KEY)
    assert chain.allowance(me, sales) - before == 9 * ETHER // 10
    assert chain.stands(chain.sale(dataset))
    market.account(BUYER)[1].approve(sales, 9 * ETHER // 10 - 1)
    assert not chain.stands(chain.sale(dataset)), "the deposit cannot be taken"
    seller.withdraw(dataset)


def test_a_sale_whose_seller_delivers_nothing_is_undone_by_anybody(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    chain = market.chain
    resale(market, BUYER).offer(dataset, 7 * ETHER, manifest, KEY)
    resale(market, SECOND).buy(dataset, 7 * ETHER, manifest, SECOND_KEY)
    sale = chain.sale(dataset)
    assert (sale.state, sale.buyer, sale.price) == (
        SaleState.SOLD, market.account(SECOND)[0].address, 7 * ETHER,
    )  # fmt: skip
    with pytest.raises(RevertError) as caught:
        resale(market, STRANGER).expire(dataset)
    assert caught.value.name == "DatasetSales_TooEarly"
    market.skip(THREE_DAYS + 1)
    before = chain.claimable(market.account(SECOND)[0].address)
    resale(market, STRANGER).expire(dataset)
    assert chain.claimable(market.account(SECOND)[0].address) - before == 77 * ETHER // 10
    assert chain.dataset(dataset).owner == market.account(BUYER)[0].address
    assert chain.sales_record(market.account(BUYER)[0].address).undelivered == 1
    last = chain.events(chain.block_number(), chain.block_number())
    assert SaleExpired in [type(event) for event in last]


def test_a_wrong_key_is_proven_and_the_price_comes_back_with_the_deposit(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    """What Python masks, the contract opens; the seller is one with a program of its own."""
    chain, (seller, writer) = market.chain, market.account(BUYER)
    second = resale(market, SECOND)
    resale(market, BUYER).offer(dataset, 8 * ETHER, manifest, KEY)
    second.buy(dataset, 8 * ETHER, manifest, SECOND_KEY)
    keys = [(0, content_key(0)), (1, content_key(7)), (SCORE_SHARD, content_key(SCORE_SHARD))]
    writer.deliver_keys(dataset, masked_keys(keys, manifest.order, chain.sale(dataset).point))
    with pytest.raises(UsageError, match="name the delivery key"):
        second.reject(dataset, manifest, None)
    with pytest.raises(TesseraError, match=r"was bought by .* with another delivery key"):
        second.reject(dataset, manifest, DeliveryKey(b"\x32" * 32))
    before = chain.claimable(second.signer.address)
    # Whoever has the delivery key can show it, and gains nothing by that.
    resale(market, STRANGER).reject(dataset, manifest, SECOND_KEY)
    assert chain.claimable(second.signer.address) - before == 88 * ETHER // 10
    assert chain.dataset(dataset).owner == seller.address
    assert chain.sales_record(seller.address).rejected == 1


def test_a_delivered_sale_pays_seller_and_contributors_even_when_the_buyer_falls_silent(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    chain, seller = market.chain, market.account(BUYER)[0].address
    second = resale(market, SECOND)
    resale(market, BUYER).offer(dataset, 8 * ETHER, manifest, KEY)
    second.buy(dataset, 8 * ETHER, manifest, SECOND_KEY)
    points = [bought.point for bought in chain.purchases(dataset)]
    assert len(set(points)) == 3, (
        "of each purchase its own: the first one's secret is public since it was shown"
    )
    with pytest.raises(WrongKeyError):
        content_keys(
            chain, chain.dataset(dataset), replace(manifest, order=sha256(b"x")), DeliveryKey(b"\x32" * 32)
        )
    with pytest.raises(TesseraError, match="is sold by"):
        second.deliver(dataset, manifest, KEY)
    resale(market, BUYER).deliver(dataset, manifest, KEY)
    opened = content_keys(chain, chain.dataset(dataset), manifest, SECOND_KEY)
    assert opened.unwrap(b"", manifest.order, 1) == content_key(1)
    with pytest.raises(TesseraError, match=r"every key .* is the one that was promised"):
        second.reject(dataset, manifest, SECOND_KEY)
    with pytest.raises(RevertError) as caught:
        resale(market, STRANGER).accept(dataset)
    assert caught.value.name == "DatasetSales_TooEarly"
    market.skip(THREE_DAYS + 1)
    owed, pot = chain.claimable(seller), chain.dataset_balance(dataset)
    resale(market, STRANGER).accept(dataset)
    royalty = 8 * ETHER * 250 // 10_000
    assert chain.claimable(seller) - owed == 8 * ETHER - royalty + 8 * ETHER // 10
    assert chain.dataset_balance(dataset) - pot == royalty
    assert chain.dataset(dataset).owner == market.account(SECOND)[0].address
    names = {event.name for event in chain.events(0, chain.block_number())}
    assert {KeysPromised.__name__, DatasetSold.__name__, KeysDelivered.__name__} <= names
    assert SaleAccepted.__name__ in names


def test_marketplace_royalties_are_collected_and_divided_by_anybody(market: Market, dataset: int) -> None:
    chain, stranger = market.chain, rewards(market, STRANGER)
    assert stranger.collect_royalties(dataset) is None
    market.account(STRANGER)[1].transfer(chain.royalty_receiver(dataset), ETHER)
    pot = chain.dataset_balance(dataset)
    assert stranger.collect_royalties(dataset) is not None
    assert chain.dataset_balance(dataset) - pot == ETHER
    before = [chain.claimable(market.account(number)[0].address) for number in NODES]
    stranger.divide_royalties(dataset)
    after = [chain.claimable(market.account(number)[0].address) for number in NODES]
    assert [b - a for a, b in zip(before, after, strict=True)] == [
        (pot + ETHER) * share // 10_000 for share in (5000, 3000, 2000)
    ]


def test_a_deposit_that_could_not_be_sent_comes_with_the_claim(market: Market) -> None:
    """The market's own token never refuses a transfer, so the debt is written where the contract keeps it."""
    chain, (signer, _) = market.chain, market.account(91)
    demands = chain.deployment.demands
    assert chain.deposit_waiting(signer.address) == 0
    assert rewards(market, 91).claim().receipts == ()
    slot = keccak256(bytes(12) + signer.address + KEPT_SLOT.to_bytes(32, "big"))
    market.bank.mint(demands, 3 * ETHER)
    chain.rpc.request(
        "anvil_setStorageAt", str(demands), str(slot), "0x" + (3 * ETHER).to_bytes(32, "big").hex()
    )
    market.mine(1)
    assert chain.deposit_waiting(signer.address) == 3 * ETHER
    before = chain.balance(signer.address)
    claimed = rewards(market, STRANGER).claim(signer.address)
    assert (claimed.rewards_wei, claimed.deposit_wei) == (0, 3 * ETHER)
    assert chain.balance(signer.address) - before == 3 * ETHER


def test_a_payout_rotation_is_signed_by_the_present_address_and_counts_once(
    market: Market, tmp_path: Path
) -> None:
    owner, other = rewards(market, 92), Signer(b"\x5c" * 32).address
    account = owner.signer.address
    with pytest.raises(TesseraError, match="only that address can name another"):
        rewards(market, STRANGER).sign_payout(account, other, 600)
    file = tmp_path / "rotation.json"
    owner.sign_payout(account, other, 600).write(file)
    with pytest.raises(UsageError, match="would be overwritten"):
        owner.sign_payout(account, other, 600).write(file)
    signed = SignedPayout.read(file)
    rewards(market, STRANGER).send_payout(signed)
    assert market.chain.payout_of(account) == other
    with pytest.raises(TesseraError, match="Sign anew"):
        rewards(market, STRANGER).send_payout(signed)


def test_files_of_another_kind_are_no_rotation(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text("not json", encoding="utf-8")
    with pytest.raises(UsageError, match="expected a tessera-payout/1 document"):
        SignedPayout.read(file)


def test_an_offer_that_stands_no_longer_is_refused_before_anything_is_signed(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    """The account SECOND holds the data set by now."""
    chain, (holder, writer) = market.chain, market.account(SECOND)
    resale(market, SECOND).offer(dataset, ETHER, manifest, SECOND_KEY)
    assert chain.stands(chain.sale(dataset))
    writer._send("datasets", "approve", Address(bytes(20)), dataset)
    assert not chain.stands(chain.sale(dataset))
    with pytest.raises(TesseraError, match=r"cannot be bought: its seller .* took back the approval"):
        resale(market, 83).buy(dataset, ETHER, manifest, KEY)
    writer.approve_sale(dataset)
    keeper = market.account(84)[0].address
    writer._send("datasets", "transferFrom", holder.address, keeper, dataset)
    assert chain.sale(dataset).state is SaleState.LISTED, "the contract's own word has not changed"
    assert not chain.stands(chain.sale(dataset))
    with pytest.raises(TesseraError, match=f"parted with it.* Its holder {keeper} can offer it again"):
        resale(market, 83).buy(dataset, ETHER, manifest, KEY)
    market.account(84)[1]._send("datasets", "transferFrom", keeper, holder.address, dataset)
    resale(market, SECOND).withdraw(dataset)
    assert not chain.stands(chain.sale(dataset)), "it is not offered"


def test_an_open_data_set_is_the_buyers_at_once(market: Market, dataset: int, an_open_one: Manifest) -> None:
    chain, (holder, _) = market.chain, market.account(SECOND)
    held = chain.balance(holder.address)
    resale(market, SECOND).offer(dataset, ETHER, an_open_one, None)
    with pytest.raises(TesseraError, match="the offer is of 0 keys, the data set has 3"):
        resale(market, 83).buy(dataset, ETHER, sealed_manifest(an_open_one.order), KEY)
    resale(market, 83).buy(dataset, ETHER, an_open_one, None)
    assert chain.dataset(dataset).owner == market.account(83)[0].address
    assert chain.sale(dataset).state is SaleState.NONE
    assert chain.balance(holder.address) == held, "no deposit was taken"
    market.account(83)[1]._send(
        "datasets", "transferFrom", market.account(83)[0].address, holder.address, dataset
    )


def test_a_price_that_is_not_paid_by_permit_needs_an_approval(
    market: Market, dataset: int, manifest: Manifest
) -> None:
    _, second = market.account(SECOND)
    resale(market, SECOND).offer(dataset, ETHER, manifest, SECOND_KEY)
    _, third = market.account(83)
    with pytest.raises(RevertError):
        third.buy(
            OfferTaken(dataset, ETHER, market.chain.sale(dataset).promised, SaleKey(3).point), NO_PERMIT
        )
    resale(market, SECOND).withdraw(dataset)
    assert market.chain.sale(dataset).state is SaleState.NONE
    assert second.address == market.chain.dataset(dataset).owner
    assert market.chain.sale(dataset).seller is None


def test_signed_terms_that_were_never_placed_can_be_taken_back(market: Market) -> None:
    signer, writer = market.account(BUYER)
    terms = make_terms(market, b"thought better of it")
    signature = signer.sign_typed(market.chain.domain, terms)
    writer.cancel(terms)
    assert market.chain.order(terms.order_id(market.chain.domain)).state is OrderState.CANCELLED
    with pytest.raises(RevertError) as caught:
        market.account(STRANGER)[1].place(terms, signature, NO_PERMIT)
    assert caught.value.name == "OrderEscrow_WrongState"
