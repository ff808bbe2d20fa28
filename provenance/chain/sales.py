"""Resale, royalties and payouts on chain: docs/spec/market.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from provenance.chain.errors import ChainUnavailableError, RevertError
from provenance.chain.ports import Purchase
from provenance.chain.sale_events import DatasetSold, KeysDelivered, KeysPromised
from provenance.chain.views import E, MarketViews
from provenance.values import Address, Digest, keccak256

NOTHING_PROMISED = Digest(bytes(32))
"""In place of a digest of commitments, and of a point: the data set is open."""


class SaleState(IntEnum):
    """Where the sale of a data set stands."""

    NONE = 0
    LISTED = 1
    SOLD = 2
    DELIVERED = 3


@dataclass(frozen=True, slots=True)
class SaleOnChain:
    """The sale of one data set. `price` in token wei; `deadline` in chain seconds: last time to deliver (sold) or to
    reject (delivered), else 0. `seller` and `buyer` are None where there is none. `promised` is the digest of the
    commitments of the keys that the seller will deliver, zero for an open data set; `point` the buyer's one-time
    point."""

    dataset: int
    state: SaleState
    seller: Address | None
    price: int
    buyer: Address | None
    deadline: int
    promised: Digest
    point: Digest


@dataclass(frozen=True, slots=True)
class OfferTaken:
    """What a buyer agrees to: price in token wei, digest of the promised keys, its one-time point (zeros for an open
    data set)."""

    dataset: int
    price: int
    promised: Digest
    point: Digest


@dataclass(frozen=True, slots=True)
class KeyFault:
    """Shows the chain that the key at `place` of a delivery is not the promised one (`IDatasetSales.KeyFault`)."""

    place: int
    secret: int = field(repr=False)
    shared: Digest
    wrapped_keys: bytes
    commitments: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class SalesRecord:
    """How the sales of one account ended: as seller (`rejected`: a key of the delivery was proven wrong), as buyer."""

    sold: int
    rejected: int
    undelivered: int
    bought: int


class SalesReader(MarketViews):
    """What is offered, to whom, and what waits for whom."""

    def sale(self, dataset: int) -> SaleOnChain:
        """The sale of a data set's token; state NONE when it is not offered."""
        found = self._only("sales", "saleOf", dataset)
        state = SaleState(found["state"])
        return SaleOnChain(
            dataset=dataset,
            state=state,
            seller=found["seller"] if state is not SaleState.NONE else None,
            price=found["price"],
            buyer=found["buyer"] if state in (SaleState.SOLD, SaleState.DELIVERED) else None,
            deadline=found["deadline"],
            promised=found["promised"],
            point=found["deliveryKey"],
        )

    def sales_record(self, account: Address) -> SalesRecord:
        """How the account's sales ended so far. A fresh address has a fresh record."""
        found = self._only("sales", "recordOf", account)
        return SalesRecord(found["sold"], found["rejected"], found["undelivered"], found["bought"])

    def purchases(self, dataset: int) -> Sequence[Purchase]:
        """Every purchase of the data set by resale, the oldest first; as of the latest block, for a number that was
        used is not to be used again."""
        found: list[Purchase] = []
        events: list[DatasetSold | KeysDelivered] = [
            *self._newest_too(DatasetSold, dataset),
            *self._newest_too(KeysDelivered, dataset),
        ]
        for event in sorted(events, key=lambda event: (event.at.block, event.at.log_index)):
            if isinstance(event, DatasetSold):
                found.append(Purchase(event.delivery_key, None))
            elif found:
                found[-1] = Purchase(found[-1].point, bytes(event.wrapped_keys))
        return found

    def promised_keys(self, sale: SaleOnChain) -> tuple[Digest, ...]:
        """The commitments behind `sale.promised`; empty for an open data set."""
        if sale.promised == NOTHING_PROMISED:
            return ()
        for event in reversed(self._newest_too(KeysPromised, sale.dataset)):
            if keccak256(b"".join(event.commitments)) == sale.promised:
                return event.commitments
        raise ChainUnavailableError(
            f"the node at {self.rpc.url} has no event with the keys promised for data set {sale.dataset}; ask another"
        )

    def deposit_of(self, price: int) -> int:
        """What a seller loses by a late or wrong delivery, in token wei, by the price in token wei."""
        return int(self._only("sales", "depositOf", price))

    def _newest_too(self, event: type[E], dataset: int) -> list[E]:
        """Events of one kind up to the latest block."""
        latest = self.rpc.integer("eth_blockNumber")
        found = self._raw_logs(self._query("sales", event, dataset), self.deployment.block, latest)
        return [each for each in found if isinstance(each, event)]

    def is_saleable(self, dataset: int, seller: Address) -> bool:
        """Whether the sales contract may move the token for its holder `seller`."""
        sales = self.deployment.sales
        approved: Address = self._only("datasets", "getApproved", dataset)
        return approved == sales or bool(self._only("datasets", "isApprovedForAll", seller, sales))

    def stands(self, sale: SaleOnChain) -> bool:
        """Whether a listed data set can be bought: its seller still holds it and the deposit, and the sales contract
        may take both."""
        if sale.state is not SaleState.LISTED or sale.seller is None:
            return False
        holder: Address = self._only("datasets", "ownerOf", sale.dataset)
        if holder != sale.seller or not self.is_saleable(sale.dataset, holder):
            return False
        deposit = 0 if sale.promised == NOTHING_PROMISED else self.deposit_of(sale.price)
        allowed = self._only("token", "allowance", holder, self.deployment.sales)
        return bool(min(allowed, self._only("token", "balanceOf", holder)) >= deposit)

    def royalty_receiver(self, dataset: int) -> Address:
        """The address that ERC-2981 names for the data set, deployed or not."""
        receiver: Address = self._only("royalties", "receiverOf", dataset)
        return receiver

    def deposit_waiting(self, account: Address) -> int:
        """Token wei of a demand's deposit that could not be sent to `account` and wait at the demands contract."""
        try:
            return int(self._only("demands", "collect", account))
        except RevertError as error:
            if error.name == "Demands_NothingToCollect":
                return 0
            raise
