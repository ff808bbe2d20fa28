"""Resale and what waits to be fetched, over a real chain: the client's rules and the contract's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.chain.errors import RevertError
from provenance.chain.sale_events import DatasetSold, KeysDelivered, SaleAccepted, SaleExpired
from provenance.chain.sales import SaleState
from provenance.crypto.permit import NO_PERMIT
from provenance.crypto.seal import DeliveryKey
from provenance.crypto.signing import Signer
from provenance.values import Address, keccak256
from tessera.client.resale import Resale
from tessera.client.rewards import Rewards, SignedPayout
from tessera.errors import TesseraError, UsageError
from tests.anvil import running_anvil
from tests.provenance.chain.conftest import ETHER, Market, deployed
from tests.provenance.chain.test_derived_order import Published, publish, settle
from tests.provenance.chain.test_life_of_an_order import BUYER, NODES

THREE_DAYS = 3 * 86_400
SECOND, STRANGER = 81, 82
KEPT_SLOT = 3
"""Storage slot of the mapping of deposits that could not be sent (Demands._kept)."""


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """On a chain of its own: hours are skipped here."""
    with running_anvil() as url, deployed(url) as market:
        yield market


@pytest.fixture(scope="module")
def dataset(market: Market) -> int:
    """A settled, open data set of the account BUYER."""
    found = publish(market, b"to be sold")
    settle(market, found)
    return found.id


def resale(market: Market, number: int) -> Resale:
    signer, writer = market.account(number)
    return Resale(market.chain, writer, signer)


def rewards(market: Market, number: int) -> Rewards:
    signer, writer = market.account(number)
    return Rewards(market.chain, writer, signer)


def test_refuses_to_offer_what_another_holds_or_what_is_not_settled(market: Market, dataset: int) -> None:
    with pytest.raises(TesseraError, match="belongs to"):
        resale(market, STRANGER).offer(dataset, ETHER)
    unsettled: Published = publish(market, b"still in its window")
    with pytest.raises(TesseraError, match="once its challenge window is over"):
        resale(market, BUYER).offer(unsettled.id, ETHER)


def test_refuses_steps_out_of_order(market: Market, dataset: int) -> None:
    second = resale(market, SECOND)
    for step in (second.accept, second.reject, second.expire, second.withdraw):
        with pytest.raises(TesseraError, match="is not offered; expected"):
            step(dataset)


def test_a_sale_whose_seller_delivers_nothing_is_undone_by_anybody(market: Market, dataset: int) -> None:
    chain = market.chain
    resale(market, BUYER).offer(dataset, 7 * ETHER)
    with pytest.raises(TesseraError, match="offered at 7 tokens, you agreed to 6 tokens"):
        resale(market, SECOND).buy(dataset, 6 * ETHER, None, is_open=True)
    with pytest.raises(UsageError, match="is sealed"):
        resale(market, SECOND).buy(dataset, 7 * ETHER, None, is_open=False)
    resale(market, SECOND).buy(dataset, 7 * ETHER, None, is_open=True)
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
    assert chain.claimable(market.account(SECOND)[0].address) - before == 7 * ETHER
    assert chain.dataset(dataset).owner == market.account(BUYER)[0].address
    assert chain.sales_record(market.account(BUYER)[0].address).undelivered == 1
    last = chain.events(chain.block_number(), chain.block_number())
    assert SaleExpired in [type(event) for event in last]


def test_a_delivered_sale_pays_seller_and_contributors_even_when_the_buyer_falls_silent(
    market: Market, dataset: int
) -> None:
    chain, seller = market.chain, market.account(BUYER)[0].address
    key = DeliveryKey(b"\x31" * 32)
    resale(market, BUYER).offer(dataset, 8 * ETHER)
    resale(market, SECOND).buy(dataset, 8 * ETHER, key, is_open=False)
    assert chain.resold_keys(dataset, key.public) is None
    _, writer = market.account(BUYER)
    writer.deliver_keys(dataset, b"keys")
    assert chain.resold_keys(dataset, key.public) == b"keys"
    assert chain.resold_keys(dataset, DeliveryKey(b"\x32" * 32).public) is None
    with pytest.raises(TesseraError, match="was bought by"):
        resale(market, STRANGER).reject(dataset)
    with pytest.raises(RevertError) as caught:
        resale(market, STRANGER).accept(dataset)
    assert caught.value.name == "DatasetSales_TooEarly"
    market.skip(THREE_DAYS + 1)
    owed, pot = chain.claimable(seller), chain.dataset_balance(dataset)
    resale(market, STRANGER).accept(dataset)
    royalty = 8 * ETHER * 250 // 10_000
    assert chain.claimable(seller) - owed == 8 * ETHER - royalty
    assert chain.dataset_balance(dataset) - pot == royalty
    assert chain.dataset(dataset).owner == market.account(SECOND)[0].address
    names = {event.name for event in chain.events(0, chain.block_number())}
    assert {DatasetSold.__name__, KeysDelivered.__name__, SaleAccepted.__name__} <= names


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
    market: Market, dataset: int
) -> None:
    """The account SECOND holds the data set by now."""
    chain, (holder, writer) = market.chain, market.account(SECOND)
    resale(market, SECOND).offer(dataset, ETHER)
    assert chain.stands(chain.sale(dataset))
    writer._send("datasets", "approve", Address(bytes(20)), dataset)
    assert not chain.stands(chain.sale(dataset))
    with pytest.raises(TesseraError, match=r"cannot be bought: its seller .* took back the approval"):
        resale(market, 83).buy(dataset, ETHER, None, is_open=True)
    writer.approve_sale(dataset)
    keeper = market.account(84)[0].address
    writer._send("datasets", "transferFrom", holder.address, keeper, dataset)
    assert chain.sale(dataset).state is SaleState.LISTED, "the contract's own word has not changed"
    assert not chain.stands(chain.sale(dataset))
    with pytest.raises(TesseraError, match=f"parted with it.* Its holder {keeper} can offer it again"):
        resale(market, 83).buy(dataset, ETHER, None, is_open=True)
    market.account(84)[1]._send("datasets", "transferFrom", keeper, holder.address, dataset)
    resale(market, SECOND).withdraw(dataset)
    assert not chain.stands(chain.sale(dataset)), "it is not offered"


def test_a_price_that_is_not_paid_by_permit_needs_an_approval(market: Market, dataset: int) -> None:
    _, second = market.account(SECOND)
    resale(market, SECOND).offer(dataset, ETHER)
    _, third = market.account(83)
    with pytest.raises(RevertError):
        third.buy(dataset, ETHER, DeliveryKey(b"\x33" * 32).public, NO_PERMIT)
    resale(market, SECOND).withdraw(dataset)
    assert market.chain.sale(dataset).state is SaleState.NONE
    assert second.address == market.chain.dataset(dataset).owner
    assert market.chain.sale(dataset).seller is None
