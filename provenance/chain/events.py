"""Events of the market as typed values.

Unknown events become OtherEvent. Field names are those of Solidity in snake case. Imports nothing heavy;
decoding (eth_abi) is in log_decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.record.terms import Participant
from provenance.values import Address, Digest, Signature


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where an event stands in the chain: enough to order events and to notice a reorganisation."""

    block: int
    block_hash: Digest
    transaction: Digest
    log_index: int
    contract: Address


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """Base of all events."""

    at: LogPosition

    @property
    def name(self) -> str:
        """The event's name in Solidity."""
        return type(self).__name__


@dataclass(frozen=True, slots=True)
class OtherEvent(ChainEvent):
    """An event that Tessera does not interpret (approvals and the like)."""

    topic: Digest


@dataclass(frozen=True, slots=True)
class Transfer(ChainEvent):
    """A data-set token changed hands; `sender` is zero when it was minted."""

    sender: Address
    recipient: Address
    token_id: int


@dataclass(frozen=True, slots=True)
class OrderPlaced(ChainEvent):
    order: Digest
    buyer: Address
    broker: Address
    price: int


@dataclass(frozen=True, slots=True)
class OrderCancelled(ChainEvent):
    order: Digest


@dataclass(frozen=True, slots=True)
class OrderMatched(ChainEvent):
    order: Digest
    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class OrderPublished(ChainEvent):
    order: Digest


@dataclass(frozen=True, slots=True)
class OrderRefunded(ChainEvent):
    order: Digest
    amount: int


@dataclass(frozen=True, slots=True)
class OrderSettled(ChainEvent):
    """`amounts[k]` is owed to participant k."""

    order: Digest
    amounts: tuple[int, ...]
    broker_fee: int
    bond_returned: int


@dataclass(frozen=True, slots=True)
class BondCut(ChainEvent):
    order: Digest
    amount: int
    bond_left: int


@dataclass(frozen=True, slots=True)
class BondDivided(ChainEvent):
    """The bond of an order that was not delivered."""

    order: Digest
    to_buyer: int
    to_contributors: int


@dataclass(frozen=True, slots=True)
class OrderRevoked(ChainEvent):
    """One shard was shown to be false, or withheld; what became of stake, bond and price."""

    order: Digest
    shard: int
    contributor: Address
    slashed: int
    reward: int
    refunded: int
    burned: int


@dataclass(frozen=True, slots=True)
class OrderReduced(ChainEvent):
    """At the settlement of an order with shards that are out: what went back to the buyer, and what was burned."""

    order: Digest
    refunded: int
    burned: int


@dataclass(frozen=True, slots=True)
class ShardDropped(ChainEvent):
    """A contributor fell silent before the publication; the order goes on with the others."""

    order: Digest
    shard: int
    contributor: Address
    slashed: int


@dataclass(frozen=True, slots=True)
class ShardConvicted(ChainEvent):
    """A published shard is false or withheld; what became of its contributor's stake."""

    order: Digest
    shard: int
    contributor: Address
    slashed: int
    reward: int
    held: int
    burned: int


@dataclass(frozen=True, slots=True)
class ContributorFined(ChainEvent):
    """A contributor did not answer a demand for its evaluation."""

    order: Digest
    contributor: Address
    slashed: int


@dataclass(frozen=True, slots=True)
class BrokerConvicted(ChainEvent):
    """The broker did not show the manifest."""

    order: Digest
    burned: int


@dataclass(frozen=True, slots=True)
class DeadlineMoved(ChainEvent):
    order: Digest
    deliver_by: int


@dataclass(frozen=True, slots=True)
class HashFixed(ChainEvent):
    order: Digest
    target_block: int
    block_hash: Digest


@dataclass(frozen=True, slots=True)
class ModelsCommitted(ChainEvent):
    order: Digest
    model_digests: tuple[Digest, ...]
    signatures: tuple[Signature, ...]
    target_block: int


@dataclass(frozen=True, slots=True)
class SaltsCommitted(ChainEvent):
    """Digests of the contributors' salts, in participant order."""

    order: Digest
    salt_digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class SaltsRevealed(ChainEvent):
    order: Digest
    salts: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class SeedDrawn(ChainEvent):
    order: Digest
    seed: Digest
    target_block: int
    draws: int


@dataclass(frozen=True, slots=True)
class SeedMissed(ChainEvent):
    order: Digest
    draws: int


@dataclass(frozen=True, slots=True)
class DatasetPublished(ChainEvent):
    id: int
    order: Digest
    manifest_digest: Digest
    dataset_root: Digest
    seed: Digest
    score_digest: Digest
    rows: int
    epsilon_micro: int
    delta_e12: int
    depth: int
    spec_version: int
    real_fraction_micro: int
    parents: tuple[int, ...]
    shares_bps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShardRecorded(ChainEvent):
    id: int
    shard: int
    contributor: Address
    model_digest: Digest
    shard_root: Digest
    rows: int
    epsilon_micro: int
    delta_e12: int
    content_digest: Digest
    receipt: Signature


@dataclass(frozen=True, slots=True)
class EvaluationRecorded(ChainEvent):
    id: int
    contributor: Address
    score_micro: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class ShardRevoked(ChainEvent):
    """One shard of a data set was found false or withheld."""

    id: int
    shard: int
    by: Address


@dataclass(frozen=True, slots=True)
class DatasetRevoked(ChainEvent):
    id: int
    by: Address


@dataclass(frozen=True, slots=True)
class DatasetFlagged(ChainEvent):
    id: int
    parent: int


@dataclass(frozen=True, slots=True)
class ContributorRegistered(ChainEvent):
    contributor: Address
    metadata_digest: Digest


@dataclass(frozen=True, slots=True)
class StakeDeposited(ChainEvent):
    contributor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class WithdrawalRequested(ChainEvent):
    contributor: Address
    amount: int
    available_at: int


@dataclass(frozen=True, slots=True)
class StakeWithdrawn(ChainEvent):
    contributor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class StakeReserved(ChainEvent):
    order: Digest
    contributor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class StakeReleased(ChainEvent):
    order: Digest
    contributor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class StakeSlashed(ChainEvent):
    order: Digest
    contributor: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RewardCredited(ChainEvent):
    order: Digest
    account: Address
    amount: int


@dataclass(frozen=True, slots=True)
class RewardClaimed(ChainEvent):
    account: Address
    amount: int


@dataclass(frozen=True, slots=True)
class DatasetCredited(ChainEvent):
    """The pot of a data set grew by way of contract `by`."""

    dataset: int
    by: Address
    amount: int


@dataclass(frozen=True, slots=True)
class DatasetDistributed(ChainEvent):
    dataset: int
    amount: int
    left: int


@dataclass(frozen=True, slots=True)
class PayoutSet(ChainEvent):
    account: Address
    payout: Address
