"""Standing models: those of a recorded order that later orders of the collection may be sold from.

A model stands while the order's data set is valid on chain and enough of its contributors go on selling it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from backend.collections import CollectionService
from backend.database.engine import LIST_LIMIT, Repository
from backend.database.models import DatasetRow, JobRow, OrderRow, RetirementRow
from backend.errors import ForbiddenError, NotFoundError
from backend.http.context import Caller, DigestText, PortsHere, ReadSession, WriteSession
from backend.orders.documents import StoredOrder
from provenance.api.catalogue import Retirement, StandingModelList, StandingModelView
from provenance.api.orders import FINAL_STATES, OrderState
from provenance.record.receipts import median_score
from provenance.values import Address, Digest

router = APIRouter(prefix="/v1/models", tags=["models"])
_RECORDED = (OrderState.PUBLISHED, OrderState.SETTLED)


@dataclass(frozen=True, slots=True)
class StandingModel:
    """What one training has in stock. scores: recorded, of the contributors that go on selling, in participant order.
    trained_at: unix seconds."""

    order: StoredOrder
    dataset: int
    scores: Mapping[Address, int]
    trained_at: int

    @property
    def contributors(self) -> tuple[Address, ...]:
        """Who can serve an order from this stock."""
        return tuple(self.scores)

    def fits(self, epsilon_micro: int, delta_e12: int, contributors: int) -> bool:
        """Whether an order with these terms can be sold from it."""
        terms = self.order.terms
        spent = (terms.epsilon_micro, terms.delta_e12)
        return spent == (epsilon_micro, delta_e12) and len(self.scores) >= contributors

    def view(self) -> StandingModelView:
        terms = self.order.terms
        return StandingModelView(
            training=self.order.id,
            collection=terms.collection,
            dataset=self.dataset,
            epsilon_micro=terms.epsilon_micro,
            delta_e12=terms.delta_e12,
            score_micro=median_score(list(self.scores.values())),
            lowest_score_micro=min(self.scores.values()),
            contributors=self.contributors,
            trained_at=self.trained_at,
        )


class RetirementRepository(Repository[RetirementRow]):
    """Who does not sell the models of an order any more."""

    table = RetirementRow

    def of(self, order: str) -> set[Address]:
        query = select(RetirementRow.contributor).where(RetirementRow.order == order)
        return set(map(Address.parse, self.session.scalars(query)))


class StandingModels:
    """One transaction's view of what is in stock."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._retired = RetirementRepository(session)

    def list(self, collection: str) -> tuple[StandingModelView, ...]:
        """Newest first, at most LIST_LIMIT. Raises NotFoundError for a collection that there is not."""
        return tuple(model.view() for model in self.of(collection))

    def of(self, collection: str) -> Iterator[StandingModel]:
        """Of one collection, newest first."""
        offered = CollectionService(self._session).require(collection)
        if not offered.standing:
            return
        query = _trainings().where(OrderRow.collection == collection).limit(LIST_LIMIT)
        for order, dataset, trained_at in self._session.execute(query):
            model = self._model(order, dataset, trained_at)
            if len(model.scores) >= offered.min_contributors:
                yield model

    def get(self, training: Digest) -> StandingModel | None:
        """That of one order; None where it does not stand. Fewer contributors than the collection asks for may be left
        of it."""
        row = self._session.execute(_trainings().where(OrderRow.id == str(training))).one_or_none()
        return None if row is None else self._model(*row)

    def is_needed(self, training: str) -> bool:
        """Whether what nodes sent in this training will be replayed: its models are in stock, or may be once the
        catalogue, which is made anew from the chain's events, has its record; or an order sold from them goes on."""
        row = self._session.get_one(OrderRow, training)
        offered = CollectionService(self._session).require(row.collection)
        if offered.standing and row.training is None and row.state in _RECORDED:
            # By its name: also one that is too old for the list may be ordered from.
            model = self.get(Digest.parse(training))
            if model is not None and len(model.scores) >= offered.min_contributors:
                return True
            known = select(DatasetRow.id).where(DatasetRow.order == training)
            if self._session.scalar(known.limit(1)) is None:
                return True
        going_on = select(OrderRow.id).where(
            OrderRow.training == training, OrderRow.state.not_in(FINAL_STATES)
        )
        return self._session.scalar(going_on.limit(1)) is not None

    def retire(self, training: str, contributor: Address, now: int) -> bool:
        """Takes a contributor's model out of stock; True when it was in. Raises NotFoundError or ForbiddenError."""
        row = self._session.get(OrderRow, training)
        if row is None or row.training is not None:
            raise NotFoundError(f"no order {training} that models were trained for")
        members = {each.contributor for each in StoredOrder.of(row).matched}
        if contributor not in members:
            raise ForbiddenError(f"{contributor} did not train for order {training}")
        if contributor in self._retired.of(training):
            return False
        self._retired.add(RetirementRow(order=training, contributor=str(contributor), created_at=now))
        return True

    def _model(self, order: OrderRow, dataset: DatasetRow, trained_at: int) -> StandingModel:
        recorded = {Address.parse(each.contributor) for each in dataset.shards}
        selling = recorded - self._retired.of(order.id)
        scores = {Address.parse(each.contributor): each.score_micro for each in dataset.evaluations}
        # Who was excused from the evaluation has released no score: its model is not sold again.
        return StandingModel(
            StoredOrder.of(order),
            dataset.id,
            {each: score for each, score in scores.items() if each in selling},
            trained_at,
        )


def _trainings() -> Select[OrderRow, DatasetRow, int]:
    """Recorded orders whose models were made to order and whose data sets are valid, with the time of training."""
    return (
        select(OrderRow, DatasetRow, JobRow.created_at)
        .join(DatasetRow, DatasetRow.order == OrderRow.id)
        .join(JobRow, JobRow.order == OrderRow.id)
        .where(
            OrderRow.training.is_(None),
            OrderRow.state.in_(_RECORDED),
            DatasetRow.status == "valid",
            JobRow.phase == "train",
        )
        .order_by(DatasetRow.id.desc())
        .options(selectinload(DatasetRow.shards), selectinload(DatasetRow.evaluations))
    )


def newest_fit(
    models: Sequence[StandingModel] | Iterator[StandingModel],
    epsilon_micro: int,
    delta_e12: int,
    contributors: int,
) -> Digest | None:
    """The newest training that an order with these terms can be sold from."""
    fitting = (model for model in models if model.fits(epsilon_micro, delta_e12, contributors))
    newest = next(fitting, None)
    return None if newest is None else newest.order.id


@router.get("")
def index(session: ReadSession, collection: DigestText) -> StandingModelList:
    """What later orders of a collection can be sold from, the newest training first."""
    return StandingModelList(models=StandingModels(session).list(collection))


@router.post("/{training}/retire", status_code=201)
def retire(
    training: DigestText, caller: Caller, response: Response, ports: PortsHere, session: WriteSession
) -> Retirement:
    """A contributor does not sell its model of this training any more. Matched orders are not touched."""
    is_new = StandingModels(session).retire(training, caller, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return Retirement(training=Digest.parse(training), contributor=caller)
