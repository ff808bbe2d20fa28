"""Raw eth_getLogs answers to typed events, by the built interfaces and eth_abi (no web3 contract objects)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from provenance.chain.abi import Entry, Parameter, decode_parameters, interface
from provenance.chain.deployment import CONTRACTS, EVENT_ROLES
from provenance.chain.dispute_events import (
    ChunkAnswered,
    CommitmentAnswered,
    DemandedEvaluation,
    DemandedReceipt,
    DemandExpired,
    DemandOpened,
    DemandWarned,
    EvaluationAnswered,
    FalseModel,
    FalseRow,
    ManifestAnswered,
    ModelAnswered,
    ReceiptAnswered,
    SaltAnswered,
)
from provenance.chain.events import (
    BondCut,
    BondDivided,
    BrokerConvicted,
    ChainEvent,
    ContributorFined,
    ContributorRegistered,
    DatasetCredited,
    DatasetDistributed,
    DatasetFlagged,
    DatasetPublished,
    DatasetRevoked,
    DeadlineMoved,
    EvaluationRecorded,
    HashFixed,
    LogPosition,
    ModelsCommitted,
    OrderCancelled,
    OrderMatched,
    OrderPlaced,
    OrderPublished,
    OrderReduced,
    OrderRefunded,
    OrderRevoked,
    OrderSettled,
    OtherEvent,
    PayoutSet,
    RewardClaimed,
    RewardCredited,
    SaltsCommitted,
    SaltsRevealed,
    SeedDrawn,
    SeedMissed,
    ShardConvicted,
    ShardDropped,
    ShardRecorded,
    ShardRevoked,
    StakeDeposited,
    StakeReleased,
    StakeReserved,
    StakeSlashed,
    StakeWithdrawn,
    Transfer,
    WithdrawalRequested,
)
from provenance.chain.rpc import unhex
from provenance.chain.sale_events import (
    DatasetListed,
    DatasetSold,
    DatasetUnlisted,
    KeysDelivered,
    KeysPromised,
    RoyaltiesCollected,
    SaleAccepted,
    SaleExpired,
    SaleRejected,
)
from provenance.record.terms import Participant
from provenance.values import Address, Digest, Signature

EVENTS: tuple[type[ChainEvent], ...] = (
    *(OrderPlaced, OrderCancelled, OrderMatched, OrderPublished, OrderRefunded, OrderSettled, OrderRevoked),
    *(BondCut, BondDivided, ModelsCommitted, SaltsCommitted, SaltsRevealed, SeedDrawn, SeedMissed),
    *(DatasetPublished, ShardRecorded, EvaluationRecorded, DatasetRevoked, DatasetFlagged, Transfer),
    *(ContributorRegistered, StakeDeposited, WithdrawalRequested, StakeWithdrawn),
    *(StakeReserved, StakeReleased, StakeSlashed, RewardCredited, RewardClaimed),
    *(DatasetCredited, DatasetDistributed, PayoutSet, FalseRow, FalseModel),
    *(DemandOpened, DemandWarned, ReceiptAnswered, ModelAnswered, ChunkAnswered, DemandExpired),
    *(CommitmentAnswered, SaltAnswered, EvaluationAnswered, ManifestAnswered),
    *(ShardDropped, ShardConvicted, ShardRevoked, OrderReduced, ContributorFined, BrokerConvicted),
    *(DeadlineMoved, HashFixed),
    *(DatasetListed, KeysPromised, DatasetUnlisted, DatasetSold, KeysDelivered),
    *(SaleAccepted, SaleRejected, SaleExpired, RoyaltiesCollected),
)
"""Every event that is interpreted."""
_STRUCTS: Mapping[tuple[str, ...], Callable[..., object]] = {
    ("contributor", "rows"): Participant,
    ("shardRoot", "epsilonMicro", "deltaE12", "contentDigest"): DemandedReceipt,
    ("datasetRoot", "scoreMicro", "sharesDigest", "scoreDigest"): DemandedEvaluation,
}
"""Structs inside events, by the names of their members."""
_BY_NAME: Mapping[str, type[ChainEvent]] = {event.__name__: event for event in EVENTS}


@cache
def event_topic(name: str) -> str:
    """The first topic of the event called `name`, in 0x-hex."""
    return next("0x" + topic.hex() for topic, entry in _entries().items() if entry.name == name)


def decode_log(log: Mapping[str, Any]) -> ChainEvent:
    """One raw log as a typed event."""
    at = LogPosition(
        block=int(log["blockNumber"], 16),
        block_hash=Digest.parse(log["blockHash"]),
        transaction=Digest.parse(log["transactionHash"]),
        log_index=int(log["logIndex"], 16),
        contract=Address.parse(log["address"]),
    )
    topics = [unhex(topic) for topic in log["topics"]]
    entry = _entries().get(topics[0])
    event = _BY_NAME.get(entry.name) if entry is not None else None
    if entry is None or event is None:
        return OtherEvent(at, Digest(topics[0]))
    plain = [each for each in entry.inputs if not each.indexed]
    values = decode_parameters(plain, unhex(log["data"]), entry.name)
    indexed = [each for each in entry.inputs if each.indexed]
    for each, topic in zip(indexed, topics[1:], strict=True):
        values |= decode_parameters([each], topic, entry.name)
    return event(at, *(_value(each, values[each.name]) for each in entry.inputs))


@cache
def _entries() -> Mapping[bytes, Entry]:
    entries: dict[bytes, Entry] = {}
    for role in EVENT_ROLES:
        entries |= interface(CONTRACTS[role]).events
    return entries


def _value(parameter: Parameter, value: Any) -> Any:
    """The value type of this package for a decoded ABI value."""
    if isinstance(value, dict):
        members = [_value(each, value[each.name]) for each in parameter.components]
        return _STRUCTS[tuple(value)](*members)
    if isinstance(value, tuple):
        bracket = parameter.kind.rindex("[")
        element = Parameter(parameter.name, parameter.kind[:bracket], False, parameter.components)
        return tuple(_value(element, each) for each in value)
    if parameter.kind == "bytes32":
        return Digest(value)
    return Signature(value) if parameter.kind == "bytes" else value
