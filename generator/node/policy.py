"""The contributor's own rules: which orders are taken at once, which wait for a person, which are refused.

The first rule whose conditions all hold decides between auto, ask and deny; no rule: `default`.  The limits
hold for every order that is not denied anyway, so an `auto` rule cannot lift them - except for limits that
the rule itself sets. A refusal names the limit and both figures. No environment variable and no option changes
a policy: what protects the table stands in one file.  policy.toml:

    default = "ask"
    minimum_contributors = 2
    maximum_epsilon = "1"
    maximum_epsilon_per_month = "4"
    trusted_partners = ["0x..."]  # contributors that keep their share of distributed noise to themselves
    [[rule]]
    decision = "auto"
    collection = "adult"          # name in the collection document, or its 0x-digest
    purpose = "research*"         # shell pattern over the request's purpose
    maximum_epsilon = "1"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from generator.node.config_file import ConfigFile, Location, checked, entry_names
from provenance.errors import ProvenanceError, ValueFormatError
from provenance.record.terms import OrderTerms
from provenance.units import (
    E12,
    MICRO,
    TOKENS,
    WHOLE_BPS,
    WHOLE_MICRO,
    TokenUnit,
    duration,
    format_fixed,
    parse_fixed,
    utc_time,
)
from provenance.values import Address

FILE = "policy.toml"

DEFAULT_TEXT = """\
# This node's own rules. The first [[rule]] that fits an order decides (auto, ask or deny), else `default`.
default = "ask"

# Limits for every order; a rule may set its own.
minimum_contributors = 2          # the order may not run with fewer
maximum_epsilon = "1"             # per order; the cap over all orders is the privacy ledger's
maximum_epsilon_per_month = "4"   # of all orders accepted in 30 days of chain time
maximum_delta = "0.00001"         # per order: an epsilon at a larger delta promises less
allow_without_privacy = false     # true: orders that ask for no privacy at all may be taken, in masked sums alone
# For each row that this node declares and each epsilon: an order spends the privacy of them all, however few it buys.
minimum_price_per_row_and_epsilon_wei = "100000000000000"
minimum_price_per_row_wei = "0"   # for each row that is ordered
minimum_price_wei = "10000000000000000"  # of a whole order: training costs the same for three rows
minimum_rows = 10                 # synthetic rows of one order
maximum_rows = 1000000
maximum_score = "0.9"             # highest minimum score: one that is never reached is never paid
maximum_orders_per_day = 24       # accepted in a day of chain time; 0 for none at all
minimum_bond = "0.01"             # part of the price that the broker loses if it does not deliver
maximum_broker_fee = "0.2"        # part of the price that the broker keeps
minimum_delivery_seconds = 60     # from the match to the delivery, of chain time
maximum_delivery_seconds = 2592000       # until the delivery: for so long the stake may be reserved
maximum_challenge_seconds = 2592000      # from publication to payment
minimum_answer_seconds = 60       # to answer a demand on chain; silence is punished after twice as long
# Reserved for one order of this node's stake, lost if it is proven to have delivered a false row. The order says the
# stake of all its contributors; this node's part is by its rows.
maximum_stake_wei = "1000000000000000000000"

# Accounts of contributors that you trust to keep their share of the noise to themselves. Only collections whose
# noise is "distributed" ask for it: they need a majority of honest contributors, this node among them.
trusted_partners = []

# [[rule]]
# decision = "deny"
# buyer = "0x..."
# [[rule]]
# decision = "ask"
# purpose = "*advertising*"
"""


class Decision(StrEnum):
    """What a rule says about an order that it fits."""

    AUTO = "auto"
    ASK = "ask"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the policy looks at in an order: its terms (epsilon 0 = no privacy asked) and what stands beside them.

    now: chain time. declared_rows: of this node. orders_today: those that it accepted in the last day;
    epsilon_today_micro, epsilon_month_micro: of those of the last day and of 30 days; without this one. from_stock:
    whether its models are there already, so that it spends no privacy.
    """

    collection_name: str
    purpose: str
    terms: OrderTerms
    now: int = 0
    declared_rows: int = 0
    orders_today: int = 0
    epsilon_today_micro: int = 0
    epsilon_month_micro: int = 0
    unit: TokenUnit = TOKENS
    from_stock: bool = False

    @property
    def spent_micro(self) -> int:
        """The epsilon that the order would spend of this table, in millionths."""
        return 0 if self.from_stock else self.terms.epsilon_micro


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision; for DENY a code for programs and a reason for people."""

    decision: Decision
    code: str = ""
    reason: str = ""


def default_text(unit: TokenUnit) -> str:
    """The file of a new node: DEFAULT_TEXT with its amounts in the market's unit."""
    text = DEFAULT_TEXT
    for name, amount in _amounts(TOKENS).items():
        text = text.replace(f'{name} = "{amount}"', f'{name} = "{_amounts(unit)[name]}"')
    return text


