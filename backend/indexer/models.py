"""Tables of the follower: checkpoints, raw events, and the chain's view of orders."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, HEX32, Base


class CheckpointRow(Base):
    """A block whose events are applied. The highest one is where the follower goes on."""

    __tablename__ = "checkpoints"

    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(HEX32)


class ChainEventRow(Base):
    """A decoded log as it was fetched; canonical JSON. Derived tables can be rebuilt from these rows
    alone.
    """

    __tablename__ = "chain_events"

    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    log_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    transaction: Mapped[str] = mapped_column("transaction_hash", HEX32)
    order: Mapped[str | None] = mapped_column("order_id", HEX32, index=True)
    kind: Mapped[str] = mapped_column(String(64))
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class ChainOrderRow(Base):
    """State of an order as the chain's events tell it: open, matched, published, settled, cancelled,
    refunded, revoked.
    """

    __tablename__ = "chain_orders"

    id: Mapped[str] = mapped_column(HEX32, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    block: Mapped[int] = mapped_column(BigInteger)


class ChainDemandRow(Base):
    """The newest demand about one shard of an order. kind: receipt, model, chunk; state: open, answered, expired."""

    __tablename__ = "chain_demands"

    order: Mapped[str] = mapped_column("order_id", HEX32, primary_key=True)
    shard: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    demander: Mapped[str] = mapped_column(ADDRESS)
    answer_by: Mapped[int] = mapped_column(BigInteger)
