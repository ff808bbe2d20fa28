"""From stored events to the derived tables: the chain's view of orders, the catalogue of data sets, their offers.

Only the event rows are read: dropping the derived tables and applying all rows again gives the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from backend.database.models import (
    ChainDemandRow,
    ChainEventRow,
    ChainOrderRow,
    DatasetRow,
    EvaluationRow,
    OfferRow,
    ShardRow,
)
from provenance.api.catalogue import RUNNING_OFFERS, OfferState
from provenance.canonical import JsonValue, decode, encode
from provenance.chain.disputes import MANIFEST_SHARD, DemandKind

ORDER_STATES: Mapping[str, str] = {
    "OrderPlaced": "open",
    "OrderCancelled": "cancelled",
    "OrderMatched": "matched",
    "OrderPublished": "published",
    "OrderRefunded": "refunded",
    "OrderSettled": "settled",
    "OrderRevoked": "revoked",
}
DATASET_STATES: Mapping[str, str] = {
    "DatasetRevoked": "revoked",
    "DatasetFlagged": "flagged",
    "ShardRevoked": "reduced",
}
DEMAND_STATES: Mapping[str, str] = {
    "CommitmentAnswered": "answered",
    "SaltAnswered": "answered",
    "EvaluationAnswered": "answered",
    "ManifestAnswered": "answered",
    "ReceiptAnswered": "answered",
    "ModelAnswered": "answered",
    "ChunkAnswered": "answered",
    "DemandExpired": "expired",
}
OFFER_STATES: Mapping[str, OfferState] = {
    "DatasetUnlisted": OfferState.UNLISTED,
    "DatasetSold": OfferState.SOLD,
    "KeysDelivered": OfferState.DELIVERED,
    "SaleAccepted": OfferState.ACCEPTED,
    "SaleRejected": OfferState.REJECTED,
    "SaleExpired": OfferState.EXPIRED,
}
Payload = Mapping[str, JsonValue]


def apply(session: Session, row: ChainEventRow) -> None:
    """Applies one event; kinds without a derived table change nothing."""
    payload = decode(row.payload)
    assert isinstance(payload, dict)
    if row.kind in ORDER_STATES:
        state = ORDER_STATES[row.kind]
        session.merge(ChainOrderRow(id=_text(payload, "order"), state=state, block=row.block))
    elif row.kind == "DatasetPublished":
        _dataset(session, row, payload)
    elif row.kind in DATASET_STATES:
        _status(session, payload, DATASET_STATES[row.kind])
    elif row.kind == "DemandOpened":
        _demand(session, payload)
    elif row.kind == "DemandWarned":
        _warn(session, payload)
    elif row.kind in DEMAND_STATES:
        _end_demand(session, payload, DEMAND_STATES[row.kind])
    elif row.kind == "DatasetListed":
        _list(session, row, payload)
    elif row.kind in OFFER_STATES:
        _move_offer(session, row, payload, OFFER_STATES[row.kind])
    elif row.kind == "ShardRecorded":
        _shard(session, payload)
    elif row.kind == "EvaluationRecorded":
        _evaluation(session, payload)


def rebuild(session: Session) -> None:
    """Drops everything derived and applies all stored events in chain order."""
    for model in (OfferRow, ShardRow, EvaluationRow, DatasetRow, ChainOrderRow, ChainDemandRow):
        session.execute(delete(model))
    session.expunge_all()
    rows = select(ChainEventRow).order_by(ChainEventRow.block, ChainEventRow.log_index)
    for row in session.scalars(rows).all():
        apply(session, row)
        session.flush()


def _dataset(session: Session, row: ChainEventRow, payload: Payload) -> None:
    session.add(
        DatasetRow(
            id=_number(payload, "id"),
            order=_text(payload, "order"),
            manifest_digest=_text(payload, "manifest_digest"),
            dataset_root=_text(payload, "dataset_root"),
            seed=_text(payload, "seed"),
            score_digest=_text(payload, "score_digest"),
            rows=_number(payload, "rows"),
            epsilon_micro=_number(payload, "epsilon_micro"),
            delta_e12=_number(payload, "delta_e12"),
            depth=_number(payload, "depth"),
            spec_version=_number(payload, "spec_version"),
            real_fraction_micro=_number(payload, "real_fraction_micro"),
            parents=encode(payload["parents"]),
            shares_bps=encode(payload["shares_bps"]),
            status="valid",
            block=row.block,
            transaction=row.transaction,
        )
    )


def _status(session: Session, payload: Payload, status: str) -> None:
    """Sets the data set's status; what is revoked stays revoked, and what is flagged is not worth more for losing a
    shard."""
    dataset = session.get_one(DatasetRow, _number(payload, "id"))
    if dataset.status != "revoked" and (dataset.status, status) != ("flagged", "reduced"):
        dataset.status = status


def _demand(session: Session, payload: Payload) -> None:
    session.merge(
        ChainDemandRow(
            order=_text(payload, "order"),
            shard=_number(payload, "shard"),
            kind=DemandKind(_number(payload, "kind")).name.lower(),
            state="open",
            demander=_text(payload, "demander"),
            answer_by=_number(payload, "answer_by"),
        )
    )


def _end_demand(session: Session, payload: Payload, state: str) -> None:
    # A manifest is nobody's shard.
    shard = _number(payload, "shard") if "shard" in payload else MANIFEST_SHARD
    session.get_one(ChainDemandRow, (_text(payload, "order"), shard)).state = state


def _warn(session: Session, payload: Payload) -> None:
    place = (_text(payload, "order"), _number(payload, "shard"))
    demand = session.get_one(ChainDemandRow, place)
    demand.state, demand.answer_by = "warned", _number(payload, "answer_by")


def _list(session: Session, row: ChainEventRow, payload: Payload) -> None:
    """A new offer. The seller's own of before has another price now; that of an earlier holder has ended."""
    dataset, seller, price = _number(payload, "dataset"), _text(payload, "seller"), _text(payload, "price")
    listed = session.scalars(_running_offer(dataset)).one_or_none()
    if listed is not None:
        listed.block, listed.transaction = row.block, row.transaction
        if listed.seller == seller:
            listed.price = price
            return
        listed.state = OfferState.UNLISTED
    session.add(
        OfferRow(
            listed_block=row.block,
            listed_log_index=row.log_index,
            dataset=dataset,
            state=OfferState.LISTED,
            seller=seller,
            price=price,
            block=row.block,
            transaction=row.transaction,
        )
    )


