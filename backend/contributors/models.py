"""Table of announced contributors."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, HEX32, Base


class ContributorRow(Base):
    """One table of one contributor, announced for one collection. `details` is canonical JSON."""

    __tablename__ = "contributors"

    collection: Mapped[str] = mapped_column(HEX32, ForeignKey("collections.id"), primary_key=True)
    address: Mapped[str] = mapped_column(ADDRESS, primary_key=True)
    declared_rows: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[bytes] = mapped_column(LargeBinary)
    announced_at: Mapped[int] = mapped_column(BigInteger)
