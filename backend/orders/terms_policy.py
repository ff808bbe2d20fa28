"""What the broker asks and accepts: pure rules over a collection, what a buyer asks for, and signed terms.

Price = the collection's price per row x rows. A quote is not stored: signed terms are judged by the same rules.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from backend.errors import BidBelowQuoteError, TermsRefusedError
from backend.orders.standing import StandingModel
from backend.settings import Settings
from provenance.api.orders import QuoteRequest
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import ChainReads, DatasetOnChain, DatasetStatus, OrderLimits, OrderState
from provenance.crypto.seal import require_usable
from provenance.errors import SealError, ValueFormatError
from provenance.exact import SPEC_VERSION
from provenance.record.collection import DISTRIBUTED, Collection, Request, bindings, stock_faults
from provenance.record.terms import (
    MAX_ANSWER_SECONDS,
    MAX_CHALLENGE_SECONDS,
    MAX_DELIVERY_SECONDS,
    OPEN_DELIVERY_KEY,
    OrderTerms,
    parents_digest,
)
from provenance.table.conditions_bytes import conditions_digest
from provenance.units import (
    BASIS_POINTS,
    E12,
    MICRO,
    TOKENS,
    WHOLE_BPS,
    TokenUnit,
    duration,
    format_fixed,
    parse_fixed,
    percent,
    utc_time,
)
from provenance.values import Address, Digest

_MEMBERS = {"epsilon and delta": "epsilon", "standing": "training"}
DEFAULT_DELTA_E12 = 10_000_000
"""1e-5."""


@dataclass(frozen=True, slots=True)
class TermsPolicy:
    """The broker's rules. `chain_time` is the time that every deadline is compared with; `limits` are the market's."""

    settings: Settings
    broker: Address
    chain_time: int
    limits: OrderLimits
    unit: TokenUnit = TOKENS

    def quote(
        self,
        collection: Collection,
        asked: QuoteRequest,
        request: Request,
        stock: StandingModel | None = None,
    ) -> OrderTerms:
        """Terms for the buyer to sign. stock: what the request's training has, None where there is nothing. Raises
        TermsRefusedError for what cannot be delivered."""
        settings, trained = self.settings, None if stock is None else stock.order.terms
        price = collection.price_per_row_wei * asked.rows
        if asked.max_price_wei is not None and price > asked.max_price_wei:
            raise TermsRefusedError(
                f"price: {asked.rows} rows cost {self.unit.shown(price)}, more than the "
                f"{self.unit.shown(asked.max_price_wei)} of maxPriceWei; ask for fewer rows or offer more"
            )
        usual = (
            (trained.epsilon_micro, trained.delta_e12)
            if trained
            else (collection.epsilon_micro, DEFAULT_DELTA_E12)
        )
        epsilon = _fixed(asked.epsilon, MICRO, "epsilon", usual[0])
        delta = _fixed(asked.delta, E12, "delta", usual[1])
        minimum = asked.min_contributors or collection.min_contributors
        match_by = self.chain_time + (asked.match_within_seconds or settings.match_seconds)
        deliver_by = self.chain_time + (asked.deliver_within_seconds or settings.deliver_seconds)
        challenge = asked.challenge_seconds
        terms = OrderTerms(
            buyer=asked.buyer,
            broker=self.broker,
            collection=collection.digest,
            request=request.digest,
            delivery_key=asked.delivery_key or OPEN_DELIVERY_KEY,
            rows=asked.rows,
            epsilon_micro=epsilon,
            delta_e12=0 if epsilon == 0 else delta,
            min_score_micro=_fixed(asked.min_score, MICRO, "minScore", 0),
            min_contributors=minimum,
            max_contributors=asked.max_contributors or max(minimum, settings.max_contributors),
            broker_fee_bps=settings.broker_fee_bps,
            match_by=min(match_by, deliver_by - settings.least_delivery_seconds[collection.family]),
            deliver_by=deliver_by,
            challenge_seconds=settings.challenge_seconds if challenge is None else challenge,
            answer_seconds=max(settings.answer_seconds, self.limits.min_answer_seconds),
            price=price,
            stake=self._stake(price),
            bond=price * settings.bond_bps // WHOLE_BPS,
            royalty_bps=collection.royalty_bps,
            conditions=conditions_digest(request.asked(collection.schema, asked.rows)),
            parents=parents_digest(collection.parents),
            schema_digest=collection.schema.digest,
            size_class=collection.size_class_number,
            spec_version=SPEC_VERSION,
            own_real_micro=collection.own_real_micro,
            indivisible=asked.indivisible,
            salt=Digest(secrets.token_bytes(32)),
        )
        self.check(collection, request, terms, stock)
        return terms

    def _stake(self, price: int) -> int:
        """Of all contributors together, as broker and market ask."""
        least = max(self.settings.stake_bps, self.limits.min_stake_bps)
        return max(-(-price * least // WHOLE_BPS), self.limits.min_stake)

    def check(
        self, collection: Collection, request: Request, terms: OrderTerms, stock: StandingModel | None = None
    ) -> None:
        """Raises BidBelowQuoteError, TermsRefusedError with the member that breaks a rule, or ConditionError."""
        price = collection.price_per_row_wei * terms.rows
        if terms.price < price:
            raise BidBelowQuoteError(
                f"price: found {self.unit.shown(terms.price)} for {terms.rows} rows, the quote is "
                f"{self.unit.shown(price)}; ask for it"
            )
        bound = [
            _Rule(binding.member, binding.member, binding.holds, str(binding.found), str(binding.expected))
            for binding in bindings(terms, collection, request)
        ]
        for rule in (
            *bound,
            *_stock_rules(collection, request, terms, stock),
            *self._rules(collection, terms),
        ):
            if not rule.holds:
                words = f"found {rule.found}, expected {rule.expected}"
                raise TermsRefusedError(
                    f"{rule.words}: {words}; ask for a new quote", ((rule.member, words),)
                )

    def _rules(self, collection: Collection, terms: OrderTerms) -> tuple[_Rule, ...]:
        settings, limits, now, t, shown = self.settings, self.limits, self.chain_time, terms, self.unit.shown
        ceiling, low, high = collection.epsilon_micro, collection.min_contributors, settings.max_contributors
        is_sealed = t.delivery_key != OPEN_DELIVERY_KEY
        key_rule = "a delivery key" if collection.is_private else "none, for the collection is open"
        least = max(1, settings.least_epsilon_micro)
        epsilon_rule = f"at least {format_fixed(least, MICRO)}"
        if ceiling:
            epsilon_holds = least <= t.epsilon_micro <= ceiling
            epsilon_rule += f" and at most {format_fixed(ceiling, MICRO)}, the collection's ceiling"
        else:
            epsilon_holds = t.epsilon_micro == 0 or least <= t.epsilon_micro
            epsilon_rule = f"0 for no privacy, or {epsilon_rule}"
        delta_holds = t.delta_e12 == 0 if t.epsilon_micro == 0 else 0 < t.delta_e12 < 10**E12
        minimum_holds = low <= t.min_contributors <= high
        maximum_holds = t.min_contributors <= min(t.max_contributors, t.rows) and t.max_contributors <= high
        bond = t.price * settings.bond_bps // WHOLE_BPS
        highest = min(settings.highest_min_score_micro, limits.max_score_micro)
        earliest, least_answer = t.match_by + limits.min_delivery_seconds, limits.min_answer_seconds
        stake = self._stake(t.price)
        most_rows = min(settings.max_rows, collection.schema.max_rows or settings.max_rows)
        least_rows = max(min(settings.least_rows, most_rows), limits.min_rows)
        first = now + settings.least_match_seconds
        delivery, most_delivery = (
            settings.least_delivery_seconds[collection.family],
            now + MAX_DELIVERY_SECONDS,
        )
        least_window, window = settings.least_challenge_seconds, t.challenge_seconds
        match_rule = f"{utc_time(first)} or later, the chain's time is {utc_time(now)}"
        return (
            _Rule("broker", "broker", t.broker == self.broker, str(t.broker), str(self.broker)),
            _Rule(
                "deliveryKey", "delivery key", is_sealed == collection.is_private,
                str(t.delivery_key) if is_sealed else "none", key_rule,
            ),
            _Rule("rows", "rows", least_rows <= t.rows <= most_rows, str(t.rows), f"{least_rows} to {most_rows}"),
            _Rule(
                "price", "price", t.price >= settings.least_price_wei, shown(t.price),
                f"at least {shown(settings.least_price_wei)} for a whole order",
            ),
            _Rule("deliveryKey", "delivery key", _is_usable(t), str(t.delivery_key), "a key that can be sealed to"),
            _Rule("epsilonMicro", "epsilon", epsilon_holds, format_fixed(t.epsilon_micro, MICRO), epsilon_rule),
            _Rule(
                "epsilonMicro", "epsilon", collection.serves(t.epsilon_micro, t.min_contributors),
                format_fixed(t.epsilon_micro, MICRO),
                f"{format_fixed(least, MICRO)} or more: no node sends exact counts of its own. Without privacy take a "
                f'collection whose setting "noise" is "{DISTRIBUTED}", and two contributors at least',
            ),
            _Rule(
                "deltaE12", "delta", delta_holds, format_fixed(t.delta_e12, E12),
                "0 without epsilon, otherwise between 0 and 1",
            ),
            _Rule(
                "minScoreMicro", "minimum score", t.min_score_micro <= highest, format_fixed(t.min_score_micro, MICRO),
                f"at most {format_fixed(highest, MICRO)}",
            ),
            _Rule(
                "minContributors", "minimum of contributors", minimum_holds, str(t.min_contributors),
                f"{low} to {high}",
            ),
            _Rule(
                "maxContributors", "maximum of contributors", maximum_holds, str(t.max_contributors),
                f"at least the minimum {t.min_contributors}, which the {t.rows} rows must allow, at most {high}",
            ),
            _Rule(
                "brokerFeeBps", "broker's fee", t.broker_fee_bps == settings.broker_fee_bps,
                percent(t.broker_fee_bps, BASIS_POINTS), percent(settings.broker_fee_bps, BASIS_POINTS),
            ),
            _Rule("stake", "stake", t.stake == stake, shown(t.stake), f"{shown(stake)} of all contributors together"),
            _Rule(
                "answerSeconds", "time to answer", least_answer <= t.answer_seconds <= MAX_ANSWER_SECONDS,
                duration(t.answer_seconds), f"{duration(least_answer)} to {duration(MAX_ANSWER_SECONDS)}",
            ),
            _Rule("bond", "bond", t.bond <= bond, shown(t.bond), f"at most {shown(bond)}"),
            *(
                _Rule(name, name, found >= least, shown(found), f"at least {shown(least)}, which the market asks")
                for name, found, least in (
                    ("price", t.price, limits.min_price),
                    ("bond", t.bond, limits.min_bond),
                )
            ),
            _Rule(
                "challengeSeconds", "challenge window", t.challenge_seconds >= limits.min_challenge_seconds,
                duration(t.challenge_seconds), f"at least {duration(limits.min_challenge_seconds)}",
            ),
            _Rule("matchBy", "match deadline", t.match_by >= first, utc_time(t.match_by), match_rule),
            _Rule(
                "deliverBy", "delivery deadline", t.match_by + delivery <= t.deliver_by <= most_delivery,
                utc_time(t.deliver_by),
                f"at least {duration(delivery)} later than the match deadline {utc_time(t.match_by)} for family "
                f"{collection.family}, at most {utc_time(most_delivery)}",
            ),
            _Rule(
                "challengeSeconds", "challenge window", least_window <= window <= MAX_CHALLENGE_SECONDS,
                f"{window} seconds", f"{least_window} to {MAX_CHALLENGE_SECONDS} seconds",
            ),
            _Rule(
                "deliverBy", "delivery deadline", t.deliver_by >= earliest, utc_time(t.deliver_by),
                f"{utc_time(earliest)} or later: the market asks for {duration(limits.min_delivery_seconds)} after the "
                "match",
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rule:
    """One member of the terms: its name in JSON and in words, whether it holds, what is there, what is expected."""

    member: str
    words: str
    holds: bool
    found: str
    expected: str


def _stock_rules(
    collection: Collection, request: Request, terms: OrderTerms, stock: StandingModel | None
) -> tuple[_Rule, ...]:
    """Of an order from stock: its models stand, were trained with the terms' own privacy, and suffice."""
    if request.training is None:
        return ()
    if stock is None:
        found, expected = f"{request.training}, which has no models in stock", "one that GET /v1/models lists"
        return (_Rule("training", "training", False, found, expected),)
    scores, left = stock.scores.values(), len(stock.scores)
    lowest = min(scores, default=0)
    faults = stock_faults(
        terms, collection, stock.order.terms, made_to_order=stock.order.request.training is None
    )
    return (
        *(_Rule(_MEMBERS.get(member, member), member, False, found, expected) for member, found, expected in faults),
        _Rule(
            "minContributors", "minimum contributors", terms.min_contributors <= left, str(terms.min_contributors),
            f"at most {left}, who go on selling models of order {request.training}",
        ),
        _Rule(
            "minScore", "minimum score", terms.min_score_micro <= lowest, format_fixed(terms.min_score_micro, MICRO),
            f"at most {format_fixed(lowest, MICRO)}, the lowest score that was released with these models",
        ),
    )  # fmt: skip


