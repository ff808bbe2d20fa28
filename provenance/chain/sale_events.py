"""Events of resale and of royalties that came from outside. Field names are those of Solidity in snake case."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.chain.events import ChainEvent
from provenance.values import Address, Digest, Signature


@dataclass(frozen=True, slots=True)
class DatasetListed(ChainEvent):
    """Offered at `price` token wei."""

    dataset: int
    seller: Address
    price: int


@dataclass(frozen=True, slots=True)
class KeysPromised(ChainEvent):
    """Commitments of the keys that the seller of an offer will deliver, shards ascending, the score file last."""

    dataset: int
    seller: Address
    commitments: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class DatasetUnlisted(ChainEvent):
    dataset: int
    seller: Address


@dataclass(frozen=True, slots=True)
class DatasetSold(ChainEvent):
    """Bought and paid; the keys are to be delivered up to chain time `deliver_by`, masked for the buyer's one-time
    point `delivery_key` (x coordinate; zero for an open data set, which is the buyer's at once)."""

    dataset: int
    seller: Address
    buyer: Address
    price: int
    delivery_key: Digest
    deliver_by: int


@dataclass(frozen=True, slots=True)
class KeysDelivered(ChainEvent):
    """`wrapped_keys` as docs/spec/sealing.md writes them; a wrong one can be proven up to chain time
    `accept_by`."""

    dataset: int
    seller: Address
    buyer: Address
    wrapped_keys: Signature
    accept_by: int


@dataclass(frozen=True, slots=True)
class SaleAccepted(ChainEvent):
    """Token wei owed to the contributors (`royalty`) and to the seller (`proceeds`)."""

    dataset: int
    seller: Address
    buyer: Address
    royalty: int
    proceeds: int


@dataclass(frozen=True, slots=True)
class SaleRejected(ChainEvent):
    """A delivered key was proven not to be the promised one."""

    dataset: int
    seller: Address
    buyer: Address


@dataclass(frozen=True, slots=True)
class SaleExpired(ChainEvent):
    dataset: int
    seller: Address
    buyer: Address


@dataclass(frozen=True, slots=True)
class RoyaltiesCollected(ChainEvent):
    """Token wei that went from a data set's royalty receiver to its pot."""

    dataset: int
    receiver: Address
    amount: int
