"""The base of all repositories: one session, one table, rows by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import Session

from backend.database.models import Base

Row = TypeVar("Row", bound=Base)
LIST_LIMIT = 500
"""The most that a list of the interface holds; its filters lead to what is older."""


class Repository(Generic[Row]):
    """Reads and writes one table within the session's transaction. A subclass names the table in `table`."""

    table: type[Row]

    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, key: object) -> Row | None:
        """The row with this primary key; a key of several columns is a tuple."""
        return self.session.get(self.table, key)

    def add(self, row: Row) -> None:
        """Inserts at once: the database's own values are set, and a broken constraint raises here."""
        self.session.add(row)
        self.session.flush()

    def page(self, query: Select[Row], limit: int | None = None) -> Sequence[Row]:
        """The first `limit` rows of a query, or all."""
        return self.session.scalars(query.limit(limit)).all()
