"""Tables of the catalogue. Derived from chain events alone: they may be dropped and rebuilt at any time."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backend.database.base import ADDRESS, HEX32, Base


class DatasetRow(Base):
    """One published data set. `parents` and `shares_bps` are canonical JSON lists; status: valid, revoked (proven
    false or withheld), flagged (derived from one that was)."""

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
