"""Table of coordination jobs."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import HEX32, Base


class JobRow(Base):
    """One phase of one order for the coordinator worker. States: queued, leased, done, failed, cancelled."""

    __tablename__ = "jobs"

    order: Mapped[str] = mapped_column("order_id", HEX32, ForeignKey("orders.id"), primary_key=True)
    phase: Mapped[str] = mapped_column(String(16), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    plan: Mapped[bytes] = mapped_column(LargeBinary)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    leased_until: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    result_digest: Mapped[str | None] = mapped_column(HEX32)
    failure: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
