"""A database of an earlier release is brought forward with everything in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Table, delete, insert, select, text

from backend.database.engine import MIGRATIONS, Database, migrate
from backend.database.models import Base, DatasetRow, OfferRow
from backend.indexer.apply import rebuild
from backend.ports import Ports
from tests.backend.memory_chain import Memory, every_way_to_end, follow, placed, published

FIRST = "0001"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'older.sqlite'}")
    yield database
    database.close()


def at_revision(
    database: Database, revision: str, move: Callable[[Config, str], None] = command.upgrade
) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        move(config, revision)


def rows(database: Database, table: Table) -> list[tuple[Any, ...]]:
    with database.read() as session:
        columns = [table.c[name] for name in sorted(table.c.keys())]
        return sorted(map(tuple, session.execute(select(*columns))), key=str)


def tables(database: Database) -> dict[str, Table]:
    """As they are in the file, whatever the models say."""
    found = MetaData()
    found.reflect(database.engine)
    return {table.name: table for table in found.sorted_tables if table.name != "alembic_version"}


@pytest.fixture
def first_release(ports: Ports, database: Database, memory: Memory) -> Database:
    """A file of the first tables, with the events and data sets that a follower of that release had stored."""
    chain, ports = memory
    chain.add(1, placed("one"), *published(1, "one"), *published(2, "two"), *published(3, "three"))
    for number, events in enumerate(every_way_to_end(), 2):
        chain.add(number, *events)
    follow(ports)
    at_revision(database, FIRST)
    for name, table in tables(database).items():
        with ports.database.read() as session:
            found = session.execute(select(Base.metadata.tables[name])).mappings().all()
        if found:
            with database.write() as session:
                session.execute(insert(table), [dict(row) for row in found])
    return database


def test_offers_that_nobody_read_are_there_after_the_migration_and_nothing_else_moved(
    first_release: Database, ports: Ports
) -> None:
    before = {name: rows(first_release, table) for name, table in tables(first_release).items()}
    assert "offers" not in before
    assert before["chain_events"]
    migrate(first_release)
    after = {name: rows(first_release, table) for name, table in tables(first_release).items()}
    offers = after.pop("offers")
    assert len(offers) == 6
    assert after.pop("retirements") == []
    assert after == before
    assert offers == rows(ports.database, Base.metadata.tables["offers"]), "as the follower has them"
    with first_release.write() as session:
        rebuild(session)
    assert rows(first_release, Base.metadata.tables["offers"]) == offers


def test_a_database_without_a_sale_is_migrated_too(database: Database) -> None:
    at_revision(database, FIRST)
    migrate(database)
    migrate(database)
    assert rows(database, Base.metadata.tables["offers"]) == []


def test_an_offer_goes_with_its_data_set(first_release: Database) -> None:
    migrate(first_release)
    with first_release.write() as session:
        session.execute(delete(DatasetRow).where(DatasetRow.id == 1))
    with first_release.read() as session:
        assert set(session.scalars(select(OfferRow.dataset))) == {2, 3}


def test_the_way_back_leaves_the_first_tables(first_release: Database) -> None:
    before = {name: rows(first_release, table) for name, table in tables(first_release).items()}
    migrate(first_release)
    at_revision(first_release, FIRST, command.downgrade)
    assert {name: rows(first_release, table) for name, table in tables(first_release).items()} == before
    with first_release.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == FIRST
