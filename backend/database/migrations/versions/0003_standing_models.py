"""Orders from stock, and the models that their contributors do not sell any more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("training", sa.String(length=66), nullable=True))
    op.create_index(op.f("ix_orders_training"), "orders", ["training"], unique=False)
    op.create_table(
        "retirements",
        sa.Column("order_id", sa.String(length=66), nullable=False),
        sa.Column("contributor", sa.String(length=42), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_retirements_order_id")),
        sa.PrimaryKeyConstraint("order_id", "contributor", name=op.f("pk_retirements")),
    )


def downgrade() -> None:
    op.drop_table("retirements")
    op.drop_index(op.f("ix_orders_training"), table_name="orders")
    op.drop_column("orders", "training")