def _amounts(unit: TokenUnit) -> dict[str, int]:
    """The default amounts: 0.01 tokens an order, 0.0001 a row and epsilon, a stake of 1,000."""
    return {
        "minimum_price_wei": unit.one // 100,
        "minimum_price_per_row_and_epsilon_wei": unit.one // WHOLE_BPS,
        "maximum_stake_wei": 1_000 * unit.one,
    }


def _count(value: object) -> object:
    """Numbers may be written as texts: TOML's integers have 64 bits."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) <= 78):
        raise ValueError("a whole number of at least 0")
    return int(text)


def _fixed(places: int) -> Callable[[object], object]:
    def parse(value: object) -> int:
        """A decimal number, as text or number, in units of 10**-places: exactly, or refused."""
        try:
            amount = parse_fixed(str(value), places)
        except ValueFormatError as error:
            raise ValueError(f"a number from 0 to a million with at most {places} decimal places") from error
        if amount >= 10 ** (6 + places):
            raise ValueError("a number from 0 to a million")
        return amount

    return parse


def _decision(value: object) -> Decision:
    try:
        return Decision(str(value))
    except ValueError as error:
        raise ValueError("auto, ask or deny") from error


def _account(value: object) -> Address:
    try:
        return Address.parse(str(value))
    except ProvenanceError as error:
        raise ValueError(f"an account: {error}") from error


def _accounts(value: object) -> frozenset[Address]:
    return frozenset(map(_account, value if isinstance(value, list) else [value]))


Count = Annotated[int, BeforeValidator(_count)]
Micro = Annotated[int, BeforeValidator(_fixed(MICRO))]
"""A decimal number, kept in millionths."""


PRIVACY_LIMITS: Final = frozenset(
    {
        *("allow_without_privacy", "maximum_delta_e12", "maximum_epsilon_micro"),
        *("maximum_epsilon_per_day_micro", "maximum_epsilon_per_month_micro"),
    }
)
"""Of them every change is noted in the privacy ledger of the node's table."""


def _places(entry: str) -> int:
    return E12 if entry == "maximum_delta" else MICRO


