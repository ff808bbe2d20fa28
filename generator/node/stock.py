"""Orders from stock: rows of models that were trained for an earlier order, while this node stands by those models.

Nothing of the table is looked at for such an order, so nothing is charged for it. The node asks chain and own folder
whether the training can serve: published and valid, with this node's model and score as it keeps them, trained with the
terms' own epsilon and delta, able to make rows under the order's conditions, and not retired by the node's operator.
"""

from __future__ import annotations

from generator.errors import NodeError, NotYet, StateError, TaskRefused
from generator.node.context import Node
from generator.node.evaluate import released_score
from generator.node.model_checks import check_size, try_rows
from generator.node.orders import Accepted, Orders
from generator.node.untrained import order_model
from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderState
from provenance.exact.model import model_digest
from provenance.record.collection import Request, stock_faults
from provenance.record.terms import OrderTerms
from provenance.table.conditions import RowConditions
from provenance.values import Digest

RETIRED = "retired"
_RECORDED = (OrderState.PUBLISHED, OrderState.SETTLED)


def check_stock(node: Node, terms: OrderTerms, request: Request, training: Digest) -> None:
    """TaskRefused unless this node can serve the order from the stock of `training`; NotYet while the chain as read
    here does not show that one's record."""
    trained = _trained(node, training)
    to_order = trained.request.training is None
    faults = stock_faults(terms, node.collection, trained.terms, made_to_order=to_order)
    if faults:
        member, found, expected = faults[0]
        raise TaskRefused("training-differs", f"{member}: found {found}, expected {expected}")
    if node.orders.folder(training).is_retired():
        raise TaskRefused(RETIRED, f"this node does not sell the models of order {training} any more")
    model = _own_model(node, training)
    _check_record(node, training, model)
    check_size(node, model)
    asked = request.asked(node.collection.schema, terms.rows)
    if asked is not None:
        # Which rows it will make is not known before the match; every stretch of them is asked for alike.
        try_rows(node, model, RowConditions(asked), 0, terms.rows)


def retire(orders: Orders, training: Digest) -> None:
    """Ends the sale of this node's model of an order, at once and for good; orders that it accepted are served to their
    end. NodeError where there is no such model."""
    folder = orders.folder(training)
    held = folder.accepted()
    if held is None:
        raise NodeError(f"this node did not accept order {training}: `tessera node status` lists its orders")
    if held.request.training is not None:
        raise NodeError(
            f"order {training} was sold from the models of order {held.request.training}: retire that one"
        )
    folder.retire()


def _trained(node: Node, training: Digest) -> Accepted:
    held = node.orders.folder(training).accepted()
    if held is None:
        raise TaskRefused(
            "training-unknown", f"this node did not train for order {training}: it has no model of it"
        )
    return held


def _own_model(node: Node, training: Digest) -> bytes:
    """The model that this node trained for the order. TaskRefused where it is gone, or was never trained."""
    if node.orders.folder(training).untrained() is not None:
        raise TaskRefused(
            "training-lost",
            f"this node committed to an untrained model in order {training}: it is not sold again",
        )
    try:
        return order_model(node, training)
    except (TaskRefused, StateError) as gone:
        # A damaged file of an order that is over keeps nobody from the next one.
        raise TaskRefused(
            "training-lost", f"this node holds no model of order {training} any more: order one made anew"
        ) from gone


def _check_record(node: Node, training: Digest, model: bytes) -> None:
    """The chain recorded the training, it is valid, and model and score are those that this node keeps."""
    state = node.chain.order(training).state
    if state in (OrderState.NONE, OrderState.OPEN, OrderState.MATCHED):
        raise NotYet(f"order {training} is {state.name} on chain, its data set is to be recorded first")
    number = node.chain.dataset_of_order(training)
    record = None if number is None else node.chain.dataset(number)
    if state not in _RECORDED or record is None or record.status != DatasetStatus.VALID:
        status = "no data set" if record is None else f"a data set of status {record.status}"
        raise TaskRefused(
            "training-not-valid",
            f"order {training} is {state.name} on chain and has {status}, expected one that is recorded and valid",
        )
    recorded = _recorded(node, record)
    kept = (model_digest(model), _own_score(node, training))
    if recorded != kept:
        raise TaskRefused(
            "training-lost",
            f"the chain has model and score {recorded} of this node for order {training}, kept are {kept}",
        )


def _own_score(node: Node, training: Digest) -> int:
    try:
        return released_score(node, training)
    except StateError as damaged:
        raise TaskRefused(
            "training-lost",
            f"this node's score of order {training} cannot be read: its models are not sold again",
        ) from damaged


def _recorded(node: Node, record: DatasetOnChain) -> tuple[Digest | None, int | None]:
    """Model and score of this node in a record; None for what is not in it."""
    me = node.address
    model = next((each.model_digest for each in record.shards if each.contributor == me), None)
    score = next((each.score_micro for each in record.evaluations if each.contributor == me), None)
    return model, score
