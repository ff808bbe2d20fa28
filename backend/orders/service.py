"""Rules of orders: judged before stored, stored before placed, shown with the chain's view beside ours."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.collections import CollectionService
from backend.database.engine import LIST_LIMIT
from backend.database.models import ChainDemandRow, OrderRow
from backend.errors import NotFoundError, SignatureInvalidError
from backend.orders.documents import matched_of
from backend.orders.events import EventRepository
from backend.orders.permits import Permits
from backend.orders.repository import OrderRepository
from backend.orders.standing import StandingModels, newest_fit
from backend.orders.terms_policy import TermsPolicy, require_parents
from backend.outcome import outcome_of
from backend.ports import Ports
from provenance.api.message import Uint256
from provenance.api.orders import (
    DemandView,
    OrderRequest,
    OrderState,
    OrderView,
    ParticipantView,
    PermitToSign,
    QuoteRequest,
    QuoteView,
    StateEvent,
)
from provenance.canonical import decode_object, encode
from provenance.crypto.signing import require_signer
from provenance.errors import SignatureError
from provenance.record.collection import Request
from provenance.values import Address, Cid, Digest, Signature


def _policy(ports: Ports, chain_time: int) -> TermsPolicy:
    chain = ports.chain
    return TermsPolicy(ports.settings, ports.broker, chain_time, chain.limits(), chain.deployment.unit)


def quote(
    ports: Ports, session: Session, asked: QuoteRequest, chain_time: int, permits: Permits
) -> QuoteView:
    """Terms to sign, the order id they will have, and the permit that pays for them."""
    collection = CollectionService(session).require(str(asked.collection))
    request = Request(asked.purpose, asked.conditions, asked.training)
    require_parents(ports.chain, collection)
    models = StandingModels(session)
    stock = None if asked.training is None else models.get(asked.training)
    terms = _policy(ports, chain_time).quote(collection, asked, request, stock)
    in_stock = None
    if request.training is None:
        fitting = models.of(str(collection.digest))
        in_stock = newest_fit(fitting, terms.epsilon_micro, terms.delta_e12, terms.min_contributors)
    chain = ports.chain
    message = permits.message(terms, permits.next_nonce(permits.waiting(session)))
    return QuoteView(
        order_id=terms.order_id(ports.domain),
        price_wei=Uint256(terms.price),
        size_class=collection.size_class,
        terms=terms,
        request=request,
        supply="made-to-order" if request.training is None else "from-stock",
        in_stock=in_stock,
        typed_data=terms.typed_data(ports.domain),
        permit=PermitToSign(
            token=chain.deployment.token,
            owner=message.owner,
            spender=message.spender,
            value=Uint256(message.value),
            deadline=message.deadline,
            typed_data=message.typed_data(permits.domain),
        ),
    )


def check_parents(ports: Ports, body: OrderRequest) -> None:
    """Asks the chain about the parents of a new order's collection, outside any transaction. Raises
    TermsRefusedError or NotFoundError."""
    terms = body.terms
    with ports.database.read() as session:
        if OrderRepository(session).get(str(terms.order_id(ports.domain))) is not None:
            return
        collection = CollectionService(session).require(str(terms.collection))
    require_parents(ports.chain, collection)


class OrderService:
    """One transaction's view of the orders."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows = OrderRepository(session)

    def accept(self, ports: Ports, body: OrderRequest, chain_time: int, permits: Permits) -> OrderRow:
        """Stores a signed order. The same order again is answered with the stored one."""
        terms, request = body.terms, body.request
        order = str(terms.order_id(ports.domain))
        existing = self._rows.get(order)
        if existing is not None:
            return existing
        collection = CollectionService(self._session).require(str(terms.collection))
        stock = None if request.training is None else StandingModels(self._session).get(request.training)
        _policy(ports, chain_time).check(collection, request, terms, stock)
        try:
            require_signer(ports.domain, terms, body.signature, terms.buyer)
        except SignatureError as error:
            raise SignatureInvalidError(f"signature: {error}; sign the quote's typedData") from error
        permits.check(self._session, terms, body.permit.permit())
        now = int(ports.clock())
        row = OrderRow(
            id=order, state=OrderState.ACCEPTED, buyer=str(terms.buyer), collection=str(terms.collection),
            terms=encode(terms.document()), signature=bytes(body.signature),
            permit=encode(body.permit.permit().document()), request=encode(request.document()),
            training=None if request.training is None else str(request.training), created_at=now,
        )  # fmt: skip
        self._rows.add(row)
        EventRepository(self._session).append(order, StateEvent(state=OrderState.ACCEPTED), now)
        return row

    def require(self, order: str) -> OrderRow:
        row = self._rows.get(order)
        if row is None:
            raise NotFoundError(f"no order {order}")
        return row

    def show(self, order: str) -> OrderView:
        return self._shown(self.require(order))

    def list(self, buyer: str | None, state: str | None) -> tuple[OrderView, ...]:
        """Newest first, at most LIST_LIMIT."""
        return tuple(self._shown(row) for row in self._rows.list(buyer, state, LIST_LIMIT))

    def _shown(self, row: OrderRow) -> OrderView:
        terms = decode_object(row.terms)
        outcome = outcome_of(self._session, row.id)
        participants = tuple(
            ParticipantView(
                contributor=each.contributor, rows=each.rows, max_rows=each.max_rows,
                acceptance=each.acceptance,
            )
            for each in matched_of(row)
        )  # fmt: skip
        return OrderView(
            order_id=Digest.parse(row.id),
            state=OrderState(row.state),
            chain_state=self._rows.chain_state(row.id),
            reason=row.failure,
            buyer=Address.parse(row.buyer),
            collection=Digest.parse(row.collection),
            terms={name: str(value) for name, value in terms.items()},
            signature=Signature(row.signature),
            request=decode_object(row.request),
            participants=participants,
            dataset_id=self._rows.dataset_id(row.id),
            manifest_cid=None if row.manifest_cid is None else Cid(row.manifest_cid),
            transactions=tuple(self._rows.transactions(row.id)),
            demands=tuple(_demand(each) for each in self._rows.demands(row.id)),
            faults=outcome.faults,
            refunded_wei=None if outcome.refunded_wei is None else Uint256(outcome.refunded_wei),
            deliver_by=outcome.deliver_by,
            created_at=row.created_at,
        )


def _demand(row: ChainDemandRow) -> DemandView:
    return DemandView(
        shard=row.shard, kind=row.kind, state=row.state, demander=Address.parse(row.demander),
        answer_by=row.answer_by,
    )  # fmt: skip
