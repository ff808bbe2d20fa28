"""Table of node tasks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, HEX32, Base


class TaskRow(Base):
    """One task of one node. States: queued, leased, done, refused, cancelled.

    Payload and result may be megabytes: they are loaded only where a query asks for them.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("order_id", "node", "name"),
        Index("ix_tasks_node_state", "node", "state"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    order: Mapped[str] = mapped_column("order_id", HEX32)
    node: Mapped[str] = mapped_column(ADDRESS)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    payload: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    payload_digest: Mapped[str] = mapped_column(HEX32)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    leased_until: Mapped[float] = mapped_column(default=0.0)
    result: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    result_digest: Mapped[str | None] = mapped_column(HEX32)
    refusal_code: Mapped[str | None] = mapped_column(String(100))
    refusal_reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
