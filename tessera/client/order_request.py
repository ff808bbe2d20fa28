"""What a buyer asks for, and the check that quoted terms say exactly that before anything is signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from provenance.crypto.typed_data import Domain
from provenance.record.collection import Collection, Request
from provenance.record.terms import OPEN_DELIVERY_KEY, OrderTerms, parents_digest
from provenance.table.conditions_bytes import conditions_digest
from provenance.values import Address, Digest
from tessera.errors import TermsDifferError, UsageError
from tessera.local.conditions import ConditionOptions

MICRO = 10**6
E12 = 10**12
CLOCK_SLACK_SECONDS = 120
TOKEN_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class Wish:
    """An order as its buyer means it. epsilon None: as the collection has it; epsilon 0 is not a wish but
    `none`.

    `delta` and `epsilon` are exact decimals; times are seconds; the price is token wei for the whole order.
    """

    collection: str
    rows: int
    epsilon: Decimal | None = None
    delta: Decimal = Decimal("1e-5")
    min_contributors: int | None = None
    min_score: Decimal | None = None
    purpose: str = ""
    match_within_seconds: int | None = None
    deliver_within_seconds: int | None = None
    challenge_seconds: int | None = None
    max_price_wei: int | None = None
    asked: ConditionOptions = field(default_factory=ConditionOptions)

    def request(self, collection: Collection) -> Request:
        """What the buyer says beside the signed numbers. Raises UsageError or ConditionError."""
        return Request.of(self.purpose, self.asked.conditions(collection.schema, self.rows))

    def quote_body(
        self, collection_id: str, buyer: Address, delivery_key: Digest | None, request: Request
    ) -> dict[str, object]:
        """The body of POST /v1/quotes; what was not asked is left to the collection."""
        body: dict[str, object | None] = {
            "collection": collection_id,
            "buyer": str(buyer),
            "rows": self.rows,
            "epsilon": None if self.epsilon is None else _plain(self.epsilon),
            "delta": _plain(self.delta),
            "deliveryKey": None if delivery_key is None else str(delivery_key),
            "minContributors": self.min_contributors,
            "minScore": None if self.min_score is None else _plain(self.min_score),
            "conditions": [dict(segment) for segment in request.segments] or None,
            "purpose": self.purpose or None,
            "matchWithinSeconds": self.match_within_seconds,
            "deliverWithinSeconds": self.deliver_within_seconds,
            "challengeSeconds": self.challenge_seconds,
            "maxPriceWei": None if self.max_price_wei is None else str(self.max_price_wei),
        }
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Quote:
    """The broker's answer, parsed; nothing in it is believed before `check_terms`."""

    order_id: Digest
    terms: OrderTerms
    request: Request
    collection: Collection


