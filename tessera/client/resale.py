"""Data sets that change hands: offer, buy, deliver the keys, look, accept or prove a wrong key (docs/spec/market.md).

The rules are the contract's; what is decided here is what a transaction would only refuse later, or what no contract
can see: who committed to the keys that are for sale, and whether they open the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.ports import DatasetStatus, OrderState, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.sales import (
    NOTHING_PROMISED,
    KeyFault,
    OfferTaken,
    SaleOnChain,
    SaleState,
)
from provenance.chain.writer import ChainWriter
from provenance.crypto.permit import sign_permit
from provenance.crypto.resold_keys import masked_keys, opened_keys
from provenance.crypto.seal import DeliveryKey, key_commitment
from provenance.crypto.signing import Signer
from provenance.record.manifest import Manifest
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of_digest
from provenance.values import Digest
from provenance.verify.opening import (
    content_key,
    content_keys,
    fetch_file,
    fetch_key,
    purchases_with,
    sale_key,
    sealed_keys,
    unsold,
)
from tessera.client.delivery import Delivered, deliver
from tessera.errors import FalseDatasetError, TesseraError, UsageError

STATES = {
    SaleState.NONE: "not offered",
    SaleState.LISTED: "offered",
    SaleState.SOLD: "bought, the seller has to deliver the keys",
    SaleState.DELIVERED: "keys delivered, the buyer may show that one is wrong",
}
FALLEN = "parted with it or with the deposit, or took back the approval of the sales contract"
"""What the seller of an offer did that stands no longer."""
PERMIT_SECONDS = 3600
UNBOUNDED = 2**255
"""An allowance from which on nobody counts: it was given for good."""


def read_manifest(chain: ChainReader, store: ContentStore, dataset: int) -> Manifest:
    """The recorded manifest of a data set, by its digest on chain."""
    return Manifest.parse(store.get(cid_of_digest(chain.dataset(dataset).manifest_digest)))


def write_rows(
    chain: ChainReader, store: ContentStore, dataset: int, key: DeliveryKey | None, to: Path
) -> Delivered:
    """Every check of the auditor over a data set, then all its rows that stand to `to`.

    Raises UsageError for a wrong key, TesseraError when a check fails: nothing is written then.
    """
    try:
        return deliver(chain, store, dataset, key, to)
    except FalseDatasetError as error:
        names = ", ".join(f"check {each.number} {each.name}" for each in error.certificate.failed)
        raise TesseraError(
            f"data set {dataset} did not pass, nothing was written ({names}). Where a key is not the promised one, "
            f"`tessera resale reject {dataset}` proves it and brings the price back, in time"
        ) from error


def require_published(store: ContentStore, manifest: Manifest) -> None:
    """Every file that the keys are for, fetched and compared with its digest: a key without its file is worth nothing.

    Raises ContentMissingError, IntegrityError or StoreUnavailableError.
    """
    for shard in (each for each in manifest.shards if each.is_delivered):
        fetch_file(store, shard.content.rows, f"rows of shard {shard.shard}")
        fetch_file(store, shard.content.model, f"model of shard {shard.shard}")
    fetch_file(store, manifest.score.file, "score file")


def is_fair(manifest: Manifest) -> bool:
    """Whether every key of a data set was committed to when it was made, so that a sale of it is judged by the word of
    its contributors and not by its seller's. An open data set has none to judge."""
    return all(key.commitment is not None for _, key in sealed_keys(manifest))


def require_promise(
    manifest: Manifest, without: frozenset[int], promised: Sequence[Digest], *, trust_seller: bool
) -> None:
    """TesseraError unless the keys on offer are those that the data set's makers committed to; without: shards whose
    keys are not for sale (`unsold`). Where they committed to none, and the seller's word is all there is,
    `trust_seller` has to say so."""
    keys = sealed_keys(manifest, without)
    if len(promised) != len(keys):
        raise TesseraError(
            f"the offer is of {len(promised)} keys, the data set has {len(keys)}: do not buy. Its holder can offer it "
            "again"
        )
    for place, ((_, key), found) in enumerate(zip(keys, promised, strict=True)):
        if key.commitment not in (None, found):
            raise TesseraError(
                f"the offer promises key {place} with commitment {found}, the data set's maker signed "
                f"{key.commitment}: the seller would deliver another key. Do not buy"
            )
    if not is_fair(manifest) and not trust_seller:
        raise TesseraError(
            "no fair exchange: this data set was made before keys were committed to, so the seller alone says which "
            "keys are right, and you pay also for keys that open nothing. Buy from a seller you trust "
            "(trust_seller=)"
        )


