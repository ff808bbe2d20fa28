"""Order terms: the one struct a buyer signs. Its EIP-712 digest is the order id, held by the escrow contract.

Units are in the names: `_micro` is 1e-6, `_e12` is 1e-12, `_bps` is 1e-4; price, stake and bond are token wei,
stake is that of all contributors together, divided by rows; `match_by` and `deliver_by` are chain time in seconds.
Normative text: docs/spec/terms.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.units import WHOLE_MICRO
from provenance.values import Address, Digest, keccak256

OPEN_DELIVERY_KEY = Digest(bytes(32))
"""The delivery key of an open data set: nothing is sealed."""
NO_SCHEMA: Final = Digest(bytes(32))
"""The schema digest of terms that did not name one."""
NO_PARENTS: Final = Digest(bytes(32))
"""The member `parents` of an order of data from real tables only."""
MAX_PARENTS: Final = 8
MAX_ROYALTY_BPS: Final = 1_000
MAX_DELIVERY_SECONDS: Final = 365 * 86_400
"""The escrow takes no delivery deadline further away than this."""
MAX_CHALLENGE_SECONDS: Final = 90 * 86_400
MAX_ANSWER_SECONDS: Final = 30 * 86_400
MAX_CONTRIBUTORS: Final = 128
"""The escrow takes no more, so that each step of an order fits a transaction with room."""
MAX_CONDITION_BYTES: Final = 8_192
"""Conditions go to the chain in bytes at the match, and in every challenge."""


@dataclass(frozen=True, slots=True)
class OrderTerms(TypedMessage):
    """What buyer and broker agree on. See docs/spec/terms.md for each field."""

    NAME: ClassVar[str] = "OrderTerms"
    TYPES: ClassVar[tuple[str, ...]] = (
        *("address", "address", "bytes32", "bytes32", "bytes32"),
        *("uint64", "uint64", "uint64", "uint32", "uint8", "uint8", "uint16"),
        *("uint64", "uint64", "uint32", "uint32", "uint256", "uint256", "uint256"),
        *("uint16", "bytes32", "bytes32", "bytes32", "uint8", "uint16", "uint32", "bool", "bytes32"),
    )

    buyer: Address
    broker: Address
    collection: Digest
    request: Digest
    delivery_key: Digest
    rows: int
    epsilon_micro: int
    delta_e12: int
    min_score_micro: int
    min_contributors: int
    max_contributors: int
    broker_fee_bps: int
    match_by: int
    deliver_by: int
    challenge_seconds: int
    answer_seconds: int
    price: int
    stake: int
    bond: int
    royalty_bps: int
    conditions: Digest
    parents: Digest
    schema_digest: Digest
    size_class: int
    spec_version: int
    own_real_micro: int
    indivisible: bool
    salt: Digest

    def order_id(self, domain: Domain) -> Digest:
        """The EIP-712 digest of these terms: the name of the order everywhere."""
        return self.digest(domain)

    @property
    def is_open(self) -> bool:
        """True when the data set is published in clear (no delivery key)."""
        return self.delivery_key == OPEN_DELIVERY_KEY

    def stake_of(self, rows: int, least: int = 0) -> int:
        """Token wei reserved of a contributor of `rows` rows: its part of the stake, rounded up, or all of it where
        one false row spoils the whole order. least: the market's for each contributor (`OrderLimits.min_stake`)."""
        part = self.stake if self.indivisible or not self.rows else -(-self.stake * rows // self.rows)
        return max(part, least)

    def rows_for(self, stake: int, least: int = 0) -> int:
        """Rows of the order that so much free stake bears; 0 for none. least: as for `stake_of`."""
        if stake < self.stake_of(1, least):
            return 0
        return (
            self.rows
            if self.indivisible or not self.stake
            else min(self.rows, stake * self.rows // self.stake)
        )

    @classmethod
    def read(cls, document: object) -> OrderTerms:
        """Terms of either form, as `document()` of the same form wrote them. Raises DocumentError."""
        is_first = isinstance(document, Mapping) and "answerSeconds" not in document
        return (FirstOrderTerms if is_first else OrderTerms).parse(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstOrderTerms(OrderTerms):
    """Terms as they were signed before they named answer time, schema, size class and row specification.

    They are read to verify the data sets of that time; no market takes them any more. `stake` was each contributor's.
    """

    LATER: ClassVar[frozenset[str]] = frozenset(
        ("answer_seconds", "schema_digest", "size_class", "spec_version", "own_real_micro", "indivisible")
    )
    TYPES: ClassVar[tuple[str, ...]] = (
        *("address", "address", "bytes32", "bytes32", "bytes32"),
        *("uint64", "uint64", "uint64", "uint32", "uint8", "uint8", "uint16"),
        *("uint64", "uint64", "uint32", "uint256", "uint256", "uint256"),
        *("uint16", "bytes32", "bytes32", "bytes32"),
    )

    answer_seconds: int = 900
    schema_digest: Digest = NO_SCHEMA
    size_class: int = 0
    spec_version: int = 1
    own_real_micro: int = WHOLE_MICRO
    indivisible: bool = False

    def stake_of(self, rows: int, least: int = 0) -> int:
        """The same for every contributor."""
        return max(self.stake, least) if rows else 0


@dataclass(frozen=True, slots=True)
class Participant:
    """A matched contributor and the rows it delivers. Shard k belongs to participant k."""

    contributor: Address
    rows: int


def participants_digest(participants: tuple[Participant, ...]) -> Digest:
    """keccak256(abi.encode(Participant[])), as the escrow contract keeps it."""
    words = b"".join(bytes(12) + each.contributor + each.rows.to_bytes(32, "big") for each in participants)
    return keccak256((32).to_bytes(32, "big") + len(participants).to_bytes(32, "big") + words)


def parents_digest(parents: Sequence[int]) -> Digest:
    """The member `parents` of the terms: keccak256(abi.encode(uint256[])) of ascending ids; zero for none."""
    if not parents:
        return NO_PARENTS
    words = b"".join(parent.to_bytes(32, "big") for parent in parents)
    return keccak256((32).to_bytes(32, "big") + len(parents).to_bytes(32, "big") + words)
