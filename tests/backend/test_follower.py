"""The catalogue follows the chain, also backwards, and can be rebuilt from nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import delete, select

from backend.database.engine import Database, migrate
from backend.database.models import (
    Base,
    ChainDemandRow,
    ChainEventRow,
    ChainOrderRow,
    CheckpointRow,
    DatasetRow,
    EvaluationRow,
    OfferRow,
    ShardRow,
)
from backend.datasets import DatasetService
from backend.indexer.apply import rebuild
from backend.indexer.follower import Follower, Reorganised
from backend.orders.repository import OrderRepository
from backend.outcome import Outcome, outcome_of
from backend.ports import Ports
from backend.workflow.match import Matching
from provenance.chain.dispute_events import (
    ChunkAnswered,
    CommitmentAnswered,
    DemandedEvaluation,
    DemandedReceipt,
    DemandExpired,
    DemandOpened,
    DemandWarned,
    EvaluationAnswered,
    ManifestAnswered,
    ModelAnswered,
    ReceiptAnswered,
    SaltAnswered,
)
from provenance.chain.disputes import MANIFEST_SHARD, DemandKind
from provenance.chain.events import (
    BrokerConvicted,
    ChainEvent,
    ContributorFined,
    DatasetFlagged,
    DatasetRevoked,
    DeadlineMoved,
    OrderReduced,
    OrderRevoked,
    OtherEvent,
    ShardConvicted,
    ShardDropped,
    ShardRevoked,
)
from provenance.crypto.signing import Signer
from provenance.values import Digest, Signature
from tests.backend.conftest import Api, Chain, catch_up
from tests.backend.memory_chain import (
    BEN,
    CAT,
    NOWHERE,
    WHO,
    Memory,
    every_way_to_end,
    follow,
    order,
    placed,
    published,
)

TABLES = (ChainEventRow, ChainOrderRow, ChainDemandRow, DatasetRow, ShardRow, EvaluationRow, OfferRow)


def contents(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the follower's tables."""
    with database.read() as session:
        return {
            model.__tablename__: sorted(
                [tuple(getattr(row, column.key) for column in model.__mapper__.column_attrs) for row in found]
            )
            for model in TABLES
            for found in [session.scalars(select(model)).all()]
        }


def chain_state(ports: Ports, name: str) -> str | None:
    with ports.database.read() as session:
        row = session.get(ChainOrderRow, str(order(name)))
        return row.state if row else None


def test_a_replaced_block_takes_its_data_set_and_order_states_with_it(memory: Memory) -> None:
    chain, ports = memory
    chain.add(1, placed("one"))
    follow(ports)
    chain.add(2, *published(1, "one"))
    follow(ports)
    assert chain_state(ports, "one") == "published"
    chain.cut(1)
    chain.add(2, placed("two"), fork="b")
    outcomes = follow(ports)
    assert outcomes[0] == Reorganised(1)
    assert (chain_state(ports, "one"), chain_state(ports, "two")) == ("open", "open")
    assert contents(ports.database)["datasets"] == []
    chain.add(3, *published(1, "two"), fork="b")
    follow(ports)
    with ports.database.read() as session:
        assert session.get_one(DatasetRow, 1).order == str(order("two"))


def demanded(name: str, shard: int, kind: DemandKind, row: int = 0) -> DemandOpened:
    return DemandOpened(NOWHERE, order(name), shard, WHO, int(kind), 1, row, 1_800_000_000, 5)


def revoked(name: str, number: int) -> tuple[ChainEvent, ...]:
    return (
        DatasetRevoked(NOWHERE, number, WHO),
        OrderRevoked(NOWHERE, order(name), 1, WHO, 4, 2, 2**200, 1),
    )


def status(ports: Ports, number: int) -> str:
    with ports.database.read() as session:
        return session.get_one(DatasetRow, number).status


def demands(ports: Ports, name: str) -> list[tuple[int, str, str, int]]:
    with ports.database.read() as session:
        rows = OrderRepository(session).demands(str(order(name)))
        return [(row.shard, row.kind, row.state, row.answer_by) for row in rows]


