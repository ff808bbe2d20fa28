"""What a buyer asks for, and the check that quoted terms say exactly that before anything is signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TypedDict, Unpack

from provenance.api.catalogue import StandingModelView
from provenance.api.message import Uint256
from provenance.api.orders import QuoteRequest
from provenance.crypto.typed_data import Domain
from provenance.errors import ValueFormatError
from provenance.exact import SPEC_VERSION
from provenance.record.collection import Collection, Request
from provenance.record.terms import MAX_ANSWER_SECONDS, OPEN_DELIVERY_KEY, OrderTerms, parents_digest
from provenance.table.conditions_bytes import conditions_digest
from provenance.units import (
    BASIS_POINTS,
    E12,
    MICRO,
    TOKENS,
    TokenUnit,
    exact_decimal,
    format_fixed,
    local_time,
    parse_fixed,
    percent,
)
from provenance.values import Address, Digest
from tessera.errors import TermsDifferError, UsageError
from tessera.local.conditions import ConditionOptions
from tessera.words import parse_tokens

CLOCK_SLACK_SECONDS = 120

Number = str | int | float | Decimal


class OrderOptions(TypedDict, total=False):
    """What may be said about an order beside collection and rows; what is left out is the collection's.

    epsilon: privacy ceiling; delta: beside it. where: one condition such as "age=30..40", or several that all
    must hold. balance: a column whose values get as many rows each. count: "CONDITION:N", exactly N rows
    each. conditions: a document instead of these three. max_price: tokens for the whole order.
    min_contributors: fewer, and the money comes back. min_score: the median score, 0 to 1, below which
    nothing is paid. purpose: what the rows are for. indivisible: if a part of the rows is false or missing, all of
    the money comes back and nobody is paid; otherwise that part's money. from_stock: rows of models that are
    there already, in seconds; training: the order whose models these are, else the newest that fit. *_seconds:
    until matched, until published, between publication and payment.
    """

    epsilon: Number | None
    delta: Number
    where: Sequence[str] | str
    balance: str | None
    count: Sequence[str] | str
    conditions: Path | None
    max_price: Number | None
    min_contributors: int | None
    min_score: Number | None
    purpose: str
    from_stock: bool
    training: str | None
    indivisible: bool
    match_within_seconds: int | None
    deliver_within_seconds: int | None
    challenge_seconds: int | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as its buyer means it. epsilon None: as the collection, or the training named, has it; privacy cannot be
    asked away. from_stock: from a training that is looked up when terms are asked for; training: from this one.

    `delta` and `epsilon` are exact decimals; times are seconds; the price is token wei for the whole order.
    """

    collection: str
    rows: int
    epsilon: Decimal | None = None
    delta: Decimal = Decimal("1e-5")
    min_contributors: int | None = None
    min_score: Decimal | None = None
    purpose: str = ""
    from_stock: bool = False
    training: Digest | None = None
    indivisible: bool = False
    match_within_seconds: int | None = None
    deliver_within_seconds: int | None = None
    challenge_seconds: int | None = None
    max_price_wei: int | None = None
    asked: ConditionOptions = field(default_factory=ConditionOptions)
    unit: TokenUnit = TOKENS

    @classmethod
    def of(cls, unit: TokenUnit, collection: str, rows: int, **options: Unpack[OrderOptions]) -> OrderRequest:
        """As a person states it: decimals as text or numbers, the price in tokens of the market's `unit`. Raises
        UsageError, and TypeError for an option that there is not."""
        known = OrderOptions.__annotations__
        for name in sorted(options.keys() - known.keys()):
            raise TypeError(f"an order has no option {name!r}; it has {', '.join(known)}")
        epsilon, least = options.get("epsilon"), options.get("min_score")
        price, training = options.get("max_price"), options.get("training")
        return cls(
            collection=collection,
            rows=rows,
            epsilon=None if epsilon is None else parse_decimal(epsilon, "epsilon"),
            delta=parse_decimal(options.get("delta", "1e-5"), "delta"),
            min_contributors=options.get("min_contributors"),
            min_score=None if least is None else parse_decimal(least, "min-score"),
            purpose=options.get("purpose", ""),
            from_stock=options.get("from_stock", False) or training is not None,
            training=None if training is None else _digest(training, "training"),
            indivisible=options.get("indivisible", False),
            match_within_seconds=options.get("match_within_seconds"),
            deliver_within_seconds=options.get("deliver_within_seconds"),
            challenge_seconds=options.get("challenge_seconds"),
            max_price_wei=None if price is None else parse_tokens(str(price), unit),
            asked=ConditionOptions(
                _several(options.get("where", ())),
                options.get("balance"),
                _several(options.get("count", ())),
                options.get("conditions"),
            ),
            unit=unit,
        )

    def request(self, collection: Collection) -> Request:
        """What the buyer says beside the signed numbers. Raises UsageError or ConditionError."""
        return Request.of(self.purpose, self.asked.conditions(collection.schema, self.rows), self.training)

    def is_served_by(self, model: StandingModelView) -> bool:
        """Whether an order as this can be sold from a standing model."""
        epsilon = model.epsilon_micro if self.epsilon is None else _fixed(self.epsilon, MICRO, "epsilon")
        return (
            self.training in (None, model.training)
            and epsilon == model.epsilon_micro
            and (epsilon == 0 or _fixed(self.delta, E12, "delta") == model.delta_e12)
            and (self.min_contributors or 1) <= len(model.contributors)
            and _fixed(self.min_score or Decimal(0), MICRO, "min score") <= model.lowest_score_micro
        )

    def served_from(self, training: Digest, epsilon_micro: int) -> OrderRequest:
        """The same from the stock of a training, with its epsilon where none was stated."""
        epsilon = Decimal(format_fixed(epsilon_micro, MICRO)) if self.epsilon is None else self.epsilon
        return replace(self, training=self.training or training, epsilon=epsilon)

    def to_quote(
        self, collection: Digest, buyer: Address, delivery_key: Digest | None, request: Request
    ) -> QuoteRequest:
        """The body of POST /v1/quotes; what was not asked is left to the collection."""
        return QuoteRequest(
            collection=collection,
            buyer=buyer,
            rows=self.rows,
            epsilon=None if self.epsilon is None else f"{self.epsilon:f}",
            delta=f"{self.delta:f}",
            delivery_key=delivery_key,
            min_contributors=self.min_contributors,
            min_score=None if self.min_score is None else f"{self.min_score:f}",
            conditions=tuple(dict(segment) for segment in request.segments),
            purpose=self.purpose,
            training=self.training,
            indivisible=self.indivisible,
            match_within_seconds=self.match_within_seconds,
            deliver_within_seconds=self.deliver_within_seconds,
            challenge_seconds=self.challenge_seconds,
            max_price_wei=None if self.max_price_wei is None else Uint256(self.max_price_wei),
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """The broker's answer, parsed; nothing in it is believed before `check_terms`. chain_time: of the buyer's
    own chain when it asked. in_stock: the training that the same could be had from at once, as the broker says."""

    order_id: Digest
    terms: OrderTerms
    request: Request
    collection: Collection
    chain_time: int
    unit: TokenUnit = TOKENS
    in_stock: Digest | None = None

    @property
    def supply(self) -> str:
        """Where the rows come from, and how long that takes."""
        training = self.request.training
        return (
            "made to order, minutes"
            if training is None
            else f"from stock, seconds: models of order {training}"
        )


@dataclass(frozen=True, slots=True)
class Pinned:
    """What the buyer knows from its own files, not from the broker. delivery_key: None for an open data set."""

    buyer: Address
    broker: Address
    delivery_key: Digest | None
    domain: Domain


def check_terms(asked: OrderRequest, quote: Quote, pinned: Pinned) -> None:
    """Raise `TermsDifferError` naming every member of the terms that does not say what was asked."""
    wrong = differences(asked, quote, pinned)
    if wrong:
        raise TermsDifferError(
            "the quoted terms do not say what was asked, nothing was signed. "
            + "; ".join(wrong)
            + ". Ask again, or do not deal with this broker"
        )


def differences(asked: OrderRequest, quote: Quote, pinned: Pinned) -> list[str]:
    """Every member of the terms that does not say what was asked: what it says, and what was meant."""
    buyer, broker, delivery_key, domain = pinned.buyer, pinned.broker, pinned.delivery_key, pinned.domain
    terms, collection, chain_time = quote.terms, quote.collection, quote.chain_time
    own = asked.request(collection)
    conditions = conditions_digest(own.asked(collection.schema, asked.rows))
    parents = parents_digest(collection.parents)
    ceiling = collection.epsilon_micro if asked.epsilon is None else _fixed(asked.epsilon, MICRO, "epsilon")
    least = collection.min_contributors if asked.min_contributors is None else asked.min_contributors
    deliver_within = asked.deliver_within_seconds
    latest = None if deliver_within is None else chain_time + deliver_within + CLOCK_SLACK_SECONDS
    checks: list[tuple[str, object, object, bool]] = [
        ("order id", quote.order_id, terms.order_id(domain), quote.order_id == terms.order_id(domain)),
        ("buyer", terms.buyer, buyer, terms.buyer == buyer),
        ("broker", terms.broker, broker, terms.broker == broker),
        ("collection", terms.collection, collection.digest, terms.collection == collection.digest),
        ("collection name", collection.name, asked.collection,
         asked.collection in (collection.name, str(terms.collection))),
        ("request", terms.request, quote.request.digest, terms.request == quote.request.digest),
        ("purpose", quote.request.purpose, asked.purpose, quote.request.purpose == asked.purpose),
        ("training", quote.request.training or "made to order",
         asked.training or ("from stock" if asked.from_stock else "made to order"),
         quote.request.training == asked.training and (asked.training is not None) == asked.from_stock),
        ("conditions", quote.request.digest, own.digest, quote.request.segments == own.segments),
        ("conditions in bytes", terms.conditions, conditions, terms.conditions == conditions),
        ("royalty", percent(terms.royalty_bps, BASIS_POINTS), percent(collection.royalty_bps, BASIS_POINTS),
         terms.royalty_bps == collection.royalty_bps),
        ("parents", terms.parents, parents, terms.parents == parents),
        ("delivery key", terms.delivery_key, delivery_key or OPEN_DELIVERY_KEY,
         terms.delivery_key == (delivery_key or OPEN_DELIVERY_KEY)),
        ("rows", terms.rows, asked.rows, terms.rows == asked.rows),
        ("epsilon", format_fixed(terms.epsilon_micro, MICRO), format_fixed(ceiling, MICRO),
         terms.epsilon_micro == ceiling),
        ("delta", format_fixed(terms.delta_e12, E12), asked.delta,
         terms.epsilon_micro == 0 or terms.delta_e12 == _fixed(asked.delta, E12, "delta")),
        ("min score", format_fixed(terms.min_score_micro, MICRO), asked.min_score or 0,
         terms.min_score_micro == _fixed(asked.min_score or Decimal(0), MICRO, "min score")),
        ("min contributors", terms.min_contributors, f">= {least}", terms.min_contributors >= least),
        ("price", asked.unit.shown(terms.price), f"at most {asked.unit.shown(asked.max_price_wei or 0)}",
         asked.max_price_wei is None or terms.price <= asked.max_price_wei),
        ("broker fee", percent(terms.broker_fee_bps, BASIS_POINTS), "at most 20 %", terms.broker_fee_bps <= 2_000),
        ("match by", local_time(terms.match_by, chain_time), "in the future, and not after delivery",
         chain_time < terms.match_by <= terms.deliver_by),
        ("deliver by", local_time(terms.deliver_by, chain_time), f"{local_time(latest or 0, chain_time)} at the latest",
         latest is None or terms.deliver_by <= latest),
        ("schema digest", terms.schema_digest, collection.schema.digest,
         terms.schema_digest == collection.schema.digest),
        ("size class", terms.size_class, collection.size_class_number,
         terms.size_class == collection.size_class_number),
        ("row specification", terms.spec_version, SPEC_VERSION, terms.spec_version == SPEC_VERSION),
        ("real rows", percent(terms.own_real_micro, MICRO), percent(collection.own_real_micro, MICRO),
         terms.own_real_micro == collection.own_real_micro),
        ("stake", asked.unit.shown(terms.stake), f"at least {asked.unit.shown(terms.price)}, the price",
         terms.stake >= terms.price),
        ("indivisible", str(terms.indivisible).lower(), str(asked.indivisible).lower(),
         terms.indivisible is asked.indivisible),
        ("answer seconds", terms.answer_seconds, f"at most {MAX_ANSWER_SECONDS}",
         terms.answer_seconds <= MAX_ANSWER_SECONDS),
        ("challenge seconds", terms.challenge_seconds, asked.challenge_seconds,
         asked.challenge_seconds is None or terms.challenge_seconds == asked.challenge_seconds),
    ]  # fmt: skip
    return [
        f"{name}: the terms say {found}, asked {meant}" for name, found, meant, holds in checks if not holds
    ]


def parse_decimal(value: Number, option: str) -> Decimal:
    """An exact decimal, as it was typed."""
    try:
        return exact_decimal(str(value))
    except ValueFormatError as error:
        raise UsageError(f"{option}: {error}") from error


def _digest(text: str, option: str) -> Digest:
    try:
        return Digest.parse(text)
    except ValueFormatError as error:
        raise UsageError(f"{option}: {error}") from error


def _several(words: Sequence[str] | str) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _fixed(value: Decimal, places: int, name: str) -> int:
    try:
        return parse_fixed(str(value), places)
    except ValueFormatError as error:
        raise UsageError(f"{name}: {error}: finer terms cannot be signed") from error
