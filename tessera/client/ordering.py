"""From a question to an order in the broker's hands: terms are compared with what was asked before they are signed.

An order is signed once and written down before it is sent, so sending it again is the same order, never a second.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from provenance.api.catalogue import StandingModelView
from provenance.api.errors import MarketRefused
from provenance.chain.ports import OrderState
from provenance.crypto.permit import sign_permit
from provenance.record.collection import Collection
from provenance.units import local_time
from provenance.values import Address, Digest
from tessera.client.order_file import OrderFile
from tessera.client.order_request import OrderOptions, OrderRequest, Pinned, Quote, check_terms, differences
from tessera.client.party import Party
from tessera.errors import OrderFailedError, TermsDifferError, TesseraError, UsageError
from tessera.words import ORDER_STATES

MOST_WAITING = 8
"""So many orders of one wallet may wait at a market to be placed."""
ENDED = frozenset({OrderState.CANCELLED, OrderState.REFUNDED, OrderState.REVOKED})


class Ordering(Party):
    """A party that orders."""

    def quote(self, collection: str, rows: int, **options: Unpack[OrderOptions]) -> Quote:
        """Terms for `rows` rows of a collection (name or id), checked to say what was asked;
        nothing is signed.

        options: epsilon, delta, min_score (numbers or text), where, balance, count, conditions, max_price
        (tokens), min_contributors, purpose, from_stock, training, indivisible, match_within_seconds,
        deliver_within_seconds, challenge_seconds; see `OrderOptions`. Raises TermsDifferError when the broker's
        terms say something else.
        """
        return self.ask(OrderRequest.of(self.unit, collection, rows, **options))

    def ask(self, asked: OrderRequest) -> Quote:
        """`quote`, of a request that is made already."""
        entry = self.api.collection(asked.collection)
        collection = Collection.parse(entry.document)
        asked = self._from_stock(asked, collection)
        key = self.delivery_key.public if self.delivery_key is not None and collection.is_private else None
        if collection.is_private and key is None:
            raise UsageError(
                f"collection {collection.name} is private: its rows are sealed to a delivery key. Make one with "
                "`tessera key new --out FILE` and name it (key=)"
            )
        answer = self.api.quote(asked.to_quote(entry.id, self.wallet.address, key, asked.request(collection)))
        quote = Quote(
            order_id=answer.order_id,
            terms=answer.terms,
            request=answer.request,
            collection=collection,
            chain_time=self.chain.chain_time(),
            unit=self.unit,
            in_stock=answer.in_stock,
        )
        check_terms(asked, quote, self._pinned(key))
        self._check_permit(answer.permit.token, answer.permit.spender)
        return quote

    def models(self, collection: str) -> tuple[StandingModelView, ...]:
        """What a collection (name or id) has in stock, as the market lists it: the newest training first."""
        return self.api.models(self.api.collection(collection).id)

    def _from_stock(self, asked: OrderRequest, collection: Collection) -> OrderRequest:
        """With the newest training that fits, where rows are wanted from stock. Raises UsageError where none does."""
        if not asked.from_stock:
            return asked
        models = self.api.models(collection.digest)
        fitting = next((model for model in models if asked.is_served_by(model)), None)
        if fitting is None:
            named = (
                "has nothing in stock" if not models else f"has {len(models)} trainings in stock, none fits"
            )
            raise UsageError(
                f"collection {collection.name} {named}: `tessera stock --collection {collection.name}` lists epsilon, "
                "delta, contributors and scores; or order without from_stock=, made to order"
            )
        return asked.served_from(fitting.training, fitting.epsilon_micro)

    def _pinned(self, delivery_key: Digest | None) -> Pinned:
        profile = self.profile
        return Pinned(self.wallet.address, profile.broker, delivery_key, profile.deployment.domain)

    def _check_permit(self, token: Address, spender: Address) -> None:
        """The permit goes to the escrow that the profile pins; a broker naming another is not dealt with."""
        deployment = self.profile.deployment
        if (token, spender) != (deployment.token, deployment.escrow):
            raise TermsDifferError(
                f"the broker names token {token} and escrow {spender}, this network's are {deployment.token} "
                f"and {deployment.escrow}: nothing was signed. Check the network file, or do not deal with this "
                "broker"
            )

    def order(self, quote: Quote, file: Path | str) -> OrderFile:
        """Sign the quoted terms, write the order to `file` (mode 600), send it.

        The file is all that is needed to go on, to cancel and to take the money back. Raises TesseraError
        when the wallet holds less than the price.
        """
        for orders_before in range(MOST_WAITING):
            order = self.sign(quote, orders_before)
            try:
                self.send(order, Path(file))
            except MarketRefused as refusal:
                if refusal.code != "permit-nonce":
                    raise
                continue  # another order of this wallet is still to be placed, and its permit comes first
            return order
        raise OrderFailedError(
            f"{MOST_WAITING} orders of {self.wallet.address} wait to be placed: try again when they are"
        )

    def sign(self, quote: Quote, orders_before: int = 0) -> OrderFile:
        """Sign the terms, and a permit for exactly the price that ends when matching ends.

        orders_before: orders of this wallet that are still to be placed; their permits use the nonces before.
        """
        terms, me = quote.terms, self.wallet.address
        balance = self.chain.balance(me)
        if balance < terms.price:
            raise TesseraError(
                f"{me} holds {self.unit.shown(balance)}, the order costs {self.unit.shown(terms.price)}: fund the "
                "wallet, or ask for fewer rows"
            )
        message = self.chain.permit_message(me, terms.price, terms.match_by)
        message = replace(message, nonce=message.nonce + orders_before)
        return OrderFile(
            order_id=quote.order_id,
            terms=terms,
            signature=self.wallet.sign_typed(self.profile.deployment.domain, terms),
            request=quote.request,
            collection=quote.collection,
            permit=sign_permit(self.wallet, self.chain.token_domain(), message),
        )

    def send(self, order: OrderFile, file: Path) -> None:
        """Write the order down, then send it; repeating this is harmless."""
        order.write(file)
        self.api.place(order.signed())

    def resume(self, file: Path | str, asked: OrderRequest | None = None) -> OrderFile:
        """The order in `file`, sent again in case it never arrived. asked: what it is taken for.

        Raises UsageError for a file of another order, OrderFailedError for an order that ended, with what to
        do to order again.
        """
        order = OrderFile.read(Path(file))
        if asked is not None:
            self._require_same(order, asked, file)
        state, now = self.chain.order(order.order_id).state, self.chain.chain_time()
        again = f"To order again, delete {file}, or choose another file for it"
        if state in ENDED:
            raise OrderFailedError(
                f"order {order.order_id} {ORDER_STATES[state]}, its price is back. {again}"
            )
        if state is OrderState.NONE and now >= order.terms.match_by:
            raise OrderFailedError(
                f"order {order.order_id} never reached the chain and its time to be matched ended at "
                f"{local_time(order.terms.match_by, now)}: nothing was paid. {again}"
            )
        self.send(order, Path(file))
        return order

    def _require_same(self, order: OrderFile, asked: OrderRequest, file: Path | str) -> None:
        terms = order.terms
        if asked.from_stock and order.request.training is not None:
            asked = asked.served_from(order.request.training, terms.epsilon_micro)
        # Its times were counted from the quote; from the last moment of matching they hold all the more.
        quote = Quote(order.order_id, terms, order.request, order.collection, terms.match_by - 1)
        key = None if self.delivery_key is None or terms.is_open else self.delivery_key.public
        wrong = differences(asked, quote, self._pinned(key or terms.delivery_key))
        if wrong:
            raise UsageError(
                f"{file} holds another order ({terms.rows:,} rows of {order.collection.name} for {terms.buyer}): "
                f"{'; '.join(wrong)}. Continue it with its own options, or choose another file for it"
            )
