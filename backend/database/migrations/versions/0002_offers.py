"""Offers of data sets for resale, filled from the events that were stored before anybody read them.

The events are read by this file's own rules: what the application makes of them may change, a migration may not.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATES = {
    "DatasetListed": "listed",
    "DatasetUnlisted": "unlisted",
    "DatasetSold": "sold",
    "KeysDelivered": "delivered",
    "SaleAccepted": "accepted",
    "SaleRejected": "rejected",
    "SaleExpired": "expired",
}
RUNNING = ("listed", "sold", "delivered")


def upgrade() -> None:
    offers = op.create_table(
        "offers",
        sa.Column("listed_block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("listed_log_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seller", sa.String(length=42), nullable=False),
        sa.Column("price", sa.String(length=78), nullable=False),
        sa.Column("buyer", sa.String(length=42), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("transaction_hash", sa.String(length=66), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_offers_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("listed_block", "listed_log_index", name=op.f("pk_offers")),
    )
    for column in ("dataset_id", "state", "seller", "buyer"):
        op.create_index(op.f(f"ix_offers_{column}"), "offers", [column], unique=False)
    found = stored_offers(op.get_bind())
    if found:
        op.bulk_insert(offers, found)


def downgrade() -> None:
    for column in ("buyer", "seller", "state", "dataset_id"):
        op.drop_index(op.f(f"ix_offers_{column}"), table_name="offers")
    op.drop_table("offers")


def stored_offers(connection: sa.Connection) -> list[dict[str, object]]:
    """One row for each offer that the stored events tell of, as they stand after the last of them."""
    events = sa.table(
        "chain_events", *map(sa.column, ("block", "log_index", "transaction_hash", "kind", "payload"))
    )
    query = sa.select(events).where(events.c.kind.in_(STATES)).order_by(events.c.block, events.c.log_index)
    offers: list[dict[str, object]] = []
    running: dict[int, dict[str, object]] = {}
    for block, log_index, transaction, kind, payload in connection.execute(query):
        told = json.loads(bytes(payload))
        dataset, here = int(told["dataset"]), {"block": block, "transaction_hash": transaction}
        if kind == "DatasetListed":
            before = running.get(dataset)
            if before is not None:
                before |= here
                if before["seller"] == told["seller"]:
                    before["price"] = told["price"]
                    continue
                before["state"] = "unlisted"
            running[dataset] = {
                "listed_block": block,
                "listed_log_index": log_index,
                "dataset_id": dataset,
                "state": "listed",
                "seller": told["seller"],
                "price": told["price"],
                "buyer": None,
                "deadline": None,
            } | here
            offers.append(running[dataset])
            continue
        offer = running[dataset]
        offer |= here | {"state": STATES[kind], "deadline": None}
        if kind == "DatasetSold":
            offer |= {"buyer": told["buyer"], "deadline": int(told["deliver_by"])}
        elif kind == "KeysDelivered":
            offer["deadline"] = int(told["accept_by"])
        if offer["state"] not in RUNNING:
            del running[dataset]
    return offers
