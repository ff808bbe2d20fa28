"""What the broker asks and accepts: pure rules over a collection, a wish and signed terms.

Price = the collection's price per row x rows. A quote is not stored: signed terms are judged by the same
rules.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from backend.errors import BidBelowQuoteError, TermsRefusedError
from backend.settings import Settings
from provenance.api.orders import QuoteRequest
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import ChainReads, DatasetOnChain, DatasetStatus, OrderState
from provenance.record.collection import Collection, Request, bindings
from provenance.record.terms import OPEN_DELIVERY_KEY, OrderTerms, parents_digest
from provenance.table.conditions_bytes import conditions_digest
from provenance.values import Address, Digest

MINIMUM_MATCH_SECONDS = 2
DEFAULT_DELTA_E12 = 10_000_000
"""1e-5."""


@dataclass(frozen=True, slots=True)
class TermsPolicy:
    """The broker's rules. `chain_time` is the time that every deadline is compared with."""

    settings: Settings
    broker: Address
    chain_time: int

    def quote(self, collection: Collection, wish: QuoteRequest, request: Request) -> OrderTerms:
        """Terms for the buyer to sign. Raises TermsRefusedError when the wish cannot be met."""
        settings = self.settings
        price = collection.price_per_row_wei * wish.rows
        if wish.max_price_wei is not None and price > wish.max_price_wei:
            raise TermsRefusedError(
                f"price: {wish.rows} rows cost {price} wei, more than maxPriceWei {wish.max_price_wei}"
            )
        epsilon_micro = (
            collection.epsilon_micro if wish.epsilon is None else _scaled(wish.epsilon, 10**6, "epsilon")
        )
        delta = DEFAULT_DELTA_E12 if wish.delta is None else _scaled(wish.delta, 10**12, "delta")
        minimum = wish.min_contributors or collection.min_contributors
        match_by = self.chain_time + (wish.match_within_seconds or settings.match_seconds)
        deliver_by = self.chain_time + (wish.deliver_within_seconds or settings.deliver_seconds)
        challenge = wish.challenge_seconds
        terms = OrderTerms(
            buyer=wish.buyer,
            broker=self.broker,
            collection=collection.digest,
            request=request.digest,
            delivery_key=wish.delivery_key or OPEN_DELIVERY_KEY,
            rows=wish.rows,
            epsilon_micro=epsilon_micro,
            delta_e12=0 if epsilon_micro == 0 else delta,
            min_score_micro=0 if wish.min_score is None else _scaled(wish.min_score, 10**6, "minScore"),
            min_contributors=minimum,
            max_contributors=wish.max_contributors or max(minimum, settings.max_contributors),
            broker_fee_bps=settings.broker_fee_bps,
            match_by=min(match_by, deliver_by - 1),
            deliver_by=deliver_by,
            challenge_seconds=settings.challenge_seconds if challenge is None else challenge,
            price=price,
            stake=settings.stake_wei,
            bond=price * settings.bond_bps // 10_000,
            royalty_bps=collection.royalty_bps,
            conditions=conditions_digest(request.asked(collection.schema, wish.rows)),
            parents=parents_digest(collection.parents),
            salt=Digest(secrets.token_bytes(32)),
        )
        self.check(collection, request, terms)
        return terms

    def check(self, collection: Collection, request: Request, terms: OrderTerms) -> None:
        """Raises BidBelowQuoteError or TermsRefusedError naming the member that does not fit; ConditionError for
        conditions that are none."""
        price = collection.price_per_row_wei * terms.rows
        if terms.price < price:
            raise BidBelowQuoteError(
                f"price: found {terms.price} wei for {terms.rows} rows, the quote is {price} wei; ask for it"
            )
        bound = [
            _Rule(each.member, each.found, each.holds, str(each.expected))
            for each in bindings(terms, collection, request)
        ]
        for rule in (*bound, *self._rules(collection, terms)):
            if not rule.holds:
                raise TermsRefusedError(
                    f"{rule.member}: found {rule.found}, expected {rule.expected}; ask for a new quote"
                )

    def _rules(self, collection: Collection, terms: OrderTerms) -> tuple[_Rule, ...]:
        settings, now, t = self.settings, self.chain_time, terms
        ceiling, low, high = collection.epsilon_micro, collection.min_contributors, settings.max_contributors
        is_sealed = t.delivery_key != OPEN_DELIVERY_KEY
        key_rule = "a delivery key" if collection.is_private else "none, for the collection is open"
        epsilon_ok = 0 < t.epsilon_micro <= ceiling or ceiling == 0
        delta_ok = t.delta_e12 == 0 if t.epsilon_micro == 0 else 0 < t.delta_e12 < 10**12
        fewest_ok = low <= t.min_contributors <= high
        count_ok = t.min_contributors <= min(t.max_contributors, t.rows) and t.max_contributors <= high
        bond = t.price * settings.bond_bps // 10_000
        most_rows = min(settings.max_rows, collection.schema.max_rows or settings.max_rows)
        first = now + MINIMUM_MATCH_SECONDS
        return (
            _Rule("broker", t.broker, t.broker == self.broker, str(self.broker)),
            _Rule("deliveryKey", t.delivery_key, is_sealed == collection.is_private, key_rule),
            _Rule("rows", t.rows, 1 <= t.rows <= most_rows, f"1 to {most_rows}"),
            _Rule("epsilonMicro", t.epsilon_micro, epsilon_ok, f"1 to the collection's ceiling {ceiling}"),
            _Rule("deltaE12", t.delta_e12, delta_ok, "0 without epsilon, otherwise between 0 and 1"),
            _Rule("minScoreMicro", t.min_score_micro, t.min_score_micro <= 10**6, "0 to 1000000"),
            _Rule("minContributors", t.min_contributors, fewest_ok, f"{low} to {high}"),
            _Rule("maxContributors", t.max_contributors, count_ok, f"minContributors to {high}, a row each"),
            _Rule(
                "brokerFeeBps", t.broker_fee_bps, t.broker_fee_bps == settings.broker_fee_bps,
                str(settings.broker_fee_bps),
            ),
            _Rule("stake", t.stake, t.stake == settings.stake_wei, str(settings.stake_wei)),
            _Rule("bond", t.bond, t.bond <= bond, f"at most {bond}"),
            _Rule("matchBy", t.match_by, t.match_by >= first, f"at least {first}, the chain's time is {now}"),
            _Rule("deliverBy", t.deliver_by, t.deliver_by > t.match_by, f"later than matchBy {t.match_by}"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    """One member of the terms: what was found, whether it holds, what was expected."""

    member: str
    found: object
    holds: bool
    expected: str


def require_parents(ledger: ChainReads, collection: Collection) -> tuple[DatasetOnChain, ...]:
    """The parents' records. Raises TermsRefusedError unless each is valid and its order settled: the registry takes
    no child of another."""
    return tuple(_parent(ledger, parent) for parent in collection.parents)


def _parent(ledger: ChainReads, parent: int) -> DatasetOnChain:
    try:
        record = ledger.dataset(parent)
    except UnknownDatasetError as error:
        raise TermsRefusedError(f"parents: data set {parent} is not recorded: {error}") from error
    state = ledger.order(record.order).state
    if record.status != DatasetStatus.VALID or state is not OrderState.SETTLED:
        status = next((each.name for each in DatasetStatus if each == record.status), str(record.status))
        raise TermsRefusedError(
            f"parents: data set {parent} is {status} and its order {state.name}, expected VALID and SETTLED; "
            "order of a collection without it"
        )
    return record


def _scaled(text: str, scale: int, name: str) -> int:
    """A decimal as an integer number of 1/scale, rounded up: a ceiling never becomes stricter than asked."""
    value = int((Decimal(text) * scale).to_integral_value(ROUND_CEILING))
    if not 0 <= value < 2**53:
        raise TermsRefusedError(f"{name}: found {text}, expected a smaller figure")
    return value
