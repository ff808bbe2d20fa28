"""All tables of the application's database, and the column types they share.

Digests and addresses are text (0x-hex), times are unix seconds, documents are canonical JSON bytes. A change here
needs a migration: a test compares the two.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

HEX32 = String(66)
ADDRESS = String(42)
CID = String(80)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them on every database."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# --- What can be ordered


class CollectionRow(Base):
    """A collection document: the canonical bytes whose SHA-256 is the id."""

    __tablename__ = "collections"

    id: Mapped[str] = mapped_column(HEX32, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)


# --- Who announced a table


class ContributorRow(Base):
    """One table of one contributor, announced for one collection. `details` is its metadata."""

    __tablename__ = "contributors"

    collection: Mapped[str] = mapped_column(HEX32, ForeignKey("collections.id"), primary_key=True)
    address: Mapped[str] = mapped_column(ADDRESS, primary_key=True)
    declared_rows: Mapped[int] = mapped_column(BigInteger)
    details: Mapped[bytes] = mapped_column(LargeBinary)
    announced_at: Mapped[int] = mapped_column(BigInteger)


# --- Orders, their events (for server-sent events) and their transactions


class OrderRow(Base):
    """What the broker knows of an order.

    `participants` is the intended match, stored before its transaction is sent. `failure` says why the money is
    returned, from the moment that is decided. `training` is the order from whose stock it is sold, null where its
    models are made to order.
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
    training: Mapped[str | None] = mapped_column(HEX32, index=True)
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


class RetirementRow(Base):
    """A contributor that does not sell its model of an order any more."""

    __tablename__ = "retirements"

    order: Mapped[str] = mapped_column("order_id", HEX32, ForeignKey("orders.id"), primary_key=True)
    contributor: Mapped[str] = mapped_column(ADDRESS, primary_key=True)
    created_at: Mapped[int] = mapped_column(BigInteger)


# --- Node tasks


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


# --- Coordination jobs


class JobRow(Base):
    """One phase of one order for the coordinator worker. States as of a task; refused: the worker gave up."""

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


# --- Who brought which CID; the bytes are in the content store


class ContentRow(Base):
    """One upload, with its first sender."""

    __tablename__ = "contents"

    cid: Mapped[str] = mapped_column(CID, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    uploader: Mapped[str] = mapped_column(ADDRESS)
    created_at: Mapped[int] = mapped_column(BigInteger)


# --- What the follower keeps: checkpoints, raw events, the chain's view of orders


class CheckpointRow(Base):
    """A block whose events are applied. The follower continues after the highest one."""

    __tablename__ = "checkpoints"

    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(HEX32)


class ChainEventRow(Base):
    """A decoded log as it was fetched. The derived tables can be rebuilt from these rows alone."""

    __tablename__ = "chain_events"

    block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    log_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    transaction: Mapped[str] = mapped_column("transaction_hash", HEX32)
    order: Mapped[str | None] = mapped_column("order_id", HEX32, index=True)
    kind: Mapped[str] = mapped_column(String(64))
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class ChainOrderRow(Base):
    """State of an order by the chain's events: open, matched, published, settled, cancelled, refunded, revoked."""

    __tablename__ = "chain_orders"

    id: Mapped[str] = mapped_column(HEX32, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    block: Mapped[int] = mapped_column(BigInteger)


class ChainDemandRow(Base):
    """The newest demand about one shard of an order, or its manifest. kind: `DemandKind` in small letters; state: open,
    warned, answered, expired."""

    __tablename__ = "chain_demands"

    order: Mapped[str] = mapped_column("order_id", HEX32, primary_key=True)
    shard: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    demander: Mapped[str] = mapped_column(ADDRESS)
    answer_by: Mapped[int] = mapped_column(BigInteger)


# --- The catalogue; derived from chain events alone, so it may be dropped and rebuilt at any time


class DatasetRow(Base):
    """One published data set. `parents` and `shares_bps` are JSON lists.

    status: valid, reduced (shards of it were revoked), revoked (proven false or withheld), flagged (derived from one
    that was revoked).
    """

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    order: Mapped[str] = mapped_column("order_id", HEX32, index=True)
    manifest_digest: Mapped[str] = mapped_column(HEX32)
    dataset_root: Mapped[str] = mapped_column(HEX32)
    seed: Mapped[str] = mapped_column(HEX32)
    score_digest: Mapped[str] = mapped_column(HEX32)
    rows: Mapped[int] = mapped_column("row_count", BigInteger)
    epsilon_micro: Mapped[int] = mapped_column(BigInteger)
    delta_e12: Mapped[int] = mapped_column(BigInteger)
    depth: Mapped[int] = mapped_column(Integer)
    spec_version: Mapped[int] = mapped_column(Integer)
    real_fraction_micro: Mapped[int] = mapped_column(Integer)
    parents: Mapped[bytes] = mapped_column(LargeBinary)
    shares_bps: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(String(16))
    block: Mapped[int] = mapped_column(BigInteger)
    transaction: Mapped[str] = mapped_column("transaction_hash", HEX32)

    shards: Mapped[list[ShardRow]] = relationship(
        lazy="raise", order_by="ShardRow.shard", cascade="all, delete-orphan"
    )
    evaluations: Mapped[list[EvaluationRow]] = relationship(
        lazy="raise", order_by="EvaluationRow.position", cascade="all, delete-orphan"
    )


class ShardRow(Base):
    """One shard of a data set, as recorded on chain."""

    __tablename__ = "dataset_shards"

    dataset: Mapped[int] = mapped_column(
        "dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    shard: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    contributor: Mapped[str] = mapped_column(ADDRESS)
    model_digest: Mapped[str] = mapped_column(HEX32)
    shard_root: Mapped[str] = mapped_column(HEX32)
    rows: Mapped[int] = mapped_column("row_count", BigInteger)
    epsilon_micro: Mapped[int] = mapped_column(BigInteger)
    delta_e12: Mapped[int] = mapped_column(BigInteger)
    content_digest: Mapped[str] = mapped_column(HEX32)


class EvaluationRow(Base):
    """One contributor's signed score of the pooled data set."""

    __tablename__ = "dataset_evaluations"

    dataset: Mapped[int] = mapped_column(
        "dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    contributor: Mapped[str] = mapped_column(ADDRESS)
    score_micro: Mapped[int] = mapped_column(Integer)


class OfferRow(Base):
    """One offer of a data set for resale, from its listing to its end; keyed by the listing's place in the chain.

    state: `provenance.api.catalogue.OfferState`. `price` is a decimal string of token wei. `deadline` is chain time:
    last to deliver (sold) or to reject (delivered). `block` and `transaction` are those of its newest event.
    """

    __tablename__ = "offers"

    listed_block: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    listed_log_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dataset: Mapped[int] = mapped_column(
        "dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), index=True
    )
    state: Mapped[str] = mapped_column(String(16), index=True)
    seller: Mapped[str] = mapped_column(ADDRESS, index=True)
    price: Mapped[str] = mapped_column(String(78))
    buyer: Mapped[str | None] = mapped_column(ADDRESS, index=True)
    deadline: Mapped[int | None] = mapped_column(BigInteger)
    block: Mapped[int] = mapped_column(BigInteger)
    transaction: Mapped[str] = mapped_column("transaction_hash", HEX32)


# --- Signed requests


class NonceRow(Base):
    """A used nonce, kept until no clock can accept its request again."""

    __tablename__ = "nonces"

    address: Mapped[str] = mapped_column(ADDRESS, primary_key=True)
    nonce: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
