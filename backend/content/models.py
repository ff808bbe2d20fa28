"""Table of contents: who brought which CID. The bytes are in the content store."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, CID, Base


class ContentRow(Base):
    """One upload; the first one's sender is kept."""

    __tablename__ = "contents"

    cid: Mapped[str] = mapped_column(CID, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    uploader: Mapped[str] = mapped_column(ADDRESS)
    created_at: Mapped[int] = mapped_column(BigInteger)
