"""From a wish to an order in escrow: quote, check, sign, write down, send. A killed purchase goes on from
its file.

The order is signed once and written down before it is sent, so sending it again is the same order, never a
second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from generator.market.wire import Fields

from provenance.crypto.permit import sign_permit
from provenance.record.collection import Collection, Request
from provenance.record.terms import OrderTerms
from provenance.values import Address
from tessera.client.order_file import OrderFile
from tessera.client.order_request import Quote, Wish, check_terms, tokens
from tessera.errors import OrderFailedError, ScriptError, TermsDifferError

if TYPE_CHECKING:
    from provenance.chain.reader import ChainReader
    from provenance.crypto.seal import DeliveryKey
    from provenance.crypto.signing import Signer
    from tessera.client.api import BuyerApi
    from tessera.client.profile import NetworkProfile


@dataclass(frozen=True, slots=True)
class Buyer:
    """Everything one buyer acts with: a pinned market, its REST interface, the chain, the two keys."""

    profile: NetworkProfile
    api: BuyerApi
    ledger: ChainReader
    wallet: Signer
    delivery_key: DeliveryKey | None

    def quote(self, wish: Wish) -> Quote:
        """Ask for terms and check that they say what was asked; nothing is signed yet."""
        entry = self.api.collection(wish.collection)
        collection = Collection.parse(entry.object("document").values)
        key = self.delivery_key.public if self.delivery_key is not None and collection.is_private else None
        if collection.is_private and key is None:
            raise ScriptError(
                f"collection {collection.name} is private: its rows are sealed to a delivery key. Make one with "
                "`tessera key new --out FILE` and name it with --key"
            )
        body = wish.quote_body(entry.text("id"), self.wallet.address, key, wish.request(collection))
        answer = self.api.quote(body)
        quote = Quote(
            order_id=answer.digest("orderId"),
            terms=OrderTerms.parse(answer.object("terms").values),
            request=Request.parse(answer.object("request").values),
            collection=collection,
        )
        check_terms(
            wish,
            quote,
            buyer=self.wallet.address,
            broker=self.profile.broker,
            delivery_key=key,
            domain=self.profile.deployment.domain,
            chain_time=self.ledger.chain_time(),
        )
        self._check_permit(answer.object("permit"))
        return quote

    def _check_permit(self, hints: Fields) -> None:
        """The permit goes to the escrow that the profile pins; a broker naming another is not dealt with."""
        deployment = self.profile.deployment
        named = (hints.address("token"), hints.address("spender"))
        if named != (deployment.token, deployment.escrow):
            raise TermsDifferError(
                f"the broker names token {named[0]} and escrow {named[1]}, this network's are {deployment.token} "
                f"and {deployment.escrow}: nothing was signed. Check the network file, or do not deal with this "
                "broker"
            )

    def sign(self, quote: Quote) -> OrderFile:
        """Sign the terms, and a permit for exactly the price that ends when matching ends."""
        terms = quote.terms
        balance = self.ledger.balance(self.wallet.address)
        if balance < terms.price:
            raise ScriptError(
                f"{self.wallet.address} holds {tokens(balance)} tokens, the order costs {tokens(terms.price)}: fund "
                "the wallet, or ask for fewer rows"
            )
        message = self.ledger.permit_message(self.wallet.address, terms.price, terms.match_by)
        permit = sign_permit(self.wallet, self.ledger.token_domain(), message)
        return OrderFile(
            order_id=quote.order_id,
            terms=terms,
            signature=self.wallet.sign_typed(self.profile.deployment.domain, terms),
            request=quote.request,
            collection=quote.collection,
            permit=permit,
        )

    def send(self, order: OrderFile, path: Path) -> None:
        """Write the order down, then send it; repeating this is harmless."""
        order.write(path)
        self.api.place(order.placement())

    def dataset_id(self, order: OrderFile) -> int:
        """The number of the published data set; `OrderFailedError` with the broker's reason when there is
        none.
        """
        view = self.api.order(str(order.order_id))
        if not view.has("datasetId"):
            reason = view.text_or("reason", "no reason given")
            raise OrderFailedError(
                f"order {order.order_id} is {view.text('state')} without a data set ({reason}). If money is still "
                "in escrow, `tessera refund` brings it back after the deadline"
            )
        return view.integer("datasetId")


def check_ownership(order: OrderFile, wallet: Address) -> None:
    """Only the buyer's own wallet can act on an order."""
    if order.terms.buyer != wallet:
        raise ScriptError(
            f"the order was signed by {order.terms.buyer}, this wallet is {wallet}: name the right one"
        )