def check_terms(
    wish: Wish,
    quote: Quote,
    *,
    buyer: Address,
    broker: Address,
    delivery_key: Digest | None,
    domain: Domain,
    chain_time: int,
) -> None:
    """Raise `TermsDifferError` naming every member of the terms that does not say what was asked.

    `domain` and `chain_time` come from the buyer's own profile and chain, not from the quote.
    """
    terms, collection = quote.terms, quote.collection
    own = wish.request(collection)
    conditions = conditions_digest(own.asked(collection.schema, wish.rows))
    parents = parents_digest(collection.parents)
    ceiling = collection.epsilon_micro if wish.epsilon is None else _scaled(wish.epsilon, MICRO, "epsilon")
    least = collection.min_contributors if wish.min_contributors is None else wish.min_contributors
    deliver_within = wish.deliver_within_seconds
    latest = None if deliver_within is None else chain_time + deliver_within + CLOCK_SLACK_SECONDS
    checks: list[tuple[str, object, object, bool]] = [
        ("order id", quote.order_id, terms.order_id(domain), quote.order_id == terms.order_id(domain)),
        ("buyer", terms.buyer, buyer, terms.buyer == buyer),
        ("broker", terms.broker, broker, terms.broker == broker),
        ("collection", terms.collection, collection.digest, terms.collection == collection.digest),
        ("collection name", collection.name, wish.collection,
         wish.collection in (collection.name, str(terms.collection))),
        ("request", terms.request, quote.request.digest, terms.request == quote.request.digest),
        ("purpose", quote.request.purpose, wish.purpose, quote.request.purpose == wish.purpose),
        ("conditions", quote.request.digest, own.digest, quote.request.segments == own.segments),
        ("conditions in bytes", terms.conditions, conditions, terms.conditions == conditions),
        ("royalty (1e-4)", terms.royalty_bps, collection.royalty_bps, terms.royalty_bps == collection.royalty_bps),
        ("parents", terms.parents, parents, terms.parents == parents),
        ("delivery key", terms.delivery_key, delivery_key or OPEN_DELIVERY_KEY,
         terms.delivery_key == (delivery_key or OPEN_DELIVERY_KEY)),
        ("rows", terms.rows, wish.rows, terms.rows == wish.rows),
        ("epsilon (1e-6)", terms.epsilon_micro, ceiling, terms.epsilon_micro == ceiling),
        ("delta (1e-12)", terms.delta_e12, _scaled(wish.delta, E12, "delta"),
         terms.epsilon_micro == 0 or terms.delta_e12 == _scaled(wish.delta, E12, "delta")),
        ("min score (1e-6)", terms.min_score_micro, _scaled(wish.min_score or Decimal(0), MICRO, "min score"),
         terms.min_score_micro == _scaled(wish.min_score or Decimal(0), MICRO, "min score")),
        ("min contributors", terms.min_contributors, f">= {least}", terms.min_contributors >= least),
        ("price", terms.price, f"<= {wish.max_price_wei}",
         wish.max_price_wei is None or terms.price <= wish.max_price_wei),
        ("broker fee (1e-4)", terms.broker_fee_bps, "<= 2000", terms.broker_fee_bps <= 2_000),
        ("match by", terms.match_by, f"after {chain_time}, not after delivery",
         chain_time < terms.match_by <= terms.deliver_by),
        ("deliver by", terms.deliver_by, f"<= {latest}", latest is None or terms.deliver_by <= latest),
        ("challenge seconds", terms.challenge_seconds, wish.challenge_seconds,
         wish.challenge_seconds is None or terms.challenge_seconds == wish.challenge_seconds),
    ]  # fmt: skip
    wrong = [f"{name}: quoted {found}, asked {asked}" for name, found, asked, holds in checks if not holds]
    if wrong:
        raise TermsDifferError(
            "the quoted terms do not say what was asked, nothing was signed. "
            + "; ".join(wrong)
            + ". Ask again, or do not deal with this broker"
        )


def parse_tokens(text: str) -> int:
    """Whole tokens as people write them ("12.5") to wei."""
    try:
        wei = Decimal(text).scaleb(TOKEN_DECIMALS)
    except InvalidOperation as error:
        raise UsageError(f"found {text!r}, expected a number of tokens such as 12.5") from error
    if not wei.is_finite() or wei < 0 or wei != wei.to_integral_value():
        raise UsageError(f"found {text!r}, expected a non-negative number of tokens with at most 18 decimals")
    return int(wei)


def parse_decimal(text: str, option: str) -> Decimal:
    """An exact decimal from the command line."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"{option}: found {text!r}, expected a number such as 3 or 0.5 or 1e-5") from error
    if not value.is_finite() or value < 0:
        raise UsageError(f"{option}: found {text!r}, expected a number that is not negative")
    return value


def tokens(wei: int) -> str:
    """Token wei as people read it: grouped, without trailing zeros."""
    text = f"{Decimal(wei).scaleb(-TOKEN_DECIMALS):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(value: Decimal) -> str:
    return f"{value:f}"


def _scaled(value: Decimal, scale: int, name: str) -> int:
    scaled = value * scale
    if scaled != scaled.to_integral_value():
        raise UsageError(
            f"{name}: found {value}, expected a multiple of {1 / scale:g}: finer terms cannot be signed"
        )
    return int(scaled)
