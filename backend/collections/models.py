"""Table of collections."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import HEX32, Base


class CollectionRow(Base):
    """A collection document, kept as the canonical bytes whose SHA-256 is the id."""

    __tablename__ = "collections"

    id: Mapped[str] = mapped_column(HEX32, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)
