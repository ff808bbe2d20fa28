"""Engine, migrations, transactions, repositories.

A reading transaction sees one state. A writing one holds SQLite's write lock from its start (BEGIN IMMEDIATE), so a
read followed by a write is atomic and never meets a busy lock half way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Select, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from backend.database.models import Base
from backend.errors import StartupError

_READ_ONLY = "tessera_read_only"
BUSY_TIMEOUT_MILLISECONDS = 15_000
MIGRATIONS = Path(__file__).parent / "migrations"
Row = TypeVar("Row", bound=Base)
LIST_LIMIT = 500
"""The most that a list of the interface holds; its filters lead to what is older."""


class Database:
    """One pool of connections. `read()` and `write()` are one transaction."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._readers = self.engine.execution_options(**{_READ_ONLY: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view. Changes are not stored."""
        # Closing rolls back and leaves what was loaded usable; an explicit rollback would expire it.
        with Session(self._readers, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Commits at the end; any exception rolls everything back."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def ping(self) -> None:
        """Raises SQLAlchemyError when the database does not answer."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """An engine for SQLite or PostgreSQL. Raises StartupError for a URL that SQLAlchemy cannot read."""
    try:
        parsed = make_url(url)
        engine = create_engine(
            parsed, pool_size=10, max_overflow=40, pool_pre_ping=parsed.drivername != "sqlite"
        )
    except (ArgumentError, SQLAlchemyError, ModuleNotFoundError) as error:
        raise StartupError(
            f"database URL: {error}; expected sqlite:///FILE or postgresql+psycopg://…"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # pysqlite opens transactions late by itself; with isolation_level None, `_begin_sqlite` opens them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten, not only forgotten: it may be counts of somebody's rows.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def migrate(database: Database) -> None:
    """Brings a database to the newest migration, in one transaction; called at every start.

    Raises StartupError with the database's own words.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise StartupError(f"the database cannot be opened or migrated: {error}") from error


class Repository(Generic[Row]):
    """Reads and writes one table within the session's transaction. A subclass names the table in `table`."""

    table: type[Row]

    def __init__(self, session: Session) -> None:
        self.session = session

    def get(self, key: object) -> Row | None:
        """The row with this primary key; a key of several columns is a tuple."""
        return self.session.get(self.table, key)

    def add(self, row: Row) -> None:
        """Inserts at once: the database's own values are set, and a broken constraint raises here."""
        self.session.add(row)
        self.session.flush()

    def page(self, query: Select[Row], limit: int | None = None) -> Sequence[Row]:
        """The first `limit` rows of a query, or all."""
        return self.session.scalars(query.limit(limit)).all()