class Limits(BaseModel):
    """Figures that an order must keep to."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    minimum_contributors: Count = 2
    maximum_epsilon_micro: Micro = Field(default=1_000_000, alias="maximum_epsilon")
    maximum_delta_e12: Annotated[int, BeforeValidator(_fixed(E12))] = Field(
        default=10_000_000, alias="maximum_delta"
    )
    allow_without_privacy: bool = False
    minimum_price_per_row_and_epsilon_wei: Count = TOKENS.one // WHOLE_BPS
    minimum_price_per_row_wei: Count = 0
    minimum_price_wei: Count = TOKENS.one // 100
    minimum_rows: Count = 10
    maximum_rows: Count = 1_000_000
    maximum_score_micro: Micro = Field(default=900_000, alias="maximum_score")
    maximum_stake_wei: Count = 1_000 * TOKENS.one
    maximum_orders_per_day: Count = 24
    maximum_epsilon_per_day_micro: Micro = Field(default=50_000_000, alias="maximum_epsilon_per_day")
    maximum_epsilon_per_month_micro: Micro = Field(default=4_000_000, alias="maximum_epsilon_per_month")
    minimum_bond_micro: Micro = Field(default=10_000, alias="minimum_bond")
    maximum_broker_fee_micro: Micro = Field(default=200_000, alias="maximum_broker_fee")
    minimum_delivery_seconds: Count = 60
    maximum_delivery_seconds: Count = 30 * 86_400
    maximum_challenge_seconds: Count = 30 * 86_400
    minimum_answer_seconds: Count = 60

    def in_unit(self, unit: TokenUnit) -> Limits:
        """With the default amounts in tokens, whatever the token's decimals are."""
        return self.model_copy(
            update={name: wei for name, wei in _amounts(unit).items() if name not in self.model_fields_set}
        )

    def privacy_words(self) -> str:
        """The limits that say how much privacy orders may spend, in one line; for a log of their changes."""
        names = PRIVACY_LIMITS & (self.model_fields_set if isinstance(self, PolicyRule) else PRIVACY_LIMITS)
        entries = {type(self).model_fields[name].alias or name: getattr(self, name) for name in sorted(names)}
        return ", ".join(
            f"{name} {str(value).lower() if isinstance(value, bool) else format_fixed(value, _places(name))}"
            for name, value in entries.items()
        )

    def refusal(self, order: Proposal) -> Verdict | None:
        """The first limit that the order breaks, None if it keeps all."""
        broken = (limit for limit in self._limits(order) if not limit.holds)
        limit = next(broken, None)
        return None if limit is None else _deny(f"policy-{limit.name}", limit.reason)

    def _limits(self, order: Proposal) -> Iterator[_Limit]:
        terms, shown = order.terms, order.unit.shown
        epsilon, price, rows = order.spent_micro, terms.price, terms.rows
        yield _Limit(
            "privacy",
            terms.epsilon_micro != 0 or self.allow_without_privacy,
            "the order asks for no privacy; this node takes private orders only",
        )
        yield _Limit(
            "epsilon",
            epsilon <= self.maximum_epsilon_micro,
            f"the order asks for epsilon {_micro(epsilon)}, this node gives at most "
            f"{_micro(self.maximum_epsilon_micro)}",
        )
        yield _Limit(
            "delta",
            epsilon == 0 or terms.delta_e12 <= self.maximum_delta_e12,
            f"the order asks for delta {format_fixed(terms.delta_e12, E12)}, this node gives at most "
            f"{format_fixed(self.maximum_delta_e12, E12)}",
        )
        yield _Limit(
            "contributors",
            terms.min_contributors >= self.minimum_contributors,
            f"the order may run with {terms.min_contributors}, this node wants {self.minimum_contributors} or more",
        )
        yield _Limit(
            "price",
            price >= self.minimum_price_per_row_wei * rows,
            f"{shown(price // max(rows, 1))} a row offered, {shown(self.minimum_price_per_row_wei)} asked",
        )
        yield _Limit(
            "price",
            price >= self.minimum_price_wei,
            f"{shown(price)} offered for the order, {shown(self.minimum_price_wei)} asked at least",
        )
        yield _Limit(
            "rows",
            rows >= self.minimum_rows,
            f"{rows} rows ordered, this node delivers {self.minimum_rows} or more",
        )
        yield _Limit(
            "rows",
            rows <= self.maximum_rows,
            f"{rows} rows ordered, this node delivers at most {self.maximum_rows}",
        )
        yield _Limit(
            "score",
            terms.min_score_micro <= self.maximum_score_micro,
            f"a median score of {_micro(terms.min_score_micro)} is asked, this node takes orders up to "
            f"{_micro(self.maximum_score_micro)}",
        )
        yield _Limit(
            "stake",
            terms.stake_of(1) <= self.maximum_stake_wei,
            f"a stake of {shown(terms.stake_of(1))} is asked at the least, this node gives at most "
            f"{shown(self.maximum_stake_wei)}",
        )
        yield _Limit(
            "answer",
            terms.answer_seconds >= self.minimum_answer_seconds,
            f"a demand is to be answered within {duration(terms.answer_seconds)}, this node needs "
            f"{duration(self.minimum_answer_seconds)}",
        )
        least_bond = price * self.minimum_bond_micro // WHOLE_MICRO
        yield _Limit(
            "bond",
            terms.bond >= max(1, least_bond) or self.minimum_bond_micro == 0,
            f"the broker's bond is {shown(terms.bond)}, this node wants {shown(least_bond)} or more: without one a "
            "broker loses nothing by an order that it lets run out",
        )
        fee = terms.broker_fee_bps * (WHOLE_MICRO // WHOLE_BPS)
        yield _Limit(
            "fee",
            fee <= self.maximum_broker_fee_micro,
            f"the broker keeps {_micro(fee)} of the price, this node takes orders up to "
            f"{_micro(self.maximum_broker_fee_micro)}",
        )
        time = terms.deliver_by - terms.match_by
        yield _Limit(
            "delivery",
            time >= self.minimum_delivery_seconds,
            f"delivery is due {time} seconds after the match, this node needs {self.minimum_delivery_seconds}",
        )
        yield _Limit(
            "delivery",
            terms.deliver_by - order.now <= self.maximum_delivery_seconds,
            f"delivery is due by {utc_time(terms.deliver_by)}, this node reserves its stake for "
            f"{duration(self.maximum_delivery_seconds)} at most",
        )
        yield _Limit(
            "window",
            terms.challenge_seconds <= self.maximum_challenge_seconds,
            f"payment comes {duration(terms.challenge_seconds)} after publication, this node waits "
            f"{duration(self.maximum_challenge_seconds)} at most",
        )
        for_privacy = (
            self.minimum_price_per_row_and_epsilon_wei * order.declared_rows * epsilon // WHOLE_MICRO
        )
        yield _Limit(
            "price",
            price >= for_privacy,
            f"{shown(price)} offered for epsilon {_micro(epsilon)} of {order.declared_rows:,} declared rows, "
            f"{shown(for_privacy)} asked at least",
        )
        yield _Limit(
            "rate",
            order.orders_today < self.maximum_orders_per_day,
            "this node takes no more orders today: ask again later",
        )
        yield _Limit(
            "rate",
            epsilon == 0 or order.epsilon_today_micro + epsilon <= self.maximum_epsilon_per_day_micro,
            "this node takes no more orders today that spend so much epsilon: ask again later",
        )
        yield _Limit(
            "rate",
            epsilon == 0 or order.epsilon_month_micro + epsilon <= self.maximum_epsilon_per_month_micro,
            "this node takes no more orders this month that spend so much epsilon: ask again later",
        )


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    holds: bool
    reason: str


def _micro(amount: int) -> str:
    return format_fixed(amount, MICRO)


class PolicyRule(Limits):
    """One [[rule]]: None matches everything; the limits that it sets go before the policy's."""

    decision: Annotated[Decision, BeforeValidator(_decision)]
    collection: str | None = None
    buyer: Annotated[Address, BeforeValidator(_account)] | None = None
    purpose: str | None = None

    def fits(self, order: Proposal) -> bool:
        """Whether every condition that the rule sets holds for the order."""
        return (
            (
                self.collection is None
                or self.collection in (order.collection_name, str(order.terms.collection))
            )
            and (self.buyer is None or self.buyer == order.terms.buyer)
            and (self.purpose is None or fnmatchcase(order.purpose.lower(), self.purpose.lower()))
        )

    def on_top_of(self, limits: Limits) -> Limits:
        """The limits, changed by those that this rule sets."""
        own = self.model_fields_set & Limits.model_fields.keys()
        return limits.model_copy(update={name: getattr(self, name) for name in own})


class Policy(Limits):
    """All rules of a node, in order, and the limits for every order."""

    default: Annotated[Decision, BeforeValidator(_decision)] = Decision.ASK
    trusted_partners: Annotated[frozenset[Address], BeforeValidator(_accounts)] = frozenset()
    rules: tuple[PolicyRule, ...] = Field(default=(), alias="rule", strict=False)

    def judge(self, order: Proposal) -> Verdict:
        """What happens with this order; pure."""
        rule = next((rule for rule in self.rules if rule.fits(order)), None)
        decision = rule.decision if rule else self.default
        if decision is Decision.DENY:
            why = f"rule {self.rules.index(rule) + 1}" if rule else "the default"
            return _deny("policy-denied", f"{why} of this node's policy refuses such orders")
        limits = self if rule is None else rule.on_top_of(self)
        return limits.in_unit(order.unit).refusal(order) or Verdict(decision)

    def judge_partners(self, others: Collection[Address] | None, honest: int) -> Verdict | None:
        """A refusal if sums would not hide enough: with the trusted among the other contributors (None: not yet known,
        any may come) and this node, at least `honest` must keep their vectors and shares of the noise to themselves.
        """
        trusted = len(self.trusted_partners if others is None else self.trusted_partners & set(others)) + 1
        if trusted >= honest:
            return None
        return _deny(
            "policy-partners",
            f"only sums are seen, in which {honest} contributors' parts must be kept secret; this node and "
            f"trusted_partners of {FILE} keep {trusted}: name those whom you trust, or take collections with local "
            "noise",
        )

    def all_privacy_words(self) -> str:
        """`privacy_words` of the policy and of every rule that sets such limits."""
        rules = ((number, rule.privacy_words()) for number, rule in enumerate(self.rules, 1))
        return "; ".join(
            [self.privacy_words(), *(f"rule {number}: {words}" for number, words in rules if words)]
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """policy.toml of the node's folder; SettingsError names file, line and entry that cannot be used."""
        file = ConfigFile.read(folder / FILE, "write one, or run `tessera node init` again in a new folder")
        return checked(lambda: cls.model_validate(file.values), file.place, _known)


def _known(location: Location) -> tuple[str, ...]:
    return entry_names(PolicyRule if location[0] == "rule" else Policy)


def _deny(code: str, reason: str) -> Verdict:
    return Verdict(Decision.DENY, code, reason)
