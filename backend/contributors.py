"""Contributors that announced a table for a collection. Each has a stake on chain that covers one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Response
from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from backend.collections import CollectionService
from backend.database.engine import Repository
from backend.database.models import (
    ChainEventRow,
    ChainOrderRow,
    CheckpointRow,
    ContributorRow,
    DatasetRow,
    OrderRow,
    ShardRow,
    TaskRow,
)
from backend.errors import NodeWithoutStakeError
from backend.http.context import Caller, DigestText, PortsHere, ReadSession
from backend.ports import Ports
from provenance.api.catalogue import Announcement, ContributorList, ContributorView
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.api.tasks import ACCEPT
from provenance.canonical import decode_object, encode
from provenance.values import Address, Digest

router = APIRouter(prefix="/v1/contributors", tags=["contributors"])
HONESTLY_REFUSED = "conditions-unmet"
"""The code of a contributor whose model makes no rows under the order's conditions: it says so, and is not silent."""


class ContributorRepository(Repository[ContributorRow]):
    """Reads and writes announced contributors in one transaction."""

    table = ContributorRow

    def is_announced(self, address: str) -> bool:
        """Whether this address announced a table for any collection."""
        query = select(ContributorRow.address).where(ContributorRow.address == address).limit(1)
        return self.session.scalar(query) is not None

    def list(self, collection: str | None = None) -> Sequence[ContributorRow]:
        """In the order of announcement, so that the first to come is asked first."""
        query = select(ContributorRow).order_by(ContributorRow.announced_at, ContributorRow.address)
        if collection is not None:
            query = query.where(ContributorRow.collection == collection)
        return self.page(query)


@dataclass(frozen=True, slots=True)
class Records:
    """What the chain's events and the broker's own queue tell of contributors, in one transaction."""

    session: Session

    def delivered(self) -> dict[Address, int]:
        """Synthetic rows of each contributor in data sets that are settled and stand: nobody could refute them."""
        query = (
            select(ShardRow.contributor, func.sum(ShardRow.rows))
            .join(DatasetRow, DatasetRow.id == ShardRow.dataset)
            .join(ChainOrderRow, ChainOrderRow.id == DatasetRow.order)
            .where(DatasetRow.status == "valid", ChainOrderRow.state == "settled")
            .group_by(ShardRow.contributor)
        )
        return {Address.parse(row[0]): int(row[1]) for row in self.session.execute(query)}

    def slashed(self, blocks: int) -> set[Address]:
        """Who was convicted, or silent when asked on chain, in the last `blocks` blocks that were followed."""
        head = self.session.scalar(select(func.max(CheckpointRow.block)))
        if head is None:
            return set()
        query = select(ChainEventRow.payload).where(
            ChainEventRow.kind.in_(("OrderRevoked", "StakeSlashed")), ChainEventRow.block > head - blocks
        )
        payloads = (decode_object(payload) for payload in self.session.scalars(query))
        return {Address.parse(str(payload["contributor"])) for payload in payloads}

    def absent(self, since: float) -> set[Address]:
        """Who left an order that was matched after `since` to fail.

        It refused its work, other than for conditions that its model cannot meet, or did not answer a step that
        another contributor of the order did answer. A step that nobody answered is nobody's fault.
        """
        other = aliased(TaskRow)
        is_answered = exists().where(
            other.order == TaskRow.order, other.name == TaskRow.name, other.state == WorkState.DONE
        )
        refused = and_(TaskRow.state == WorkState.REFUSED, TaskRow.refusal_code != HONESTLY_REFUSED)
        query = (
            select(TaskRow.node)
            .join(OrderRow, OrderRow.id == TaskRow.order)
            .where(
                OrderRow.state == OrderState.REFUNDED, TaskRow.kind != ACCEPT, TaskRow.created_at > since,
                or_(refused, and_(TaskRow.state == WorkState.CANCELLED, is_answered)),
            )
            .distinct()
        )  # fmt: skip
        return set(map(Address.parse, self.session.scalars(query)))


def require_stake(ports: Ports, node: Address) -> None:
    """Asks the chain. Raises NodeWithoutStakeError when the node could not serve one order."""
    stake = ports.chain.stake_of(node)
    needed, unit = ports.settings.stake_wei, ports.chain.deployment.unit
    if not stake.registered or stake.free + stake.reserved < needed:
        raise NodeWithoutStakeError(
            f"{node}: {'registered' if stake.registered else 'not registered'}, free stake "
            f"{unit.shown(stake.free)}, reserved {unit.shown(stake.reserved)}; register and deposit at least "
            f"{unit.shown(needed)} in the contributor registry, then announce again"
        )


def store(
    session: Session, node: Address, announcement: Announcement, now: int
) -> tuple[ContributorView, bool]:
    """Stores or renews an announcement; True when it is new."""
    collection = str(announcement.collection)
    CollectionService(session).require(collection)
    contributors = ContributorRepository(session)
    details = encode(announcement.metadata)
    row = contributors.get((collection, str(node)))
    if row is not None:
        row.declared_rows, row.details = announcement.declared_rows, details
        return _shown(row), False
    row = ContributorRow(
        collection=collection, address=str(node), declared_rows=announcement.declared_rows,
        details=details, announced_at=now,
    )  # fmt: skip
    contributors.add(row)
    return _shown(row), True


@router.post("", status_code=201)
def announce(
    caller: Caller, announcement: Announcement, response: Response, ports: PortsHere
) -> ContributorView:
    """A node says that it holds a table for a collection. It must be registered and staked on chain."""
    # The chain is asked before the transaction starts: a slow chain must not hold the write lock.
    require_stake(ports, caller)
    with ports.database.write() as session:
        shown, is_new = store(session, caller, announcement, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return shown


@router.get("")
def index(session: ReadSession, collection: DigestText | None = None) -> ContributorList:
    """Who announced a table, of one collection or of all."""
    return ContributorList(
        contributors=tuple(_shown(row) for row in ContributorRepository(session).list(collection))
    )


def _shown(row: ContributorRow) -> ContributorView:
    return ContributorView(
        collection=Digest.parse(row.collection),
        contributor=Address.parse(row.address),
        declared_rows=row.declared_rows,
        metadata=decode_object(row.details),
        announced_at=row.announced_at,
    )
