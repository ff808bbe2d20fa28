"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain_events",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("transaction_hash", sa.String(length=66), nullable=False),
        sa.Column("order_id", sa.String(length=66), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block", "log_index", name=op.f("pk_chain_events")),
    )
    op.create_index(op.f("ix_chain_events_order_id"), "chain_events", ["order_id"], unique=False)
    op.create_table(
        "chain_demands",
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("shard", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("demander", sa.String(length=42), nullable=False),
        sa.Column("answer_by", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "shard", name=op.f("pk_chain_demands")),
    )
    op.create_table(
        "chain_orders",
        sa.Column("id", sa.String(length=66), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_orders")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.PrimaryKeyConstraint("block", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.String(length=66), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("name", name=op.f("uq_collections_name")),
    )
    op.create_table(
        "contents",
        sa.Column("cid", sa.String(length=80), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("uploader", sa.String(length=42), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cid", name=op.f("pk_contents")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("manifest_digest", sa.String(length=66), nullable=False),
        sa.Column("dataset_root", sa.String(length=66), nullable=False),
        sa.Column("seed", sa.String(length=66), nullable=False),
        sa.Column("score_digest", sa.String(length=66), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("epsilon_micro", sa.BigInteger(), nullable=False),
        sa.Column("delta_e12", sa.BigInteger(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("spec_version", sa.Integer(), nullable=False),
        sa.Column("real_fraction_micro", sa.Integer(), nullable=False),
        sa.Column("parents", sa.LargeBinary(), nullable=False),
        sa.Column("shares_bps", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("transaction_hash", sa.String(length=66), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_index(op.f("ix_datasets_order_id"), "datasets", ["order_id"], unique=False)
    op.create_table(
        "nonces",
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", "nonce", name=op.f("pk_nonces")),
    )
    op.create_index(op.f("ix_nonces_expires_at"), "nonces", ["expires_at"], unique=False)
    op.create_table(
        "tasks",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("node", sa.String(length=42), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("payload_digest", sa.String(length=66), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("result_digest", sa.String(length=66), nullable=True),
        sa.Column("refusal_code", sa.String(length=100), nullable=True),
        sa.Column("refusal_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("order_id", "node", "name", name=op.f("uq_tasks_order_id")),
    )
    op.create_index("ix_tasks_node_state", "tasks", ["node", "state"], unique=False)
    op.create_table(
        "contributors",
        sa.Column("collection", sa.String(length=66), nullable=False),
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("declared_rows", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("announced_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["collection"], ["collections.id"], name=op.f("fk_contributors_collection")),
        sa.PrimaryKeyConstraint("collection", "address", name=op.f("pk_contributors")),
    )
    op.create_table(
        "dataset_evaluations",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("contributor", sa.String(length=42), nullable=False),
        sa.Column("score_micro", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
            name=op.f("fk_dataset_evaluations_dataset_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("dataset_id", "position", name=op.f("pk_dataset_evaluations")),
    )
    op.create_table(
        "dataset_shards",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("contributor", sa.String(length=42), nullable=False),
        sa.Column("model_digest", sa.String(length=66), nullable=False),
        sa.Column("shard_root", sa.String(length=66), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("epsilon_micro", sa.BigInteger(), nullable=False),
        sa.Column("delta_e12", sa.BigInteger(), nullable=False),
        sa.Column("content_digest", sa.String(length=66), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_shards_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "shard", name=op.f("pk_dataset_shards")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(length=66), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("buyer", sa.String(length=42), nullable=False),
        sa.Column("collection", sa.String(length=66), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("permit", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("participants", sa.LargeBinary(), nullable=True),
        sa.Column("manifest_cid", sa.String(length=80), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["collection"], ["collections.id"], name=op.f("fk_orders_collection")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(op.f("ix_orders_buyer"), "orders", ["buyer"], unique=False)
    op.create_index(op.f("ix_orders_collection"), "orders", ["collection"], unique=False)
    op.create_index(op.f("ix_orders_state"), "orders", ["state"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("result_digest", sa.String(length=66), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_jobs_order_id")),
        sa.PrimaryKeyConstraint("order_id", "phase", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)
    op.create_table(
        "order_events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_events_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_order_events_order_id"), "order_events", ["order_id"], unique=False)
    op.create_table(
        "order_transactions",
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("gas_used", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_transactions_order_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_order_transactions")),
    )
    op.create_index(op.f("ix_order_transactions_order_id"), "order_transactions", ["order_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_order_transactions_order_id"), table_name="order_transactions")
    op.drop_table("order_transactions")
    op.drop_index(op.f("ix_order_events_order_id"), table_name="order_events")
    op.drop_table("order_events")
    op.drop_index(op.f("ix_jobs_state"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(op.f("ix_orders_state"), table_name="orders")
    op.drop_index(op.f("ix_orders_collection"), table_name="orders")
    op.drop_index(op.f("ix_orders_buyer"), table_name="orders")
    op.drop_table("orders")
    op.drop_table("dataset_shards")
    op.drop_table("dataset_evaluations")
    op.drop_table("contributors")
    op.drop_index("ix_tasks_node_state", table_name="tasks")
    op.drop_table("tasks")
    op.drop_index(op.f("ix_nonces_expires_at"), table_name="nonces")
    op.drop_table("nonces")
    op.drop_index(op.f("ix_datasets_order_id"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_table("contents")
    op.drop_table("collections")
    op.drop_table("checkpoints")
    op.drop_table("chain_orders")
    op.drop_table("chain_demands")
    op.drop_index(op.f("ix_chain_events_order_id"), table_name="chain_events")
    op.drop_table("chain_events")
