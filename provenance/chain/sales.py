"""Resale, royalties and payouts on chain: docs/spec/market.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from provenance.chain.errors import RevertError
from provenance.chain.sale_events import DatasetSold, KeysDelivered
from provenance.chain.views import MarketViews
from provenance.values import Address, Digest


class SaleState(IntEnum):
    """Where the sale of a data set stands."""

    NONE = 0
    LISTED = 1
    SOLD = 2
    DELIVERED = 3


@dataclass(frozen=True, slots=True)
class SaleOnChain:
    """The sale of one data set. `price` in token wei; `deadline` in chain seconds: last time to deliver (sold) or to
    reject (delivered), else 0. `seller` and `buyer` are None where there is none."""

    dataset: int
    state: SaleState
    seller: Address | None
    price: int
    buyer: Address | None
    deadline: int


@dataclass(frozen=True, slots=True)
class SalesRecord:
    """How the sales of one account ended, as seller and as buyer."""

    sold: int
    rejected: int
    undelivered: int
    bought: int
    returned: int


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
        )

    def sales_record(self, account: Address) -> SalesRecord:
        """How the account's sales ended so far. A fresh address has a fresh record."""
        found = self._only("sales", "recordOf", account)
        return SalesRecord(
            found["sold"], found["rejected"], found["undelivered"], found["bought"], found["returned"]
        )

    def sold_to(self, dataset: int) -> DatasetSold | None:
        """The newest purchase of a data set; None when it was never resold."""
        return self._newest("sales", DatasetSold, dataset)

    def resold_keys(self, dataset: int, delivery_key: Digest) -> bytes | None:
        """The wrapped keys that a seller delivered for `delivery_key`, the newest; None when there are none."""
        sales = [
            event for event in self._logs("sales", DatasetSold, dataset) if event.delivery_key == delivery_key
        ]
        if not sales:
            return None
        sold = sales[-1]
        for event in self._logs("sales", KeysDelivered, dataset):
            later = (event.at.block, event.at.log_index) > (sold.at.block, sold.at.log_index)
            if later and event.buyer == sold.buyer:
                return bytes(event.wrapped_keys)
        return None

    def is_saleable(self, dataset: int, seller: Address) -> bool:
        """Whether the sales contract may move the token for its holder `seller`."""
        sales = self.deployment.sales
        approved: Address = self._only("datasets", "getApproved", dataset)
        return approved == sales or bool(self._only("datasets", "isApprovedForAll", seller, sales))

    def stands(self, sale: SaleOnChain) -> bool:
        """Whether a listed data set can be bought: its seller still holds it, and the sales contract may move it."""
        if sale.state is not SaleState.LISTED or sale.seller is None:
            return False
        holder: Address = self._only("datasets", "ownerOf", sale.dataset)
        return holder == sale.seller and self.is_saleable(sale.dataset, holder)

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
