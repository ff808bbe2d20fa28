"""`tessera resale`: data sets change hands at a list price (docs/spec/market.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.challenge import StoreOption
from tessera.cli.market import DEFAULT_NETWORK, DeliveryKeyFile, NetworkFile, OutFile, WalletFile
from tessera.terminal import say

if TYPE_CHECKING:
    from provenance.chain.ports import TxReceipt
    from provenance.chain.reader import ChainReader
    from provenance.crypto.seal import DeliveryKey
    from provenance.record.manifest import Manifest
    from provenance.store.ports import ContentStore
    from tessera.client.resale import Resale

app = typer.Typer(
    no_args_is_help=True,
    help="Sell a data set that you hold, or buy one from its holder. The contributors get their royalty.",
)
Dataset = Annotated[int, typer.Argument(metavar="DATASET", min=1, help="number of the data set")]
Price = Annotated[str, typer.Option("--price", metavar="TOKENS", help="in whole tokens, such as 12.5")]


def add_to(tessera: typer.Typer) -> None:
    tessera.add_typer(app, name="resale")


@app.command()
def show(dataset: Dataset, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Say whether a data set is for sale, by whom, at which price, and how the seller's earlier sales ended.

    Example: tessera resale show 3
    """
    from provenance.chain.reader import ChainReader
    from tessera.client.order_request import tokens
    from tessera.client.profile import load_profile
    from tessera.client.resale import STATES

    profile = load_profile(network)
    with ChainReader(profile.rpc, profile.deployment) as chain:
        sale = chain.sale(dataset)
        owner = chain.dataset(dataset).owner
        say(f"data set {dataset}: {STATES[sale.state]}")
        if sale.seller is None:
            say(f"holder  {owner}")
            return
        record = chain.sales_record(sale.seller)
        say(
            f"seller  {sale.seller}: {record.sold} sold, {record.rejected} rejected, {record.undelivered} undelivered"
        )
        say(f"price   {tokens(sale.price)} tokens")
        if sale.buyer is not None:
            returned = chain.sales_record(sale.buyer).returned
            say(f"buyer   {sale.buyer}: {returned} returned before")
            say(f"until   {_moment(sale.deadline)}")