@dataclass(frozen=True, slots=True)
class Resale:
    """Sales of one wallet, as seller or as buyer."""

    chain: ChainReader
    writer: ChainWriter
    signer: Signer
    store: ContentStore

    def offer(self, dataset: int, price_wei: int, manifest: Manifest, own: DeliveryKey | None) -> TxReceipt:
        """Offer a data set that this wallet holds and its keys, or change the price. Sends the approvals first where
        they lack: of the data set, and of the deposit. Raises SealError when `own` opens nothing."""
        record = self.chain.dataset(dataset)
        me = self.signer.address
        if record.owner != me:
            raise TesseraError(f"data set {dataset} belongs to {record.owner}, this wallet is {me}")
        if record.status == DatasetStatus.REVOKED:
            raise TesseraError(f"data set {dataset} was revoked: a row of it is false. It cannot be sold")
        state = self.chain.order(record.order).state
        if state is not OrderState.SETTLED:
            raise TesseraError(
                f"the order of data set {dataset} is {state.name.lower()}: a data set can be sold once its challenge "
                "window is over and its contributors are paid"
            )
        promised = self._commitments(dataset, manifest, own)
        self._provide_deposit(dataset, price_wei if promised else 0)
        if not self.chain.is_saleable(dataset, me):
            self.writer.approve_sale(dataset)
        return self.writer.list_for_sale(dataset, price_wei, promised)

    def withdraw(self, dataset: int) -> TxReceipt:
        """Take an offer back."""
        self._require(dataset, SaleState.LISTED)
        return self.writer.unlist(dataset)

    def buy(
        self,
        dataset: int,
        most_wei: int,
        manifest: Manifest,
        own: DeliveryKey | None,
        *,
        trust_seller: bool = False,
    ) -> TxReceipt:
        """Pay the list price, at most `most_wei`; the keys are to be masked for a one-time key that follows from `own`.
        An open data set is the buyer's at once."""
        sale, unit = self._require(dataset, SaleState.LISTED), self.chain.deployment.unit
        if sale.price > most_wei:
            raise TesseraError(
                f"data set {dataset} is offered at {unit.shown(sale.price)}, you agreed to {unit.shown(most_wei)}"
            )
        if not manifest.terms.is_open and own is None:
            raise UsageError(
                f"data set {dataset} is sealed: name the delivery key that its keys shall be made out to (key=)"
            )
        if not self.chain.stands(sale):
            raise TesseraError(
                f"data set {dataset} cannot be bought: its seller {sale.seller} {FALLEN}. Its holder "
                f"{self.chain.dataset(dataset).owner} can offer it again"
            )
        promised = self.chain.promised_keys(sale)
        without = unsold(self.chain, self.chain.dataset(dataset))
        require_promise(manifest, without, promised, trust_seller=trust_seller)
        me = self.signer.address
        held = self.chain.balance(me)
        if held < sale.price:
            raise TesseraError(f"{me} holds {unit.shown(held)}, the data set costs {unit.shown(sale.price)}")
        deadline = self.chain.chain_time() + PERMIT_SECONDS
        message = self.chain.permit_message(me, sale.price, deadline, spender=self.chain.deployment.sales)
        permit = sign_permit(self.signer, self.chain.token_domain(), message)
        point = NOTHING_PROMISED
        if own is not None and not manifest.terms.is_open:
            point = sale_key(self.chain, dataset, len(self.chain.purchases(dataset)), own).point
        return self.writer.buy(OfferTaken(dataset, sale.price, sale.promised, point), permit)

    def deliver(self, dataset: int, manifest: Manifest, own: DeliveryKey | None) -> TxReceipt:
        """Hand the keys over, masked for the buyer. Raises SealError when `own` opens nothing."""
        sale = self._require(dataset, SaleState.SOLD)
        if sale.seller != self.signer.address:
            raise TesseraError(
                f"data set {dataset} is sold by {sale.seller}, this wallet is {self.signer.address}"
            )
        if self._commitments(dataset, manifest, own) != self.chain.promised_keys(sale):
            raise TesseraError(
                f"the keys in hand are not those that you promised when you offered data set {dataset}: to deliver "
                "them would cost your deposit. Use the delivery key that you offered it with"
            )
        return self.writer.deliver_keys(
            dataset, masked_keys(self._keys(dataset, manifest, own), manifest.order, sale.point)
        )

    def accept(self, dataset: int) -> TxReceipt:
        """End a delivered sale: the seller is paid, the contributors get their royalty, the token
        is the buyer's."""
        self._require(dataset, SaleState.DELIVERED)
        return self.writer.accept_sale(dataset)

    def reject(self, dataset: int, manifest: Manifest, own: DeliveryKey | None) -> TxReceipt:
        """Show the chain a delivered key that is not the promised one, in time: price and the seller's deposit come
        by `claim`, the token goes back to the seller. The proof shows the one-time secret of this purchase, so that
        anybody can open this delivery. Raises TesseraError when every key is as promised."""
        sale = self._require(dataset, SaleState.DELIVERED)
        if own is None:
            raise UsageError(f"name the delivery key that you bought data set {dataset} with (key=)")
        promised = self.chain.promised_keys(sale)
        without = unsold(self.chain, self.chain.dataset(dataset))
        shards = [shard for shard, _ in sealed_keys(manifest, without)]
        for bought, key in purchases_with(self.chain, dataset, own):
            if bought.point != sale.point or bought.wrapped_keys is None:
                continue
            found = opened_keys(key, manifest.order, bought.wrapped_keys, shards)
            for place, shard in enumerate(shards):
                if key_commitment(found[shard], manifest.order, shard) != promised[place]:
                    shared = key.shared_with(Digest(bought.wrapped_keys[:32]))
                    fault = KeyFault(place, key.reveal(), shared, bought.wrapped_keys, promised)
                    return self.writer.reject_sale(dataset, fault)
            raise TesseraError(
                f"every key of data set {dataset} is the one that was promised: this sale cannot be rejected"
            )
        raise TesseraError(
            f"data set {dataset} was bought by {sale.buyer} with another delivery key than {own.public}"
        )

    def expire(self, dataset: int) -> TxReceipt:
        """Undo a sale whose seller delivered nothing in time."""
        self._require(dataset, SaleState.SOLD)
        return self.writer.expire_sale(dataset)

    def _require(self, dataset: int, state: SaleState) -> SaleOnChain:
        sale = self.chain.sale(dataset)
        if sale.state is not state:
            raise TesseraError(f"data set {dataset} is {STATES[sale.state]}; expected: {STATES[state]}")
        return sale

    def _keys(self, dataset: int, manifest: Manifest, own: DeliveryKey | None) -> list[tuple[int, bytes]]:
        """(shard, content key) of all that is sealed, as this wallet's delivery key opens them."""
        record = self.chain.dataset(dataset)
        keys = sealed_keys(manifest, unsold(self.chain, record))
        if not keys:
            return []
        if own is None:
            raise UsageError(f"data set {dataset} is sealed: name your delivery key (key=)")
        opening = content_keys(self.chain, record, manifest, own)
        if isinstance(opening, DeliveryKey):
            keys = [(shard, fetch_key(self.store, key)) for shard, key in keys]
        return [(shard, content_key(opening, key, manifest.order, shard)) for shard, key in keys]

    def _commitments(self, dataset: int, manifest: Manifest, own: DeliveryKey | None) -> tuple[Digest, ...]:
        """What is promised: of each key in hand its commitment. TesseraError where the data set's maker signed
        another."""
        found = self._keys(dataset, manifest, own)
        named = dict(sealed_keys(manifest))
        for shard, key in found:
            published = named[shard]
            if published.commitment not in (None, key_commitment(key, manifest.order, shard)):
                raise TesseraError(
                    f"the key of shard {shard} is not the one that its maker committed to: no buyer would pay for it, "
                    f"so data set {dataset} cannot be sold"
                )
        return tuple(key_commitment(key, manifest.order, shard) for shard, key in found)

    def _provide_deposit(self, dataset: int, price_wei: int) -> None:
        """Lets the sales contract take the deposit of this offer beside those of other offers."""
        me, sales, unit = self.signer.address, self.chain.deployment.sales, self.chain.deployment.unit
        deposit = self.chain.deposit_of(price_wei)
        held = self.chain.balance(me)
        if held < deposit:
            raise TesseraError(
                f"{me} holds {unit.shown(held)}, the deposit of the offer is {unit.shown(deposit)}: it is taken with "
                "the purchase and comes back with the price"
            )
        sale, allowed = self.chain.sale(dataset), self.chain.allowance(me, sales)
        is_mine = sale.state is SaleState.LISTED and sale.seller == me and sale.promised != NOTHING_PROMISED
        before = self.chain.deposit_of(sale.price) if is_mine else 0
        wanted = max(deposit, allowed - before + deposit)
        if wanted > allowed and allowed < UNBOUNDED:
            self.writer.approve(sales, wanted)
