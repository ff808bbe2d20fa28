"""SQL of contents."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.content.models import ContentRow


class ContentRepository:
    """Who brought which CID."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, cid: str) -> ContentRow | None:
        return self._session.get(ContentRow, cid)

    def add(self, row: ContentRow) -> None:
        self._session.add(row)
