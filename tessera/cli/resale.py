"""`tessera resale`: data sets change hands at a list price (docs/spec/market.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.units import local_time
from tessera.cli.options import (
    DEFAULT_NETWORK,
    HELP_NAMES,
    DeliveryKeyFile,
    JsonOption,
    NetworkFile,
    OtherStore,
    OutFile,
    OverwriteOption,
    WalletFile,
    examples,
    open_client,
)
from tessera.terminal import out, remark, say, say_json
from tessera.words import parse_tokens

if TYPE_CHECKING:
    from provenance.api.catalogue import OfferView
    from provenance.chain.ports import TxReceipt
    from provenance.chain.reader import ChainReader
    from provenance.crypto.seal import DeliveryKey
    from provenance.record.manifest import Manifest
    from provenance.store.ports import ContentStore
    from tessera.client.client import Client
    from tessera.client.resale import Resale

app = typer.Typer(
    no_args_is_help=True,
    context_settings=HELP_NAMES,
    help="Sell a data set that you hold, or buy one from its holder. The contributors get their royalty.",
)
Dataset = Annotated[int, typer.Argument(metavar="DATASET", min=1, help="number of the data set")]
Price = Annotated[str, typer.Option("--price", metavar="TOKENS", help="in whole tokens, such as 12.5")]


def add_to(tessera: typer.Typer) -> None:
    tessera.add_typer(app, name="resale", rich_help_panel="Owed and resold")


@app.command(
    "list",
    epilog=examples(
        "resale list",
        "resale list --seller 0x... --state sold",
        "resale list --buyer 0x...",
        "resale list --json",
    ),
)
def list_offers(
    state: Annotated[
        str | None,
        typer.Option(
            help="listed, sold, delivered, accepted, rejected, expired, unlisted or all; left out: listed, but all of "
            "a --buyer or --seller"
        ),
    ] = None,
    buyer: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="only what this account bought")
    ] = None,
    seller: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="only what this account offers or sold")
    ] = None,
    network: NetworkFile = DEFAULT_NETWORK,
    as_json: JsonOption = False,
) -> None:
    """List the data sets that are for sale, newest offer first, as the market knows them.

    The chain has the last word: `tessera resale show` asks it about one of them, and so does `tessera resale buy`.
    """
    from provenance.values import Address

    of_buyer, of_seller = (None if each is None else Address.parse(each) for each in (buyer, seller))
    with open_client(network) as client:
        found = client.offers(state=state, buyer=of_buyer, seller=of_seller)
        if as_json:
            say_json([each.to_document() for each in found])
        else:
            _show_offers(found, client)


def _show_offers(found: Sequence[OfferView], client: Client) -> None:
    from rich.table import Table
    from rich.text import Text

    names = {each.id: each.name for each in client.api.collections()} if found else {}
    now = client.chain.chain_time() if any(each.deadline for each in found) else 0
    table = Table(title=f"offers at {client.profile.api}", title_justify="left")
    for heading in ("data set", "collection", "rows", "price", "state", "until", "seller", "buyer"):
        table.add_column(heading, overflow="fold")
    for each in found:
        flaw = "" if each.dataset_status == "valid" else f" ({each.dataset_status})"
        cells = (
            f"{each.dataset}{flaw}",
            "" if each.collection is None else names.get(each.collection, str(each.collection)),
            f"{each.rows:,}",
            client.unit.shown(each.price_wei),
            each.state,
            "" if each.deadline is None else local_time(each.deadline, now),
            str(each.seller),
            "" if each.buyer is None else str(each.buyer),
        )
        table.add_row(*map(Text, cells))
    out.print(table)


@app.command(epilog=examples("resale show 3"))
def show(dataset: Dataset, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Say whether a data set is for sale, by whom, at which price, and how the seller's earlier sales ended."""
    from provenance.chain.sales import NOTHING_PROMISED, SaleState
    from tessera.client.resale import FALLEN, STATES

    with open_client(network) as client:
        chain = client.chain
        sale = chain.sale(dataset)
        held = chain.dataset(dataset)
        say(f"data set {dataset}: {STATES[sale.state]}")
        if held.revoked:
            standing, revoked = (
                sum(each.rows for each in held.standing),
                ", ".join(map(str, sorted(held.revoked))),
            )
            say(f"rows    {standing:,} of {held.rows:,}: shard {revoked} was shown to be false, or withheld")
        if sale.seller is None:
            say(f"holder  {held.owner}")
            return
        record = chain.sales_record(sale.seller)
        say(
            f"seller  {sale.seller}: {record.sold} sold, {record.rejected} with wrong keys, {record.undelivered} "
            "undelivered"
        )
        say(f"price   {client.unit.shown(sale.price)}")
        if sale.promised == NOTHING_PROMISED:
            say("keys    none: the data set is offered as an open one")
        else:
            say(
                f"deposit {client.unit.shown(chain.deposit_of(sale.price))}, yours when keys are late or wrong"
            )
            say(f"keys    {_whose_word(client, dataset)}")
        if sale.state is SaleState.LISTED and not chain.stands(sale):
            say(f"cannot be bought: the seller {FALLEN}")
        if sale.buyer is not None:
            say(f"buyer   {sale.buyer}")
            say(f"until   {local_time(sale.deadline, chain.chain_time())}")


