"""The contributor's own rules: which orders are taken at once, which wait for a person, which are refused.

The first rule whose conditions all hold decides between auto, ask and deny; no rule: `default`.  The limits
hold for every order that is not denied anyway, so an `auto` rule cannot lift them - except for limits that
the rule itself sets. A refusal names the limit and both figures.  policy.toml:

    default = "ask"
    minimum_contributors = 2
    maximum_epsilon = "3"
    trusted_partners = ["0x..."]  # contributors that keep their part of a shared noise to themselves
    [[rule]]
    decision = "auto"
    collection = "adult"          # name in the collection document, or its 0x-digest
    purpose = "research*"         # shell pattern over the request's purpose
    maximum_epsilon = "1"
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from generator.errors import SettingsError
from generator.node.settings import read_toml
from provenance.errors import ProvenanceError
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
# Reserved for one order, lost if this node is proven to have lied:
maximum_stake_wei = "1000000000000000000000"

# Accounts of contributors that you trust to keep their part of the noise to themselves. Only collections whose
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision; for DENY a code for programs and a reason for people."""

    decision: Decision
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Figures that an order must keep to."""

    minimum_contributors: int = 2
    maximum_epsilon_micro: int = 10_000_000
    maximum_delta_e12: int = 10_000_000
    allow_without_privacy: bool = False
    minimum_price_per_row_wei: int = 0
    maximum_rows: int = 1_000_000
    maximum_stake_wei: int = 10**21

    def refusal(self, order: Proposal) -> Verdict | None:
        """The first limit that the order breaks, None if it keeps all."""
        if order.epsilon_micro == 0 and not self.allow_without_privacy:
            return _deny(
                "policy-privacy", "the order asks for no privacy; this node takes private orders only"
            )
        if order.epsilon_micro > self.maximum_epsilon_micro:
            found, limit = order.epsilon_micro / 1e6, self.maximum_epsilon_micro / 1e6
            return _deny(
                "policy-epsilon", f"the order asks for epsilon {found:g}, this node gives at most {limit:g}"
            )
        if order.epsilon_micro and order.delta_e12 > self.maximum_delta_e12:
            found, limit = order.delta_e12 / 1e12, self.maximum_delta_e12 / 1e12
            return _deny(
                "policy-delta", f"the order asks for delta {found:g}, this node gives at most {limit:g}"
            )
        if order.min_contributors < self.minimum_contributors:
            found_n, limit_n = order.min_contributors, self.minimum_contributors
            return _deny(
                "policy-contributors", f"the order may run with {found_n}, this node wants {limit_n} or more"
            )
        if order.price_wei < self.minimum_price_per_row_wei * order.rows:
            per_row = order.price_wei // max(order.rows, 1)
            return _deny(
                "policy-price", f"{per_row} wei a row offered, {self.minimum_price_per_row_wei} asked"
            )
        if order.rows > self.maximum_rows:
            return _deny(
                "policy-rows", f"{order.rows} rows ordered, this node delivers at most {self.maximum_rows}"
            )
        if order.stake_wei > self.maximum_stake_wei:
            return _deny(
                "policy-stake", f"a stake of {order.stake_wei} wei is asked, at most {self.maximum_stake_wei}"
            )
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[rule]]: None matches everything; `limits` are the policy's with this rule's own on top."""

    decision: Decision
    limits: Limits
    collection: str | None = None
    buyer: Address | None = None
    purpose: str | None = None

    def fits(self, order: Proposal) -> bool:
        return (
            (self.collection is None or self.collection in (order.collection_name, str(order.collection)))
            and (self.buyer is None or self.buyer == order.buyer)
            and (self.purpose is None or fnmatchcase(order.purpose.lower(), self.purpose.lower()))
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of a node, in order."""

    default: Decision = Decision.AUTO
    limits: Limits = Limits()
    rules: tuple[Rule, ...] = ()
    trusted_partners: frozenset[Address] = frozenset()

    def judge(self, order: Proposal) -> Verdict:
        """What happens with this order; pure."""
        rule = next((rule for rule in self.rules if rule.fits(order)), None)
        decision = rule.decision if rule else self.default
        if decision is Decision.DENY:
            why = f"rule {self.rules.index(rule) + 1}" if rule else "the default"
            return _deny("policy-denied", f"{why} of this node's policy refuses such orders")
        limits = rule.limits if rule else self.limits
        return limits.refusal(order) or Verdict(decision)

    def judge_partners(self, others: Collection[Address] | None, honest: int) -> Verdict | None:
        """A refusal if noise in parts would not be whole: with the trusted among the other contributors (None: not yet
        known, any may come) and this node, at least `honest` must keep their part to themselves.
        """
        trusted = len(self.trusted_partners if others is None else self.trusted_partners & set(others)) + 1
        if trusted >= honest:
            return None
        return _deny(
            "policy-partners",
            f"the noise is drawn in parts of which {honest} must be kept secret; this node and trusted_partners of "
            f"{FILE} keep {trusted}: name those whom you trust, or take collections with local noise",
        )

    @classmethod
    def read(cls, folder: Path) -> Policy:
        """policy.toml of the node's folder; SettingsError names what cannot be used."""
        path = folder / FILE
        values = read_toml(path, "write one, or run `init` again in a new folder")
        raw_rules = values.pop("rule", [])
        default = _decision(values.pop("default", "auto"), path)
        partners = _accounts(values.pop("trusted_partners", []), path)
        limits = _limits(Limits(), values, path)
        if not isinstance(raw_rules, list):
            raise SettingsError(f"{path}: rules are written as [[rule]]")
        return cls(default, limits, tuple(_rule(rule, limits, path) for rule in raw_rules), partners)


def _deny(code: str, reason: str) -> Verdict:
    return Verdict(Decision.DENY, code, reason)


def _decision(value: object, path: Path) -> Decision:
    try:
        return Decision(str(value))
    except ValueError as error:
        raise SettingsError(f"{path}: decision {value!r}, expected auto, ask or deny") from error


def _accounts(value: object, path: Path) -> frozenset[Address]:
    try:
        return frozenset(Address.parse(str(each)) for each in (value if isinstance(value, list) else [value]))
    except ProvenanceError as error:
        raise SettingsError(f"{path}: trusted_partners: {error}") from error


def _rule(value: object, limits: Limits, path: Path) -> Rule:
    if not isinstance(value, dict) or "decision" not in value:
        raise SettingsError(f"{path}: every [[rule]] needs a decision")
    entries = dict(value)
    decision = _decision(entries.pop("decision"), path)
    texts = {name: entries.pop(name) for name in ("collection", "buyer", "purpose") if name in entries}
    if not all(isinstance(text, str) for text in texts.values()):
        raise SettingsError(f"{path}: collection, buyer and purpose of a rule must be text")
    try:
        buyer = Address.parse(texts["buyer"]) if "buyer" in texts else None
    except ProvenanceError as error:
        raise SettingsError(f"{path}: buyer of a rule: {error}") from error
    return Rule(
        decision, _limits(limits, entries, path), texts.get("collection"), buyer, texts.get("purpose")
    )


def _limits(base: Limits, values: Mapping[str, object], path: Path) -> Limits:
    changes: dict[str, int | bool] = {}
    for name, value in values.items():
        if name == "maximum_epsilon":
            changes["maximum_epsilon_micro"] = _scaled(value, 10**6, name, path)
        elif name == "maximum_delta":
            changes["maximum_delta_e12"] = _scaled(value, 10**12, name, path)
        elif name == "allow_without_privacy" and isinstance(value, bool):
            changes[name] = value
        elif name in _NUMBERS and str(value).isascii() and str(value).isdecimal():
            changes[name] = int(str(value))
        else:
            raise SettingsError(f"{path}: entry {name} = {value!r} is unknown or of the wrong type")
    return replace(base, **changes)  # type: ignore[arg-type]


_NUMBERS = frozenset(
    {"minimum_contributors", "minimum_price_per_row_wei", "maximum_rows", "maximum_stake_wei"}
)


def _scaled(value: object, scale: int, name: str, path: Path) -> int:
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise SettingsError(f"{path}: {name} {value!r} is not a number") from error
    if not 0 <= number < 10**6:
        raise SettingsError(f"{path}: {name} {value} must be from 0 to a million")
    return int(number * scale)