def test_a_revoked_data_set_and_what_derives_from_it_are_shown_as_such(memory: Memory) -> None:
    chain, ports = memory
    chain.add(1, placed("one"), *published(1, "one"), placed("two"), *published(2, "two"))
    follow(ports)
    assert (status(ports, 1), status(ports, 2)) == ("valid", "valid")
    chain.add(2, *revoked("one", 1), DatasetFlagged(NOWHERE, 2, 1))
    follow(ports)
    assert (status(ports, 1), status(ports, 2)) == ("revoked", "flagged")
    assert (chain_state(ports, "one"), chain_state(ports, "two")) == ("revoked", "published")
    chain.add(3, *revoked("two", 2), DatasetFlagged(NOWHERE, 2, 1))
    follow(ports)
    assert status(ports, 2) == "revoked", "a flag does not take a revocation back"


def test_a_data_set_that_loses_a_shard_is_reduced_and_the_order_says_who_and_what_it_cost(
    memory: Memory,
) -> None:
    chain, ports = memory
    chain.add(
        1, placed("one"), *published(1, "one"), *published(2, "two"), DeadlineMoved(NOWHERE, order("one"), 77)
    )
    chain.add(
        2,
        ShardDropped(NOWHERE, order("one"), 2, CAT, 9),
        ContributorFined(NOWHERE, order("one"), BEN, 4),
        ShardConvicted(NOWHERE, order("one"), 1, BEN, 8, 4, 2, 2),
        ShardRevoked(NOWHERE, 1, 1, WHO),
        BrokerConvicted(NOWHERE, order("one"), 6),
        OrderReduced(NOWHERE, order("one"), 2**100, 1),
    )
    follow(ports)
    assert (status(ports, 1), status(ports, 2)) == ("reduced", "valid")
    with ports.database.read() as session:
        found, other = outcome_of(session, str(order("one"))), outcome_of(session, str(order("two")))
        shown = DatasetService(session, ports).show(1)
    assert [(each.kind, each.shard, each.contributor, each.slashed_wei) for each in found.faults] == [
        ("dropped", 2, CAT, 9),
        ("fined", None, BEN, 4),
        ("convicted", 1, BEN, 8),
        ("broker", None, None, 6),
    ]
    assert (found.refunded_wei, found.deliver_by) == (2**100, 77)
    assert other == Outcome()
    assert [(each.shard, each.revoked) for each in shown.shards] == [(0, False), (1, True)]
    chain.add(3, ShardRevoked(NOWHERE, 1, 0, WHO), *revoked("one", 1))
    follow(ports)
    assert status(ports, 1) == "revoked"


def test_a_replaced_block_takes_a_revocation_with_it(memory: Memory) -> None:
    chain, ports = memory
    chain.add(1, placed("one"), *published(1, "one"))
    follow(ports)
    chain.add(2, *revoked("one", 1), demanded("one", 0, DemandKind.MODEL))
    follow(ports)
    chain.cut(1)
    chain.add(2, fork="b")
    assert follow(ports)[0] == Reorganised(1)
    assert (status(ports, 1), chain_state(ports, "one"), demands(ports, "one")) == ("valid", "published", [])


def test_demands_are_open_until_they_are_answered_or_expire(memory: Memory) -> None:
    chain, ports = memory
    receipt = DemandedReceipt(order("root"), 3, 4, order("content"))
    evaluation = DemandedEvaluation(order("root"), 5, order("shares"), order("score"))
    asked = (
        *(DemandKind.RECEIPT, DemandKind.MODEL, DemandKind.CHUNK, DemandKind.CHUNK),
        *(DemandKind.COMMITMENT, DemandKind.SALT, DemandKind.EVALUATION),
    )
    kinds = {**dict(enumerate(asked)), MANIFEST_SHARD: DemandKind.MANIFEST}
    chain.add(1, placed("one"), *(demanded("one", shard, kind) for shard, kind in kinds.items()))
    follow(ports)
    assert demands(ports, "one") == [
        (k, kind.name.lower(), "open", 1_800_000_000) for k, kind in kinds.items()
    ]
    chain.add(
        2,
        *(DemandWarned(NOWHERE, order("one"), k, int(kinds[k]), 1_800_000_900) for k in (0, MANIFEST_SHARD)),
    )
    follow(ports)
    warned = [(k, state, by) for k, _, state, by in demands(ports, "one") if state != "open"]
    assert warned == [(0, "warned", 1_800_000_900), (MANIFEST_SHARD, "warned", 1_800_000_900)]
    chain.add(
        3,
        ReceiptAnswered(NOWHERE, order("one"), 0, WHO, receipt, Signature(b"x")),
        ModelAnswered(NOWHERE, order("one"), 1, WHO, Signature(b"model")),
        ChunkAnswered(NOWHERE, order("one"), 2, WHO, 20, 7, Signature(b"rows"), (order("path"),), 1),
        DemandExpired(NOWHERE, order("one"), 3, int(DemandKind.CHUNK), True),
        CommitmentAnswered(NOWHERE, order("one"), 4, WHO, order("m"), order("s"), Signature(b"x")),
        SaltAnswered(NOWHERE, order("one"), 5, WHO, order("salt")),
        EvaluationAnswered(NOWHERE, order("one"), 6, WHO, evaluation, Signature(b"x")),
        ManifestAnswered(NOWHERE, order("one"), WHO, Signature(b"manifest")),
    )
    follow(ports)
    states = [state for _, _, state, _ in demands(ports, "one")]
    assert states == ["answered", "answered", "answered", "expired", *["answered"] * 4]
    chain.add(4, demanded("one", 0, DemandKind.CHUNK, 9))
    follow(ports)
    assert demands(ports, "one")[0] == (0, "chunk", "open", 1_800_000_000), "the newest of a shard is shown"
    before = contents(ports.database)
    with ports.database.write() as session:
        rebuild(session)
    assert contents(ports.database) == before


