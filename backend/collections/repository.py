"""SQL of collections."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.collections.models import CollectionRow
from backend.contributors.models import ContributorRow


class CollectionRepository:
    """Reads and writes collections in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, collection_id: str) -> CollectionRow | None:
        return self._session.get(CollectionRow, collection_id)

    def by_name(self, name: str) -> CollectionRow | None:
        return self._session.scalar(select(CollectionRow).where(CollectionRow.name == name))

    def all(self) -> Sequence[CollectionRow]:
        return self._session.scalars(select(CollectionRow).order_by(CollectionRow.name)).all()

    def contributor_counts(self) -> dict[str, int]:
        """Announced contributors by collection id."""
        counts = select(ContributorRow.collection, func.count()).group_by(ContributorRow.collection)
        return {row[0]: row[1] for row in self._session.execute(counts)}

    def add(self, row: CollectionRow) -> None:
        self._session.add(row)