def _is_usable(terms: OrderTerms) -> bool:
    """Whether shards can be sealed to the terms' delivery key; an open data set needs none."""
    try:
        if not terms.is_open:
            require_usable(terms.delivery_key)
    except SealError:
        return False
    return True


def require_parents(chain: ChainReads, collection: Collection) -> tuple[DatasetOnChain, ...]:
    """The parents' records, read from the chain before anybody signs. Raises TermsRefusedError unless each is valid
    and its order settled: the registry takes no child of another.
    """
    return tuple(_parent(chain, parent) for parent in collection.parents)


def _parent(chain: ChainReads, parent: int) -> DatasetOnChain:
    try:
        record = chain.dataset(parent)
    except UnknownDatasetError as error:
        raise TermsRefusedError(f"parents: data set {parent} is not recorded: {error}") from error
    state = chain.order(record.order).state
    if record.status != DatasetStatus.VALID or state is not OrderState.SETTLED:
        status = next((known.name for known in DatasetStatus if known == record.status), str(record.status))
        raise TermsRefusedError(
            f"parents: data set {parent} is {status} and its order {state.name}, expected VALID and SETTLED; "
            "order of a collection without it"
        )
    return record


def _fixed(text: str | None, places: int, name: str, default: int) -> int:
    """A decimal of the request in its unit. Raises TermsRefusedError for one that cannot be signed exactly."""
    if text is None:
        return default
    try:
        amount = parse_fixed(text, places)
    except ValueFormatError as error:
        raise TermsRefusedError(f"{name}: {error}", ((name, str(error)),)) from error
    if amount >= 2**53:
        raise TermsRefusedError(f"{name}: found {text}, expected a smaller number", ((name, "is too large"),))
    return amount
