"""Data sets offered for resale, read from chain events.

What an event cannot tell is asked of the chain at the purchase: an offer whose seller has parted with the data set, or
taken back the sales contract's approval, stays listed and cannot be bought.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from sqlalchemy import select

from backend.database.engine import LIST_LIMIT, Repository
from backend.database.models import DatasetRow, OfferRow, OrderRow
from backend.http.context import AddressText, ReadSession
from provenance.api.catalogue import RUNNING_OFFERS, OfferList, OfferState, OfferView, SaleView
from provenance.api.message import Uint256
from provenance.values import Address, Digest

router = APIRouter(prefix="/v1/offers", tags=["offers"])


class OfferRepository(Repository[OfferRow]):
    """Reads offers in one transaction."""

    table = OfferRow

    def list(
        self, buyer: str | None, seller: str | None, state: str | None, limit: int
    ) -> Sequence[tuple[OfferRow, DatasetRow, str | None]]:
        """(offer, its data set, the collection where this broker knows it), newest first."""
        query = (
            select(OfferRow, DatasetRow, OrderRow.collection)
            .join(DatasetRow, DatasetRow.id == OfferRow.dataset)
            .outerjoin(OrderRow, OrderRow.id == DatasetRow.order)
            .order_by(OfferRow.listed_block.desc(), OfferRow.listed_log_index.desc())
        )
        if buyer is not None:
            query = query.where(OfferRow.buyer == buyer)
        if seller is not None:
            query = query.where(OfferRow.seller == seller)
        if state is not None:
            query = query.where(OfferRow.state == state)
        return [(each[0], each[1], each[2]) for each in self.session.execute(query.limit(limit))]

    def running(self, datasets: Sequence[int]) -> dict[int, OfferRow]:
        """The offer of each data set that has one which has not ended."""
        query = select(OfferRow).where(OfferRow.dataset.in_(datasets), OfferRow.state.in_(RUNNING_OFFERS))
        return {row.dataset: row for row in self.session.scalars(query)}


def sale_view(row: OfferRow) -> SaleView:
    """The sale alone, without its data set."""
    return SaleView(
        state=OfferState(row.state),
        seller=Address.parse(row.seller),
        price_wei=Uint256(row.price),
        buyer=None if row.buyer is None else Address.parse(row.buyer),
        deadline=row.deadline,
        block=row.block,
        transaction=Digest.parse(row.transaction),
    )


@router.get("")
def index(
    session: ReadSession,
    buyer: AddressText | None = None,
    seller: AddressText | None = None,
    state: OfferState | None = None,
) -> OfferList:
    """Offers that the chain's events tell of, those that have ended included; newest first."""
    found = OfferRepository(session).list(buyer, seller, state, LIST_LIMIT)
    return OfferList(offers=tuple(_shown(*row) for row in found))


def _shown(row: OfferRow, dataset: DatasetRow, collection: str | None) -> OfferView:
    return OfferView(
        **dict(sale_view(row)),
        dataset=row.dataset,
        dataset_status=dataset.status,
        collection=None if collection is None else Digest.parse(collection),
        rows=dataset.rows,
    )
