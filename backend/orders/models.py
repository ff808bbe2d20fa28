"""Tables of orders: the order, its events (for server-sent events), its transactions."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, CID, HEX32, Base


class OrderRow(Base):
    """What the broker knows of an order. All documents are canonical JSON.

    `participants` is the intent to match, stored before the transaction is sent; `final` is a state that
    nothing
    leaves; `failure` why the order is being given back, from the moment that is decided.
    """

    __tablename__ = "orders"

    id: Mapped[str] = mapped_column(HEX32, primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    buyer: Mapped[str] = mapped_column(ADDRESS, index=True)
    collection: Mapped[str] = mapped_column(HEX32, ForeignKey("collections.id"), index=True)
    terms: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    permit: Mapped[bytes] = mapped_column(LargeBinary)
    request: Mapped[bytes] = mapped_column(LargeBinary)
    participants: Mapped[bytes | None] = mapped_column(LargeBinary)
    manifest_cid: Mapped[str | None] = mapped_column(CID)
    failure: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class OrderEventRow(Base):
    """One event of an order; the id is what Last-Event-ID names."""

    __tablename__ = "order_events"
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_autoincrement": True}  # type: ignore[misc]

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    order: Mapped[str] = mapped_column("order_id", HEX32, ForeignKey("orders.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    data: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)


class TransactionRow(Base):
    """A transaction that the broker sent for an order and saw mined."""

    __tablename__ = "order_transactions"

    hash: Mapped[str] = mapped_column(HEX32, primary_key=True)
    order: Mapped[str] = mapped_column("order_id", HEX32, ForeignKey("orders.id"), index=True)
    step: Mapped[str] = mapped_column(String(32))
    block: Mapped[int] = mapped_column(BigInteger)
    gas_used: Mapped[int] = mapped_column(BigInteger)
