"""Rules of contributors: whoever announces a table has a registered stake that covers one order."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.collections.service import CollectionService
from backend.contributors.models import ContributorRow
from backend.contributors.repository import ContributorRepository
from backend.contributors.schemas import Announcement, ContributorOut
from backend.errors import NodeWithoutStakeError
from backend.ports import Ports
from provenance.canonical import decode, encode
from provenance.values import Address


def require_stake(ports: Ports, node: Address) -> None:
    """Asks the chain. Raises NodeWithoutStakeError when the node could not serve one order."""
    stake = ports.ledger.stake_of(node)
    needed = ports.settings.stake_wei
    if not stake.registered or stake.free + stake.reserved < needed:
        raise NodeWithoutStakeError(
            f"{node}: registered {stake.registered}, free stake {stake.free}, reserved {stake.reserved} wei; "
            f"register and deposit at least {needed} wei in the contributor registry, then announce again"
        )


class ContributorService:
    """Who holds which table."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows = ContributorRepository(session)

    def announce(self, node: Address, announcement: Announcement, now: int) -> tuple[ContributorOut, bool]:
        """Stores or renews an announcement; True when it is new."""
        CollectionService(self._session).require(announcement.collection)
        details = encode(announcement.metadata)
        row = self._rows.get(announcement.collection, str(node))
        is_new = row is None
        if row is None:
            row = ContributorRow(collection=announcement.collection, address=str(node), announced_at=now)
            self._rows.add(row)
        row.declared_rows = announcement.declared_rows
        row.details = details
        return _shown(row), is_new

    def list(self, collection: str | None) -> list[ContributorOut]:
        return [_shown(row) for row in self._rows.list(collection)]


def _shown(row: ContributorRow) -> ContributorOut:
    metadata = decode(row.details)
    assert isinstance(metadata, dict)
    return ContributorOut(
        collection=row.collection,
        contributor=row.address,
        declared_rows=row.declared_rows,
        metadata=metadata,
        announced_at=row.announced_at,
    )