def test_a_chain_that_shares_no_block_is_followed_from_the_start(memory: Memory) -> None:
    chain, ports = memory
    chain.add(1, placed("one"))
    follow(ports)
    chain.cut(0)
    chain.add(1, placed("two"), fork="b")
    assert follow(ports)[0] == Reorganised(None)
    assert (chain_state(ports, "one"), chain_state(ports, "two")) == (None, "open")


def test_a_shorter_chain_is_a_reorganisation_too(memory: Memory) -> None:
    chain, ports = memory
    chain.add(1, placed("one"))
    follow(ports)
    chain.add(2, placed("two"))
    follow(ports)
    chain.cut(1)
    assert follow(ports)[0] == Reorganised(1)
    assert chain_state(ports, "two") is None


def test_a_catalogue_rebuilt_from_nothing_equals_the_old_one(memory: Memory, tmp_path: Path) -> None:
    chain, ports = memory
    chain.add(1, placed("one"), OtherEvent(NOWHERE, Digest(bytes(32))))
    follow(ports)
    chain.add(2, placed("two"), *published(1, "one"))
    follow(ports)
    chain.add(3, *published(2, "two"), *published(3, "three"))
    follow(ports)
    for number, events in enumerate(every_way_to_end(), 4):
        chain.add(number, *events)
        follow(ports)
    before = contents(ports.database)
    assert (len(before["datasets"]), len(before["offers"])) == (3, 6)
    with ports.database.write() as session:
        rebuild(session)
    assert contents(ports.database) == before
    fresh = Database(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    migrate(fresh)
    follow(replace(ports, database=fresh))
    assert contents(fresh) == before
    fresh.close()


def test_nothing_is_applied_twice_and_old_checkpoints_go(memory: Memory) -> None:
    chain, ports = memory
    ports = replace(ports, settings=ports.settings.model_copy(update={"finality_blocks": 3}))
    for number in range(1, 11):
        chain.add(number, placed(f"order {number}"))
        follow(ports)
        follow(ports)
    with ports.database.read() as session:
        assert session.scalars(select(CheckpointRow.block).order_by(CheckpointRow.block)).all() == [
            7,
            8,
            9,
            10,
        ]
        assert len(session.scalars(select(ChainOrderRow)).all()) == 10


def test_the_migrated_tables_are_those_of_the_models(ports: Ports) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ports.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    with ports.database.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))


def test_a_real_chain_that_reorganises_is_followed(
    api: Api, ports: Ports, chain: Chain, buyer: Signer
) -> None:
    collection = api.collection()
    follower = Follower(ports)
    catch_up(follower)
    placed_order = api.order(buyer, collection)
    Matching(ports, placed_order).place()
    catch_up(follower)
    assert api.call("GET", f"/v1/orders/{placed_order}").json()["chainState"] == "open"
    chain.reader.rpc.request("anvil_reorg", 1, [])
    outcome = follower.step()
    assert isinstance(outcome, Reorganised)
    catch_up(follower)
    assert api.call("GET", f"/v1/orders/{placed_order}").json()["chainState"] is None