@app.command()
def offer(dataset: Dataset, price: Price, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Offer a data set that you hold, or change its price. Its order must be settled.

    Example: tessera resale offer 3 --price 40 --wallet seller.key
    """
    from tessera.client.order_request import parse_tokens

    with _resale(network, wallet) as sales:
        receipt = sales.resale.offer(dataset, parse_tokens(price))
        say(f"data set {dataset} is offered at {price} tokens (transaction {receipt.hash})")


@app.command()
def withdraw(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take an offer back.

    Example: tessera resale withdraw 3 --wallet seller.key
    """
    with _resale(network, wallet) as sales:
        _done(sales.resale.withdraw(dataset), f"data set {dataset} is not offered any more")


@app.command()
def buy(
    dataset: Dataset,
    price: Annotated[str, typer.Option("--max-price", metavar="TOKENS", help="pay no more than this")],
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    store: StoreOption = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Pay the list price. Price and data set wait in the sales contract until the seller delivers the keys.

    The seller has 3 days; then you have 3 days to look (`tessera resale open`) and to accept or reject. It is no fair
    exchange: keys that open nothing are paid for when you do not reject in time.

    Example: tessera resale buy 3 --max-price 40 --wallet buyer.key --key delivery.key
    """
    from tessera.client.order_request import parse_tokens

    with _resale(network, wallet, key, store) as sales:
        is_open = sales.manifest(dataset).terms.is_open
        receipt = sales.resale.buy(dataset, parse_tokens(price), sales.key, is_open=is_open)
        deadline = sales.resale.chain.sale(dataset).deadline
        say(
            f"data set {dataset} is bought (transaction {receipt.hash}); the seller has until {_moment(deadline)} to "
            f"deliver the keys. After that `tessera resale expire {dataset}` brings the price back"
        )


@app.command()
def deliver(
    dataset: Dataset,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    store: StoreOption = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Hand the keys of a sold data set over, wrapped for its buyer. Your delivery key opens them first.

    Example: tessera resale deliver 3 --wallet seller.key --key delivery.key
    """
    with _resale(network, wallet, key, store) as sales:
        receipt = sales.resale.deliver(dataset, sales.manifest(dataset), sales.key)
        until = _moment(sales.resale.chain.sale(dataset).deadline)
        say(
            f"the keys of data set {dataset} are delivered (transaction {receipt.hash}); the buyer may reject until "
            f"{until}, after that `tessera resale accept {dataset}` pays you"
        )


@app.command("open")
def open_rows(
    dataset: Dataset,
    to: OutFile,
    key: DeliveryKeyFile = None,
    store: StoreOption = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Check a data set that was sold to you and write its rows to a file: look before you accept.

    Exit status: 0 written, 1 a check failed or the keys open nothing (reject in time), 2 the key is not yours.

    Example: tessera resale open 3 --key delivery.key --out rows.csv
    """
    from tessera.client.resale import write_rows

    with _resale(network, None, key, store) as sales:
        rows = write_rows(sales.chain, sales.store, dataset, sales.key, to)
        say(f"{to}: {rows:,} rows of data set {dataset}, every check passed")


@app.command()
def accept(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """End a sale: the seller is paid, the contributors get their royalty, the data set is the buyer's.

    The buyer at once; anybody when the time to reject is over. Example: tessera resale accept 3 --wallet buyer.key
    """
    with _resale(network, wallet) as sales:
        receipt = sales.resale.accept(dataset)
        owner = sales.resale.chain.dataset(dataset).owner
        _done(
            receipt, f"data set {dataset} belongs to {owner} now; the seller's part waits for `tessera claim`"
        )


@app.command()
def reject(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Undo a sale whose keys open nothing, in time: your price waits for `tessera claim`.

    Example: tessera resale reject 3 --wallet buyer.key
    """
    with _resale(network, wallet) as sales:
        _done(
            sales.resale.reject(dataset),
            f"data set {dataset} went back; your price waits for `tessera claim`",
        )


@app.command()
def expire(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Undo a sale whose seller delivered nothing in time. Anybody may.

    Example: tessera resale expire 3 --wallet buyer.key
    """
    with _resale(network, wallet) as sales:
        _done(
            sales.resale.expire(dataset), f"data set {dataset} went back; the price waits for `tessera claim`"
        )


@dataclass(frozen=True, slots=True)
class _Sales:
    """A wallet's sales (None without a wallet) and where the files are."""

    wallets: Resale | None
    chain: ChainReader
    store: ContentStore
    key: DeliveryKey | None

    @property
    def resale(self) -> Resale:
        assert self.wallets is not None, "commands that send ask for a wallet"
        return self.wallets

    def manifest(self, dataset: int) -> Manifest:
        from tessera.client.resale import read_manifest

        return read_manifest(self.chain, self.store, dataset)


@contextmanager
def _resale(
    network: Path, wallet: Path | None, key: Path | None = None, store: str | None = None
) -> Iterator[_Sales]:
    from provenance.chain.reader import ChainReader
    from provenance.chain.writer import ChainWriter
    from provenance.crypto.seal import load_delivery_key
    from provenance.crypto.signing import load_key
    from tessera.cli.verify import open_store
    from tessera.client.api import BuyerApi
    from tessera.client.delivery import MarketStore
    from tessera.client.profile import load_profile
    from tessera.client.resale import Resale

    profile = load_profile(network)
    delivery_key = None if key is None else load_delivery_key(key)
    with ChainReader(profile.rpc, profile.deployment) as chain, BuyerApi(profile.api) as api:
        signer = None if wallet is None else load_key(wallet)
        resale = None if signer is None else Resale(chain, ChainWriter(chain, signer), signer)
        yield _Sales(resale, chain, MarketStore(api) if store is None else open_store(store), delivery_key)


def _done(receipt: TxReceipt, words: str) -> None:
    say(f"{words} (transaction {receipt.hash})")


def _moment(chain_seconds: int) -> str:
    """Chain time as people read it."""
    return datetime.fromtimestamp(chain_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