def _whose_word(client: Client, dataset: int) -> str:
    """Who answers for the keys of an offer."""
    from tessera.client.resale import is_fair, read_manifest

    if is_fair(read_manifest(client.chain, client.store(None), dataset)):
        return "committed to by those who made the data set: the chain takes the price back for a wrong one"
    return "no fair exchange: the seller's word alone says which keys are right"


@app.command(epilog=examples("resale offer 3 --price 40 --wallet seller.key --key delivery.key"))
def offer(
    dataset: Dataset,
    price: Price,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    store: OtherStore = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Offer a data set that you hold, or change its price. Its order must be settled.

    Once it is bought you have 3 days to deliver the keys (`tessera resale deliver`). Late or wrong keys cost you a
    deposit of a tenth of the price, which the purchase takes from your wallet and the payment brings back.
    """
    with _resale(network, wallet, key, store) as sales:
        unit = sales.client.unit
        price_wei = parse_tokens(price, unit)
        receipt = sales.resale.offer(dataset, price_wei, sales.manifest(dataset), sales.key)
        say(f"data set {dataset} is offered at {unit.shown(price_wei)} (transaction {receipt.hash})")


@app.command(epilog=examples("resale withdraw 3 --wallet seller.key"))
def withdraw(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take an offer back."""
    with _resale(network, wallet) as sales:
        _done(sales.resale.withdraw(dataset), f"data set {dataset} is not offered any more")


@app.command(epilog=examples("resale buy 3 --max-price 40 --wallet buyer.key --key delivery.key"))
def buy(
    dataset: Dataset,
    price: Annotated[str, typer.Option("--max-price", metavar="TOKENS", help="pay no more than this")],
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    trust_seller: Annotated[
        bool,
        typer.Option(
            "--trust-seller",
            help="buy also where only the seller says which keys are right, as for data sets made before keys were "
            "committed to",
        ),
    ] = False,
    store: OtherStore = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Pay the list price. Price and data set wait in the sales contract until the seller delivers the keys.

    The seller has 3 days, and loses its deposit to you if it does not. Then you have 3 days to look (`tessera resale
    open`): a key that is not the promised one is proven by `tessera resale reject`, and price and deposit are yours.
    An open data set has no keys and is yours at once. Every file is fetched first: keys are worth nothing without.
    """
    from tessera.client.resale import require_published

    with _resale(network, wallet, key, store) as sales:
        manifest = sales.manifest(dataset)
        require_published(sales.store, manifest)
        most_wei = parse_tokens(price, sales.client.unit)
        receipt = sales.resale.buy(dataset, most_wei, manifest, sales.key, trust_seller=trust_seller)
        if manifest.terms.is_open:
            _done(receipt, f"data set {dataset} is yours")
            return
        until = local_time(sales.chain.sale(dataset).deadline, sales.chain.chain_time())
        say(
            f"data set {dataset} is bought (transaction {receipt.hash}); the seller has until {until} to deliver the "
            f"keys. After that `tessera resale expire {dataset}` brings price and deposit"
        )


@app.command(epilog=examples("resale deliver 3 --wallet seller.key --key delivery.key"))
def deliver(
    dataset: Dataset,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    store: OtherStore = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Hand the keys of a sold data set over, made out to its buyer. Your delivery key opens them first."""
    with _resale(network, wallet, key, store) as sales:
        receipt = sales.resale.deliver(dataset, sales.manifest(dataset), sales.key)
        until = local_time(sales.resale.chain.sale(dataset).deadline, sales.chain.chain_time())
        say(
            f"the keys of data set {dataset} are delivered (transaction {receipt.hash}); the buyer can show a wrong "
            f"one until {until}, after that `tessera resale accept {dataset}` pays you"
        )


@app.command("open", epilog=examples("resale open 3 --key delivery.key --out rows.csv"))
def open_rows(
    dataset: Dataset,
    to: OutFile,
    key: DeliveryKeyFile = None,
    store: OtherStore = None,
    _overwrite: OverwriteOption = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Check a data set that was sold to you and write its rows to a file: look before you accept.

    Exit status: 0 written, 1 a check failed or a key opens nothing (then `tessera resale reject`, in time), 2 the
    delivery key is another's.
    """
    from tessera.client.resale import write_rows

    with _resale(network, None, key, store) as sales:
        found = write_rows(sales.chain, sales.store, dataset, sales.key, to)
        say(f"{to}: {found.rows:,} rows of data set {dataset}, every check passed")
        for each in found.certificate.remarks:
            remark(each)


@app.command(epilog=examples("resale accept 3 --wallet buyer.key"))
def accept(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """End a sale: the seller is paid, the contributors get their royalty, the data set is the buyer's.

    The buyer at once; anybody when the time to show a wrong key is over.
    """
    with _resale(network, wallet) as sales:
        receipt = sales.resale.accept(dataset)
        owner = sales.resale.chain.dataset(dataset).owner
        _done(
            receipt, f"data set {dataset} belongs to {owner} now; the seller's part waits for `tessera claim`"
        )


@app.command(epilog=examples("resale reject 3 --wallet buyer.key --key delivery.key"))
def reject(
    dataset: Dataset,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    store: OtherStore = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Prove that a delivered key is not the promised one, in time: price and the seller's deposit are yours.

    The proof shows the secret of this one purchase: anybody can open this delivery from then on.
    """
    with _resale(network, wallet, key, store) as sales:
        _done(
            sales.resale.reject(dataset, sales.manifest(dataset), sales.key),
            f"a wrong key is proven, data set {dataset} went back; price and deposit wait for `tessera claim`",
        )


@app.command(epilog=examples("resale expire 3 --wallet buyer.key"))
def expire(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Undo a sale whose seller delivered nothing in time: the price and the seller's deposit are the buyer's. Anybody
    may."""
    with _resale(network, wallet) as sales:
        _done(
            sales.resale.expire(dataset),
            f"data set {dataset} went back; price and deposit wait for its buyer's `tessera claim`",
        )


@dataclass(frozen=True, slots=True)
class _Sales:
    """What a command of this file acts with."""

    client: Client
    named_store: str | None

    @property
    def store(self) -> ContentStore:
        return self.client.store(self.named_store)

    @property
    def chain(self) -> ChainReader:
        return self.client.chain

    @property
    def key(self) -> DeliveryKey | None:
        return self.client.delivery_key

    @property
    def resale(self) -> Resale:
        from tessera.client.resale import Resale

        return Resale(self.client.chain, self.client.writer, self.client.wallet, self.store)

    def manifest(self, dataset: int) -> Manifest:
        from tessera.client.resale import read_manifest

        return read_manifest(self.chain, self.store, dataset)


@contextmanager
def _resale(
    network: Path, wallet: Path | None, key: Path | None = None, store: str | None = None
) -> Iterator[_Sales]:
    with open_client(network, wallet, key) as client:
        yield _Sales(client, store)


def _done(receipt: TxReceipt, words: str) -> None:
    say(f"{words} (transaction {receipt.hash})")
