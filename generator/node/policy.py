"""The contributor's own rules: which orders are taken at once, which wait for a person, which are refused.

The first rule whose conditions all hold decides between auto, ask and deny; no rule: `default`.  The limits
hold for every order that is not denied anyway, so an `auto` rule cannot lift them - except for limits that
the rule itself sets. A refusal names the limit and both figures. No environment variable and no option changes
a policy: what protects the table stands in one file.  policy.toml:

    default = "ask"
    minimum_contributors = 2
    maximum_epsilon = "3"
    trusted_partners = ["0x..."]  # contributors that keep their share of distributed noise to themselves
    [[rule]]
    decision = "auto"
    collection = "adult"          # name in the collection document, or its 0x-digest
    purpose = "research*"         # shell pattern over the request's purpose
    maximum_epsilon = "1"
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from generator.node.config_file import ConfigFile, Location, checked, entry_names
from provenance.errors import ProvenanceError, ValueFormatError
from provenance.units import E12, MICRO, TOKENS, TokenUnit, format_fixed, parse_fixed
from provenance.values import Address, Digest

FILE = "policy.toml"

DEFAULT_TEXT = """\
# This node's own rules. The first [[rule]] that fits an order decides (auto, ask or deny), else `default`.
default = "auto"

# Limits for every order; a rule may set its own.
minimum_contributors = 2          # the order may not run with fewer
maximum_epsilon = "10"            # per order; the cap over all orders is the privacy ledger's
maximum_delta = "0.00001"         # per order: an epsilon at a larger delta promises less
allow_without_privacy = false     # true: orders that ask for no privacy at all may be taken
minimum_price_per_row_wei = "0"
maximum_rows = 1000000            # synthetic rows of one order
# Reserved for one order, lost if this node is proven to have delivered a false row:
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
    """What the policy looks at in an order. epsilon_micro 0 = no privacy asked; price and stake in wei;
    delta in 1e-12.
    """

    collection_name: str
    collection: Digest
    buyer: Address
    purpose: str
    epsilon_micro: int
    min_contributors: int
    rows: int
    price_wei: int
    stake_wei: int
    delta_e12: int
    unit: TokenUnit = TOKENS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision; for DENY a code for programs and a reason for people."""

    decision: Decision
    code: str = ""
    reason: str = ""


def default_text(unit: TokenUnit) -> str:
    """The file of a new node: DEFAULT_TEXT, its stake of a thousand tokens in the market's unit."""
    return DEFAULT_TEXT.replace(str(1_000 * TOKENS.one), str(1_000 * unit.one))


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


class Limits(BaseModel):
    """Figures that an order must keep to."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    minimum_contributors: Count = 2
    maximum_epsilon_micro: Annotated[int, BeforeValidator(_fixed(MICRO))] = Field(
        default=10_000_000, alias="maximum_epsilon"
    )
    maximum_delta_e12: Annotated[int, BeforeValidator(_fixed(E12))] = Field(
        default=10_000_000, alias="maximum_delta"
    )
    allow_without_privacy: bool = False
    minimum_price_per_row_wei: Count = 0
    maximum_rows: Count = 1_000_000
    maximum_stake_wei: Count = 10**21

    def refusal(self, order: Proposal) -> Verdict | None:
        """The first limit that the order breaks, None if it keeps all."""
        if order.epsilon_micro == 0 and not self.allow_without_privacy:
            return _deny(
                "policy-privacy", "the order asks for no privacy; this node takes private orders only"
            )
        if order.epsilon_micro > self.maximum_epsilon_micro:
            asked, limit = (
                format_fixed(each, MICRO) for each in (order.epsilon_micro, self.maximum_epsilon_micro)
            )
            return _deny(
                "policy-epsilon", f"the order asks for epsilon {asked}, this node gives at most {limit}"
            )
        if order.epsilon_micro and order.delta_e12 > self.maximum_delta_e12:
            asked, limit = (format_fixed(each, E12) for each in (order.delta_e12, self.maximum_delta_e12))
            return _deny("policy-delta", f"the order asks for delta {asked}, this node gives at most {limit}")
        if order.min_contributors < self.minimum_contributors:
            found_n, limit_n = order.min_contributors, self.minimum_contributors
            return _deny(
                "policy-contributors", f"the order may run with {found_n}, this node wants {limit_n} or more"
            )
        if order.price_wei < self.minimum_price_per_row_wei * order.rows:
            per_row = order.price_wei // max(order.rows, 1)
            return _deny(
                "policy-price",
                f"{order.unit.shown(per_row)} a row offered, {order.unit.shown(self.minimum_price_per_row_wei)} asked",
            )
        if order.rows > self.maximum_rows:
            return _deny(
                "policy-rows", f"{order.rows} rows ordered, this node delivers at most {self.maximum_rows}"
            )
        if order.stake_wei > self.maximum_stake_wei:
            return _deny(
                "policy-stake",
                f"a stake of {order.unit.shown(order.stake_wei)} is asked, at most "
                f"{order.unit.shown(self.maximum_stake_wei)}",
            )
        return None


class PolicyRule(Limits):
    """One [[rule]]: None matches everything; the limits that it sets go before the policy's."""

    decision: Annotated[Decision, BeforeValidator(_decision)]
    collection: str | None = None
    buyer: Annotated[Address, BeforeValidator(_account)] | None = None
    purpose: str | None = None

    def fits(self, order: Proposal) -> bool:
        """Whether every condition that the rule sets holds for the order."""
        return (
            (self.collection is None or self.collection in (order.collection_name, str(order.collection)))
            and (self.buyer is None or self.buyer == order.buyer)
            and (self.purpose is None or fnmatchcase(order.purpose.lower(), self.purpose.lower()))
        )

    def on_top_of(self, limits: Limits) -> Limits:
        """The limits, changed by those that this rule sets."""
        own = self.model_fields_set & Limits.model_fields.keys()
        return limits.model_copy(update={name: getattr(self, name) for name in own})


class Policy(Limits):
    """All rules of a node, in order, and the limits for every order."""

    default: Annotated[Decision, BeforeValidator(_decision)] = Decision.AUTO
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
        return limits.refusal(order) or Verdict(decision)

    def judge_partners(self, others: Collection[Address] | None, honest: int) -> Verdict | None:
        """A refusal if distributed noise would not be whole: with the trusted among the other contributors (None: not
        yet known, any may come) and this node, at least `honest` must keep their share to themselves.
        """
        trusted = len(self.trusted_partners if others is None else self.trusted_partners & set(others)) + 1
        if trusted >= honest:
            return None
        return _deny(
            "policy-partners",
            f"the noise is drawn in shares of which {honest} must be kept secret; this node and trusted_partners of "
            f"{FILE} keep {trusted}: name those whom you trust, or take collections with local noise",
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
