"""SQL of contributors."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.contributors.models import ContributorRow


class ContributorRepository:
    """Reads and writes announced contributors in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, collection: str, address: str) -> ContributorRow | None:
        return self._session.get(ContributorRow, (collection, address))

    def is_announced(self, address: str) -> bool:
        """Whether this address announced a table for any collection."""
        query = select(ContributorRow.address).where(ContributorRow.address == address).limit(1)
        return self._session.scalar(query) is not None

    def list(self, collection: str | None = None) -> Sequence[ContributorRow]:
        """In the order of announcement, so that the first to come is asked first."""
        query = select(ContributorRow).order_by(ContributorRow.announced_at, ContributorRow.address)
        if collection is not None:
            query = query.where(ContributorRow.collection == collection)
        return self._session.scalars(query).all()

    def add(self, row: ContributorRow) -> None:
        self._session.add(row)
