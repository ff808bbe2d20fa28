"""Composition: from the files named on a command line to the objects that act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.seal import load_delivery_key
from provenance.crypto.signing import Signer, load_key
from tessera.client.api import BuyerApi
from tessera.client.order_request import tokens
from tessera.client.profile import NetworkProfile, load_profile
from tessera.client.purchase import Buyer
from tessera.terminal import out

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChainSession:
    """A wallet at the chain; the REST interface only where a document is looked up."""

    profile: NetworkProfile
    wallet: Signer
    ledger: ChainReader

    @property
    def writer(self) -> ChainWriter:
        return ChainWriter(self.ledger, self.wallet)


def open_chain(network: Path, wallet: Path) -> ChainSession:
    """A session that needs no backend."""
    profile = load_profile(network)
    return ChainSession(profile, load_key(wallet), ChainReader(profile.rpc, profile.deployment))


@contextmanager
def open_buyer(network: Path, wallet: Path, delivery_key: Path | None) -> Iterator[Buyer]:
    """A buyer with both keys; refuses at once when the backend is another market's."""
    session = open_chain(network, wallet)
    key = None if delivery_key is None else load_delivery_key(delivery_key)
    with BuyerApi(session.profile.api) as api:
        api.network()
        # It answered once: from here on a backend that restarts is waited for.
        api.patience_seconds = PATIENCE_SECONDS
        yield Buyer(session.profile, api, session.ledger, session.wallet, key)


def list_orders(network: Path, wallet: Path | None, state: str | None) -> None:
    """Print a table of orders as the broker lists them."""
    profile = load_profile(network)
    buyer = None if wallet is None else str(load_key(wallet).address)
    with BuyerApi(profile.api) as api:
        found = api.orders(buyer=buyer, state=state)
    table = Table(title=f"{len(found)} orders at {profile.api}", title_justify="left")
    for heading in ("order", "state", "rows", "price", "data set"):
        table.add_column(heading, overflow="fold")
    for order in found:
        terms = order.object("terms")
        dataset = str(order.integer("datasetId")) if order.has("datasetId") else ""
        price = tokens(terms.integer("price"))
        table.add_row(
            order.text("orderId"), order.text("state"), f"{terms.integer('rows'):,}", price, dataset
        )
    out.print(table)
