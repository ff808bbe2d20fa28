"""An honest answer to a commitment demand where there is no model: one of the order's schema that learnt nothing.

A broker that never trains can demand commitments all the same, and silence costs a quarter of the stake. So a node
answers when the second time closes with a model whose every code is as likely as another: a function of schema and
request, made without a look at the table. What was spent before on the order, by steps that its broker began and did
not bring to an end, the receipt claims. Never while a training step is under way: what its broker gave it to do, a node
finishes. From then on this is its model of the order, and it trains no other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np

from generator.errors import TaskRefused
from generator.families.secure_aggregation import exact_sums_of
from generator.families.steps import statement_of
from generator.federation.task import Json, meta_of
from generator.marginals.bins import build_codebook
from generator.marginals.univariate import base_grid, release_bins
from generator.node.context import TRIED_AGAIN, Node
from generator.node.orders import Accepted
from generator.privacy.release import Release
from provenance.api.tasks import FINISH, FinishResult
from provenance.exact.model import AutoregressiveModel, ColumnStep, encode_model, model_digest
from provenance.table.schema import Schema
from provenance.table.unit import Unit
from provenance.units import E12, MICRO, format_fixed, to_float
from provenance.values import Digest

log = logging.getLogger(__name__)
_A_MAX = 255
_CHOOSING = threading.Lock()
"""A training step that begins and a demand that is answered must not both win."""


def untrained_model(schema: Schema, first: Sequence[int] = ()) -> bytes:
    """Model bytes with uniform codes: architecture 2, all weights zero. first: columns to draw before the others."""
    nothing = np.empty((0, len(schema.columns)), dtype=np.int64)
    book = build_codebook(schema, release_bins(nothing, base_grid(schema), 0.0))
    order = (*first, *(column for column in range(book.columns) if column not in first))
    steps = tuple(_uniform(book.code_counts[column]) for column in order)
    return encode_model(
        AutoregressiveModel(_A_MAX, schema.digest, book, order, steps, np.zeros((book.codes, 1), np.int8))
    )


def _uniform(codes: int) -> ColumnStep:
    return ColumnStep(
        np.zeros(1, np.int32), np.zeros((1, 1), np.int8), np.zeros(1, np.int32), np.zeros(1, np.uint8),
        np.zeros((codes, 1), np.int8), np.zeros(codes, np.uint8), np.zeros(codes, np.int32),
    )  # fmt: skip


def order_model(node: Node, order: Digest) -> bytes:
    """The model that this node commits to. Raises TaskRefused where there is none: the market may ask too early."""
    kept = node.orders.folder(order).untrained()
    return node.training(order).model() if kept is None else kept


def finished_training(node: Node, order: Digest) -> FinishResult:
    """What is said of that model: its digest, what it cost, its privacy statement."""
    stand_in = node.orders.folder(order).untrained()
    if stand_in is not None:
        plan, released = node.state.order(order).plan(), node.state.ledger.training_releases(order)
        summed = 0 if plan is None else exact_sums_of(plan)
        return _statement(node.accepted(order), stand_in, released, node.collection.schema.unit, summed)
    finish = node.training(order).result(FINISH)
    if finish is None:
        raise TaskRefused("not-trained", "this node holds no finished training of the order")
    return meta_of(FinishResult, finish)


def _statement(
    accepted: Accepted, model: bytes, released: tuple[Release, ...], unit: Unit | None, summed: int
) -> FinishResult:
    """What the order's releases cost, counted as at an ordinary finish; the model adds nothing. A receipt must claim
    some epsilon where the terms ask for privacy, so without releases it claims the least."""
    terms = accepted.terms
    statement: dict[str, Json] = {"epsilonMicro": min(terms.epsilon_micro, 1), "deltaE12": 0}
    if released:
        delta = to_float(terms.delta_e12, E12) if terms.epsilon_micro else None
        statement = statement_of(released, delta, unit, summed)
    epsilon, delta = cast(int, statement["epsilonMicro"]), cast(int, statement["deltaE12"])
    if epsilon > terms.epsilon_micro:
        log.error(
            "what was released costs epsilon %s, the terms allow %s: no receipt is signed",
            *(format_fixed(micro, MICRO) for micro in (epsilon, terms.epsilon_micro)),
        )
        raise TaskRefused(
            "privacy-exceeded",
            "what was released for the order costs more than its terms allow: no receipt is signed",
        )
    rule = "made of schema and request; no table was looked at"
    return FinishResult(
        model_digest=model_digest(model),
        model_bytes=len(model),
        epsilon_micro=epsilon,
        delta_e12=delta,
        statement={**statement, "format": "tessera-untrained/1", "rule": rule},
        losses={},
    )


def has_model(node: Node, order: Digest) -> bool:
    """Whether there is a model to commit to."""
    folder, training = node.orders.folder(order), node.training(order)
    return folder.untrained() is not None or training.result(FINISH) is not None


def stand_in(node: Node, order: Digest, accepted: Accepted) -> bool:
    """Puts an untrained model in place of the one that this node was never brought to finish; False while a training
    step is under way."""
    folder = node.orders.folder(order)
    with _CHOOSING:
        if folder.is_training():
            return False
        asked = accepted.request.asked(node.collection.schema, accepted.terms.rows)
        columns = sorted({c for each in asked.segments for c in each.allowed}) if asked is not None else []
        folder.store_untrained(untrained_model(node.collection.schema, columns))
    log.error(
        "order %s: its commitment is demanded and its broker never brought the training to an end; this node commits "
        "to an UNTRAINED model, made without a look at the table, so that its stake is not cut",
        str(order)[:12],
    )
    return True


@contextmanager
def training(node: Node, order: Digest) -> Iterator[None]:
    """A training step under way, until it is answered or refused. The agent refuses whatever breaks it but for
    `TRIED_AGAIN`: until the next try it counts as under way."""
    folder = node.orders.folder(order)
    with _CHOOSING:
        if folder.untrained() is not None:
            raise TaskRefused(
                "committed", "the commitment was demanded meanwhile: this node is bound to an untrained model"
            )
        folder.note_training(True)
    try:
        yield
    except TRIED_AGAIN:
        raise
    except Exception:
        folder.note_training(False)
        raise
    folder.note_training(False)