def _move_offer(session: Session, row: ChainEventRow, payload: Payload, state: OfferState) -> None:
    offer = session.scalars(_running_offer(_number(payload, "dataset"))).one()
    offer.state, offer.block, offer.transaction, offer.deadline = state, row.block, row.transaction, None
    if state is OfferState.SOLD:
        offer.buyer, offer.deadline = _text(payload, "buyer"), _number(payload, "deliver_by")
    elif state is OfferState.DELIVERED:
        offer.deadline = _number(payload, "accept_by")


def _running_offer(dataset: int) -> Select[OfferRow]:
    return select(OfferRow).where(OfferRow.dataset == dataset, OfferRow.state.in_(RUNNING_OFFERS))


def _shard(session: Session, payload: Payload) -> None:
    session.add(
        ShardRow(
            dataset=_number(payload, "id"),
            shard=_number(payload, "shard"),
            contributor=_text(payload, "contributor"),
            model_digest=_text(payload, "model_digest"),
            shard_root=_text(payload, "shard_root"),
            rows=_number(payload, "rows"),
            epsilon_micro=_number(payload, "epsilon_micro"),
            delta_e12=_number(payload, "delta_e12"),
            content_digest=_text(payload, "content_digest"),
        )
    )


def _evaluation(session: Session, payload: Payload) -> None:
    dataset = _number(payload, "id")
    counted = select(func.count()).select_from(EvaluationRow).where(EvaluationRow.dataset == dataset)
    session.add(
        EvaluationRow(
            dataset=dataset,
            position=session.scalar(counted) or 0,
            contributor=_text(payload, "contributor"),
            score_micro=_number(payload, "score_micro"),
        )
    )


def _text(payload: Payload, name: str) -> str:
    return cast(str, payload[name])


def _number(payload: Payload, name: str) -> int:
    return int(cast(str, payload[name]))
