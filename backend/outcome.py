"""What came of an order's shards and money beside its state, read from the chain's events: who was dropped, convicted
or fined, what went back to the buyer, and up to when it may be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.database.models import ChainEventRow
from provenance.api.message import Uint256
from provenance.api.orders import FaultKind, FaultView
from provenance.canonical import JsonValue, decode
from provenance.values import Address

_FAULTS: Final[Mapping[str, tuple[FaultKind, str]]] = {
    "ShardDropped": ("dropped", "slashed"),
    "ShardConvicted": ("convicted", "slashed"),
    "ContributorFined": ("fined", "slashed"),
    "BrokerConvicted": ("broker", "burned"),
    "OrderRevoked": ("convicted", "slashed"),
}
"""Event -> what it says of whom, and the member with what it cost."""
_REFUNDS: Final[Mapping[str, str]] = {
    "OrderRefunded": "amount",
    "OrderReduced": "refunded",
    "OrderRevoked": "refunded",
}
_KINDS: Final = ("DeadlineMoved", *_FAULTS, *_REFUNDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """refunded_wei: token wei that went back to the buyer, None for nothing yet. deliver_by: chain time to which the
    delivery was moved, None where the terms' stands."""

    faults: tuple[FaultView, ...] = ()
    refunded_wei: int | None = None
    deliver_by: int | None = None

    @property
    def convicted(self) -> frozenset[int]:
        """Shards that were shown to be false, or withheld."""
        return frozenset(
            each.shard for each in self.faults if each.kind == "convicted" and each.shard is not None
        )


def outcome_of(session: Session, order: str) -> Outcome:
    """As far as the blocks were followed."""
    query = (
        select(ChainEventRow.kind, ChainEventRow.payload)
        .where(ChainEventRow.order == order, ChainEventRow.kind.in_(_KINDS))
        .order_by(ChainEventRow.block, ChainEventRow.log_index)
    )
    faults: list[FaultView] = []
    refunded, deliver_by = None, None
    for kind, data in session.execute(query):
        told = cast("dict[str, str]", decode(data))
        if kind in _FAULTS:
            faults.append(_fault(*_FAULTS[kind], told))
        if kind in _REFUNDS:
            refunded = (refunded or 0) + int(told[_REFUNDS[kind]])
        if kind == "DeadlineMoved":
            deliver_by = int(told["deliver_by"])
    return Outcome(tuple(faults), refunded, deliver_by)


def _fault(kind: FaultKind, member: str, told: Mapping[str, JsonValue]) -> FaultView:
    shard, contributor = told.get("shard"), told.get("contributor")
    return FaultView(
        kind=kind,
        shard=None if shard is None else int(cast(str, shard)),
        contributor=None if contributor is None else Address.parse(cast(str, contributor)),
        slashed_wei=Uint256(cast(str, told[member])),
    )
