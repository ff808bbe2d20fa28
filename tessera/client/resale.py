"""Data sets that change hands: offer, buy, deliver the keys, look, accept or reject (docs/spec/market.md).

The rules are the contract's; what is decided here is what a transaction would only refuse later, or what no
contract can see: whether the keys that a seller delivered open the files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provenance.chain.ports import DatasetStatus, OrderState, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.sales import SaleOnChain, SaleState
from provenance.chain.writer import ChainWriter
from provenance.crypto.permit import sign_permit
from provenance.crypto.resold_keys import bundle_keys
from provenance.crypto.seal import DeliveryKey
from provenance.crypto.signing import Signer
from provenance.record.manifest import Manifest
from provenance.record.terms import OPEN_DELIVERY_KEY
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of_digest
from provenance.values import Digest
from provenance.verify.evidence import content_keys, wrapped_keys
from tessera.client.delivery import Delivered, deliver
from tessera.errors import FalseDatasetError, TesseraError, UsageError

STATES = {
    SaleState.NONE: "not offered",
    SaleState.LISTED: "offered",
    SaleState.SOLD: "bought, the seller has to deliver the keys",
    SaleState.DELIVERED: "keys delivered, the buyer may reject",
}
FALLEN = "parted with it, or took back the approval of the sales contract"
"""What the seller of an offer did that stands no longer."""
PERMIT_SECONDS = 3600


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
            f"data set {dataset} did not pass, nothing was written ({names}): reject the sale in time"
        ) from error


@dataclass(frozen=True, slots=True)
class Resale:
    """Sales of one wallet, as seller or as buyer."""

    chain: ChainReader
    writer: ChainWriter
    signer: Signer

    def offer(self, dataset: int, price_wei: int) -> TxReceipt:
        """Offer a data set that this wallet holds, or change its price. Sends the approval first
        where it lacks."""
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
        if not self.chain.is_saleable(dataset, me):
            self.writer.approve_sale(dataset)
        return self.writer.list_for_sale(dataset, price_wei)

    def withdraw(self, dataset: int) -> TxReceipt:
        """Take an offer back."""
        self._require(dataset, SaleState.LISTED)
        return self.writer.unlist(dataset)

    def buy(
        self, dataset: int, most_wei: int, delivery_key: DeliveryKey | None, *, is_open: bool
    ) -> TxReceipt:
        """Pay the list price, at most `most_wei`; the keys are to be wrapped for `delivery_key`."""
        sale, unit = self._require(dataset, SaleState.LISTED), self.chain.deployment.unit
        if sale.price > most_wei:
            raise TesseraError(
                f"data set {dataset} is offered at {unit.shown(sale.price)}, you agreed to {unit.shown(most_wei)}"
            )
        if not is_open and delivery_key is None:
            raise UsageError(
                f"data set {dataset} is sealed: name the delivery key that its keys shall be wrapped for with --key"
            )
        if not self.chain.stands(sale):
            raise TesseraError(
                f"data set {dataset} cannot be bought: its seller {sale.seller} {FALLEN}. Its holder "
                f"{self.chain.dataset(dataset).owner} can offer it again"
            )
        me = self.signer.address
        held = self.chain.balance(me)
        if held < sale.price:
            raise TesseraError(f"{me} holds {unit.shown(held)}, the data set costs {unit.shown(sale.price)}")
        deadline = self.chain.chain_time() + PERMIT_SECONDS
        message = self.chain.permit_message(me, sale.price, deadline, spender=self.chain.deployment.sales)
        permit = sign_permit(self.signer, self.chain.token_domain(), message)
        key = OPEN_DELIVERY_KEY if is_open or delivery_key is None else delivery_key.public
        return self.writer.buy(dataset, sale.price, key, permit)

    def deliver(self, dataset: int, manifest: Manifest, own: DeliveryKey | None) -> TxReceipt:
        """Hand the keys over, wrapped for the buyer. Raises SealError when `own` opens nothing."""
        sale = self._require(dataset, SaleState.SOLD)
        if sale.seller != self.signer.address:
            raise TesseraError(
                f"data set {dataset} is sold by {sale.seller}, this wallet is {self.signer.address}"
            )
        wrapped = wrapped_keys(manifest)
        if not wrapped:
            return self.writer.deliver_keys(dataset, b"")
        if own is None:
            raise UsageError(f"data set {dataset} is sealed: name your delivery key with --key")
        keys = content_keys(self.chain, dataset, manifest, own)
        bundle = bundle_keys(keys, wrapped, manifest.order, self._buyer_key(dataset))
        return self.writer.deliver_keys(dataset, bundle)

    def accept(self, dataset: int) -> TxReceipt:
        """End a delivered sale: the seller is paid, the contributors get their royalty, the token
        is the buyer's."""
        self._require(dataset, SaleState.DELIVERED)
        return self.writer.accept_sale(dataset)

    def reject(self, dataset: int) -> TxReceipt:
        """Undo a delivered sale, in time: the price comes back by `claim`, the token goes back to the seller."""
        sale = self._require(dataset, SaleState.DELIVERED)
        if sale.buyer != self.signer.address:
            raise TesseraError(
                f"data set {dataset} was bought by {sale.buyer}, this wallet is {self.signer.address}"
            )
        return self.writer.reject_sale(dataset)

    def expire(self, dataset: int) -> TxReceipt:
        """Undo a sale whose seller delivered nothing in time."""
        self._require(dataset, SaleState.SOLD)
        return self.writer.expire_sale(dataset)

    def _require(self, dataset: int, state: SaleState) -> SaleOnChain:
        sale = self.chain.sale(dataset)
        if sale.state is not state:
            raise TesseraError(f"data set {dataset} is {STATES[sale.state]}; expected: {STATES[state]}")
        return sale

    def _buyer_key(self, dataset: int) -> Digest:
        sold = self.chain.sold_to(dataset)
        if sold is None or sold.delivery_key == OPEN_DELIVERY_KEY:
            raise TesseraError(
                f"the buyer of data set {dataset} named no delivery key, so its keys cannot be wrapped: let the sale "
                "expire"
            )
        return sold.delivery_key
