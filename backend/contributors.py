"""Contributors that announced a table for a collection. Each has a stake on chain that covers one order."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.collections import CollectionService
from backend.database.engine import Repository
from backend.database.models import ContributorRow
from backend.errors import NodeWithoutStakeError
from backend.http.context import Caller, DigestText, PortsHere, ReadSession
from backend.ports import Ports
from provenance.api.catalogue import Announcement, ContributorList, ContributorView
from provenance.canonical import decode_object, encode
from provenance.values import Address, Digest

router = APIRouter(prefix="/v1/contributors", tags=["contributors"])


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
