"""`tessera.Client`: one party at one market - quote, order, watch, download, take back, prove false, demand.

It trusts the chain and its own keys, never the broker's word: terms are compared with what was asked before
they are signed, contracts come from the network file, rows are made again before they are written. An order
is signed once and written down before it is sent, so sending it again is the same order, never a second.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from provenance.api.catalogue import OfferState, OfferView
from provenance.api.client import RetryPolicy
from provenance.api.errors import MarketRefused
from provenance.api.market import Event, MarketClient
from provenance.api.orders import FAILED_STATES, OrderView, StateEvent
from provenance.api.orders import OrderState as Told
from provenance.chain.disputes import MANIFEST_SHARD
from provenance.chain.errors import RevertError
from provenance.chain.fees import GWEI
from provenance.chain.finality import Finality
from provenance.chain.ports import OrderState
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.key_files import AskPassword, password_source
from provenance.crypto.permit import sign_permit
from provenance.crypto.seal import DeliveryKey, load_delivery_key
from provenance.crypto.signing import Signer, load_key
from provenance.errors import UnavailableError
from provenance.record.collection import Collection
from provenance.record.terms import OrderTerms
from provenance.units import TokenUnit, local_time
from provenance.values import Address, Digest
from provenance.verify.dataset import DatasetName
from tessera.audit import open_store, require_market
from tessera.client.audited_dataset import AuditedDataset, search, shard_of_row
from tessera.client.challenge import Challenge, ChallengeResult, default_file
from tessera.client.delivery import Delivered, MarketStore, deliver
from tessera.client.demand import Demand, DemandResult
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import OrderOptions, OrderRequest, Pinned, Quote, check_terms, differences
from tessera.client.profile import NetworkProfile, load_profile
from tessera.client.rewards import Claimed, Rewards
from tessera.errors import OrderFailedError, TermsDifferError, TesseraError, UsageError
from tessera.words import ORDER_STATES

if TYPE_CHECKING:
    from provenance.chain.ports import TxReceipt
    from provenance.store.ports import ContentStore
    from provenance.verify.dataset import Progress

PATIENCE_SECONDS = 60.0
LEAST_PREFIX = 6
MOST_WAITING = 8
"""So many orders of one wallet may wait at a market to be placed."""
ALL_STATES = "all"
DELIVERABLE = frozenset({Told.PUBLISHED, Told.SETTLED})
ENDED = frozenset({OrderState.CANCELLED, OrderState.REFUNDED, OrderState.REVOKED})

Order = str | Digest | OrderFile | Path
"""An order by its id, the first digits of its id, its file, or as signed."""


class Client:
    """One party at one market.

    network: what a buyer pins about the market (`tessera up` writes DIR/network.json), or its file. wallet:
    the key that pays and signs, or its file; None for a client that only reads. key: the delivery key that
    opens the rows, or its file. ask: gives the password of a wallet that is an Ethereum keystore; left out, it
    comes from TESSERA_PASSWORD or TESSERA_PASSWORD_FILE. Nothing is sent before a method needs it. Raises
    UsageError or KeyFileError for files that cannot be used.
    """

    def __init__(
        self,
        network: NetworkProfile | Path | str,
        *,
        wallet: Signer | Path | str | None = None,
        key: DeliveryKey | Path | str | None = None,
        ask: AskPassword | None = None,
    ) -> None:
        self.profile = network if isinstance(network, NetworkProfile) else load_profile(Path(network))
        if isinstance(wallet, Path | str) and isinstance(key, Path | str):
            _require_two_keys(Path(wallet), Path(key))
        self._signer = (
            wallet
            if not isinstance(wallet, Path | str)
            else load_key(wallet, ask or password_source(os.environ))
        )
        self.delivery_key = load_delivery_key(key) if isinstance(key, Path | str) else key
        self._outbox = Path(f"{wallet}.outbox") if isinstance(wallet, Path | str) else None
        finality = Finality.chosen(self.profile.finality)
        self.chain = ChainReader(self.profile.rpc, self.profile.deployment, finality=finality)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        if "api" in self.__dict__:
            self.api.close()
        self.chain.close()

    @cached_property
    def api(self) -> MarketClient:
        """The market's interface. A market that does not answer at first is an error; later it is waited for."""
        api = MarketClient(self.profile.api, retry=RetryPolicy(give_up_seconds=0))
        api.network()
        api.retry = RetryPolicy(give_up_seconds=PATIENCE_SECONDS)
        return api

    @property
    def wallet(self) -> Signer:
        """The key that pays and signs. Raises UsageError for a client without one."""
        if self._signer is None:
            raise UsageError("this needs a wallet: name the file of the key that pays and signs (wallet=)")
        return self._signer

    @property
    def unit(self) -> TokenUnit:
        """How amounts of this market's token are written, as the profile pins it."""
        return self.profile.deployment.unit

    @cached_property
    def writer(self) -> ChainWriter:
        """Transactions of the wallet; what is on its way lies beside its key file, in a folder `KEYFILE.outbox`."""
        ceiling = self.profile.max_fee_gwei * 10**GWEI
        return ChainWriter(self.chain, self.wallet, outbox=self._outbox, max_fee_wei=ceiling)

    @cached_property
    def content(self) -> MarketStore:
        """The market's content; every byte is checked against its CID."""
        return MarketStore(self.api)

    # --- ordering

    def quote(self, collection: str, rows: int, **options: Unpack[OrderOptions]) -> Quote:
        """Terms for `rows` rows of a collection (name or id), checked to say what was asked;
        nothing is signed.

        options: epsilon, delta, min_score (numbers or text), where, balance, count, conditions, max_price
        (tokens), min_contributors, purpose, indivisible, match_within_seconds, deliver_within_seconds,
        challenge_seconds; see `OrderOptions`. Raises TermsDifferError when the broker's terms say something else.
        """
        return self.ask(OrderRequest.of(self.unit, collection, rows, **options))

    def ask(self, asked: OrderRequest) -> Quote:
        """`quote`, of a request that is made already."""
        entry = self.api.collection(asked.collection)
        collection = Collection.parse(entry.document)
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
        )
        check_terms(asked, quote, self._pinned(key))
        self._check_permit(answer.permit.token, answer.permit.spender)
        return quote

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
        again = f"To order again, delete {file}, or choose another file (to=)"
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
        # Its times were counted from the quote; from the last moment of matching they hold all the more.
        quote = Quote(order.order_id, terms, order.request, order.collection, terms.match_by - 1)
        key = None if self.delivery_key is None or terms.is_open else self.delivery_key.public
        wrong = differences(asked, quote, self._pinned(key or terms.delivery_key))
        if wrong:
            raise UsageError(
                f"{file} holds another order ({terms.rows:,} rows of {order.collection.name} for {terms.buyer}): "
                f"{'; '.join(wrong)}. Continue it with its own options, or choose another file (to=)"
            )

    def request(
        self,
        collection: str,
        rows: int,
        to: Path | str,
        *,
        observe: Callable[[Event], None] | None = None,
        **options: Unpack[OrderOptions],
    ) -> Delivered:
        """Quote, order, watch and download in one. The order is kept in TO.order.json; the same call goes
        on with it.

        Name max_price: this pays without asking. observe: called with each event of the order. Raises as
        the four do.
        """
        asked, to = OrderRequest.of(self.unit, collection, rows, **options), Path(to)
        file = order_path(to)
        if file.exists():
            order = self.resume(file, asked)
        elif to.exists():
            raise UsageError(f"{to} exists already and would be overwritten: choose another name")
        else:
            order = self.order(self.ask(asked), file)
        self.watch(order, observe)
        return self.download(order, to)

    # --- watching and fetching

    def orders(self, *, state: str | None = None, mine: bool = True) -> tuple[OrderView, ...]:
        """Orders as the broker lists them: the wallet's, or everybody's without a wallet or with mine=False.

        Raises UsageError for a state that there is not.
        """
        buyer = self._signer.address if mine and self._signer is not None else None
        if state is not None and state not in list(Told):
            raise UsageError(f"state: found {state!r}, expected one of {', '.join(Told)}")
        return self.api.orders(buyer=buyer, state=None if state is None else Told(state))

    def status(self, order: Order) -> OrderView:
        """One order as the broker has it."""
        return self.api.order(self.find(order))

    def find(self, order: Order) -> Digest:
        """The id of an order. Raises UsageError for digits that no order, or more than one, begins with."""
        if isinstance(order, Digest):
            return order
        if isinstance(order, OrderFile):
            return order.order_id
        if isinstance(order, Path) or not order.startswith("0x"):
            return OrderFile.read(Path(order)).order_id
        if len(order) == 2 + 2 * Digest.LENGTH:
            return Digest.parse(order)
        if len(order) < LEAST_PREFIX:
            raise UsageError(
                f"order {order!r}: expected its id, or at least {LEAST_PREFIX - 2} digits of it after 0x"
            )
        found = [
            view.order_id for view in self.orders(mine=False) if str(view.order_id).startswith(order.lower())
        ]
        if len(found) != 1:
            listed = "".join(f"\n  {each}" for each in found)
            raise UsageError(
                f"{len(found)} orders begin with {order}, expected one: give more digits, `tessera orders` lists "
                f"them{listed}"
            )
        return found[0]

    def terms(self, order: Order) -> OrderTerms:
        """The terms of an order: of its file, or of the broker, who is believed only if they hash to its id."""
        if isinstance(order, OrderFile):
            return order.terms
        if isinstance(order, Path) or (isinstance(order, str) and not order.startswith("0x")):
            return OrderFile.read(Path(order)).terms
        wanted = self.find(order)
        terms = self.status(wanted).order_terms()
        if terms.order_id(self.profile.deployment.domain) != wanted:
            raise TermsDifferError(
                f"the broker's terms for {wanted} hash to another order: use the order file that `tessera request` "
                "wrote"
            )
        return terms

    def events(self, order: Order) -> Iterator[Event]:
        """An order's events from its first, as they come, until it ends; a broken connection is made anew. Of an order
        in hand the chain's clock is looked at too: OrderFailedError when it is overdue, whatever the broker says.
        """
        order_id = self.find(order)
        if not isinstance(order, OrderFile):
            return self.api.events(order_id)
        return self.api.events(order_id, is_over=lambda: self._require_in_time(order))

    def _require_in_time(self, order: OrderFile) -> bool:
        """False; raises OrderFailedError for an order that is not delivered and cannot be any more."""
        try:
            state, now = self.chain.order(order.order_id).state, self.chain.chain_time()
        except UnavailableError:
            return False  # a chain that does not answer makes nobody late
        due = order.terms.deliver_by
        if now > due and state in (OrderState.NONE, OrderState.OPEN, OrderState.MATCHED):
            raise OrderFailedError(
                f"order {order.order_id} {ORDER_STATES[state]}, and delivery was due at {local_time(due, now)}: "
                "the broker does not say so. `tessera refund` brings back what is in escrow"
            )
        return False

    def watch(self, order: Order, observe: Callable[[Event], None] | None = None) -> None:
        """Waits until the rows can be fetched. Raises OrderFailedError when the order ended otherwise."""
        order_id = self.find(order)
        for event in self.events(order):
            if observe is not None:
                observe(event)
            state = event.data.state if isinstance(event.data, StateEvent) else None
            if state in FAILED_STATES:
                break
            if state in DELIVERABLE:
                return
        view = self.status(order_id)
        raise OrderFailedError(
            f"order {order_id} ended {view.state}: {view.reason or 'no reason was given'}. Look at the balance of "
            f"{view.buyer}: what was in escrow is back, or `tessera refund` brings it back after the deadline"
        )

    def download(self, order: Order, to: Path | str, progress: Progress | None = None) -> Delivered:
        """Fetch a published data set, check every row against chain, model and seed, write it to `to`.

        progress: called with (rows recomputed, rows in all). Raises OrderFailedError when there is no data
        set yet, UsageError without the right delivery key, FalseDatasetError when a check fails: nothing
        is written then.
        """
        order_id = self.find(order)
        dataset = self.chain.dataset_of_order(order_id)
        if dataset is None:
            raise OrderFailedError(
                f"order {order_id} has no data set on chain yet: watch it with the command that placed it"
            )
        return deliver(self.chain, self.content, dataset, self.delivery_key, Path(to), progress)

    # --- taking back. The chain is asked, nobody else: the exit is open without the broker.

    def cancel(self, order: Order) -> TxReceipt:
        """Take an order back before it is matched: the whole price returns at once. One that is signed and not placed
        yet nobody can place any more. Raises TesseraError later than that."""
        terms = self.terms(order)
        if terms.buyer != self.wallet.address:
            raise TesseraError(f"the order was signed by {terms.buyer}, this wallet is {self.wallet.address}")
        order_id = terms.order_id(self.profile.deployment.domain)
        if self.chain.order(order_id).state is OrderState.MATCHED:
            deadline = local_time(self.chain.deadline(order_id), self.chain.chain_time())
            raise TesseraError(
                f"order {order_id} {ORDER_STATES[OrderState.MATCHED]}: too late to cancel; without delivery `tessera "
                f"refund` brings the price back after {deadline}"
            )
        self._require(terms, OrderState.NONE, OrderState.OPEN)
        return self.writer.cancel(terms)

    def refund(self, order: Order) -> tuple[TxReceipt, int]:
        """Take the price back after the deadline passed without delivery: the transaction, and the token
        wei that came.

        Anybody may send it, the money goes to the buyer only. Raises TesseraError before the deadline.
        """
        terms = self.terms(order)
        order_id = self._require(terms, OrderState.OPEN, OrderState.MATCHED)
        state, now = self.chain.order(order_id).state, self.chain.chain_time()
        deadline = terms.match_by if state is OrderState.OPEN else self.chain.deadline(order_id)
        if now <= deadline:
            cancel = "; `tessera cancel` takes it back at once" if state is OrderState.OPEN else ""
            raise TesseraError(
                f"order {order_id} {ORDER_STATES[state]}: it can be refunded after {local_time(deadline, now)}{cancel}"
            )
        before = self.chain.balance(terms.buyer)
        try:
            receipt = self.writer.refund(terms, self.chain.participants(order_id))
        except RevertError:
            # The broker gives the money back by itself, and may have come first.
            self._require(terms, OrderState.OPEN, OrderState.MATCHED)
            raise
        return receipt, self.chain.balance(terms.buyer) - before

    def _require(self, terms: OrderTerms, *states: OrderState) -> Digest:
        """The order's id; TesseraError when it is in none of `states`."""
        order_id = terms.order_id(self.profile.deployment.domain)
        state = self.chain.order(order_id).state
        if state not in states:
            raise TesseraError(f"order {order_id} {ORDER_STATES[state]}: there is nothing to take back")
        return order_id

    def claim(self, account: Address | None = None) -> Claimed:
        """Have what the market owes to `account` (None: the wallet's) sent to its payout
        address; anybody may."""
        return self.rewards.claim(account)

    @property
    def rewards(self) -> Rewards:
        """Rewards, payout addresses and royalties of the wallet."""
        return Rewards(self.chain, self.writer, self.wallet)

    # --- resale

    def offers(
        self,
        *,
        state: str | None = None,
        buyer: Address | None = None,
        seller: Address | None = None,
    ) -> tuple[OfferView, ...]:
        """Data sets offered for resale, as the broker lists them, newest first.

        state: of `provenance.api.catalogue.OfferState`, or "all"; left out: "listed", which can be bought, but
        all of a buyer or seller that is named. Prices are token wei. Before it is paid for, the chain is asked
        whether an offer stands. Raises UsageError for a state that there is not.
        """
        if state not in (None, ALL_STATES, *OfferState):
            raise UsageError(f"state: found {state!r}, expected one of {', '.join(OfferState)}, {ALL_STATES}")
        if state is None and buyer is None and seller is None:
            state = OfferState.LISTED
        wanted = None if state in (None, ALL_STATES) else OfferState(state)
        return self.api.offers(buyer=buyer, seller=seller, state=wanted)

    # --- false data sets and withheld bytes

    def challenge(
        self,
        dataset: str | int,
        *,
        row: int | None = None,
        disclose: bool = False,
        stored: bool = False,
        file: Path | str | None = None,
        store: str | None = None,
        progress: Progress | None = None,
    ) -> ChallengeResult:
        """Recompute the rows of a data set; prove a false one on chain: revoked, signer slashed,
        buyer paid back.

        row: look at this row of the data set only. disclose: agree to what `ChallengeResult.disclosure` says;
        without it nothing is sent. stored: put the model on chain in parts first, for large models. file:
        where claim and salt are kept until the chain has judged. store: a content folder or IPFS multiaddr
        instead of the market's content. progress: called with (rows recomputed, rows in all). Raises
        TesseraError when the chain would not convict.
        """
        challenge = self.challenge_of(dataset, file=file, stored=stored, store=store)
        if challenge.is_over:
            challenge.forget()
            return ChallengeResult(None, None, "", None, "the data set is not valid any more")
        searched = None
        if challenge.is_kept:
            found = challenge.resume()
        else:
            searched = search(challenge.dataset, row, progress)
            if searched.refutation is None:
                return ChallengeResult(searched, None, "", None, "")
            found = searched.refutation
        disclosure, late = challenge.disclosure(found), challenge.why_too_late()
        if late or not disclose:
            standing = late or "nothing was sent: that needs disclose=True"
            return ChallengeResult(searched, found, disclosure, None, standing)
        challenge.check(found)
        return ChallengeResult(searched, found, disclosure, challenge.send(found), "")

    def challenge_of(
        self,
        dataset: str | int,
        *,
        file: Path | str | None = None,
        stored: bool = False,
        store: str | None = None,
    ) -> Challenge:
        """A challenge step by step. Parameters as of `challenge`."""
        number = self.dataset_number(dataset)
        audited = AuditedDataset(self.chain, self.store(store), number, self.delivery_key)
        me = self.wallet.address
        return Challenge(self.chain, self.writer, me, audited, Path(file or default_file(number, me)), stored)

    def demand(
        self,
        dataset: str | int,
        *,
        shard: int | None = None,
        row: int | None = None,
        manifest: bool = False,
        order: Order | None = None,
        disclose: bool = False,
        wait: bool = True,
    ) -> DemandResult:
        """Have a contributor show its model (`shard`) or a chunk of rows (`row` of the data set) on chain, or lose
        its stake; or the broker its `manifest`, or lose bond and fee.

        The deposit, a tenth of what the rows cost, is burned by an answer and comes back without one. There are two
        times to answer. disclose: agree that what is shown is public for ever; without it only a demand that is open
        already is followed. order: its terms, where the market does not give them. wait: False looks once. The same
        call looks again: it warns when the first time ran out, and ends the demand after the second.
        """
        demand = self.demand_of(dataset, shard=shard, row=row, manifest=manifest, order=order)
        if not demand.is_over and demand.standing() is None:
            if not disclose:
                raise UsageError(
                    f"{demand.words} would be shown in clear for ever: agree to that with disclose=True"
                )
            demand.send()
        return demand.follow(wait=wait)

    def demand_of(
        self,
        dataset: str | int,
        *,
        shard: int | None = None,
        row: int | None = None,
        manifest: bool = False,
        order: Order | None = None,
    ) -> Demand:
        """A demand step by step. Parameters as of `demand`."""
        if (shard is not None) + (row is not None) + manifest != 1:
            raise UsageError(
                "name a shard, whose model is demanded, or a row, whose chunk is, or the manifest alone"
            )
        record = self.chain.dataset(self.dataset_number(dataset))
        terms = self.terms(record.order if order is None else order)
        place = (
            (MANIFEST_SHARD if shard is None else shard, None) if row is None else shard_of_row(record, row)
        )
        return Demand(self.chain, self.writer, self.wallet.address, record, terms, *place)

    def dataset_number(self, dataset: str | int) -> int:
        """The number of a data set by its name; UsageError for one of another market."""
        name = DatasetName.parse(str(dataset))
        require_market(name, self.profile.deployment)
        return name.id

    def store(self, text: str | None) -> ContentStore:
        """The market's own content, or the store that is named."""
        return self.content if text is None else open_store(text)


def _require_two_keys(wallet: Path, key: Path) -> None:
    """Raises UsageError for one file named as both."""
    if wallet.resolve() == key.resolve():
        raise UsageError(
            f"{key} is named as wallet and as delivery key: a delivery key is a key of its own, made by `tessera key "
            "new --out FILE`"
        )
