"""Brings a database to the newest migration. Runs at every start; an up-to-date database is left alone."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from backend.database.engine import Database
from backend.errors import StartupError

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Applies missing migrations in one transaction. Raises StartupError with the database's own words."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise StartupError(f"the database cannot be opened or migrated: {error}") from error
