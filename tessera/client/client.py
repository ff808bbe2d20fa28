"""`tessera.Client`: one party at one market - quote, order, watch, download, take back, prove false, demand.

It trusts the chain and its own keys, never the broker's word: terms are compared with what was asked before
they are signed, contracts come from the network file, rows are made again before they are written. An order
is signed once and written down before it is sent, so sending it again is the same order, never a second.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from provenance.api.catalogue import OfferState, OfferView
from provenance.api.market import Event
from provenance.chain.disputes import MANIFEST_SHARD
from provenance.values import Address
from tessera.client.audited_dataset import AuditedDataset, search, shard_of_row
from tessera.client.challenge import Challenge, ChallengeResult, default_file
from tessera.client.delivery import Delivered
from tessera.client.demand import Demand, DemandResult
from tessera.client.following import Order
from tessera.client.order_file import order_path
from tessera.client.order_request import OrderOptions, OrderRequest
from tessera.client.ordering import Ordering
from tessera.client.rewards import Claimed, Rewards
from tessera.client.taking_back import TakingBack
from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.verify.dataset import Progress

ALL_STATES = "all"


class Client(Ordering, TakingBack):
    """One party at one market.

    network: what a buyer pins about the market (`tessera up` writes DIR/network.json), or its file. wallet:
    the key that pays and signs, or its file; None for a client that only reads. key: the delivery key that
    opens the rows, or its file. ask: gives the password of a wallet that is an Ethereum keystore; left out, it
    comes from TESSERA_PASSWORD or TESSERA_PASSWORD_FILE. Nothing is sent before a method needs it. Raises
    UsageError or KeyFileError for files that cannot be used.
    """

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

    def claim(self, account: Address | None = None) -> Claimed:
        """Have what the market owes to `account` (None: the wallet's) sent to its payout
        address; anybody may."""
        return self.rewards.claim(account)

    @property
    def rewards(self) -> Rewards:
        """Rewards, payout addresses and royalties of the wallet."""
        return Rewards(self.chain, self.writer, self.wallet)

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
