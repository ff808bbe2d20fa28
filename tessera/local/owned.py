"""The one privacy ledger of a table that this user has: found again whatever file the table is read from; and
the rows of a table that may be used, of each person so many as the schema's unit says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from generator.privacy.owner import ENVIRONMENT, OwnedTable, Owner
from provenance.table.unit import Unit
from tessera.errors import UsageError
from tessera.local.table_file import Persons, read_table

if TYPE_CHECKING:
    from provenance.table.persons import Rows
    from provenance.table.python_cells import TableLike
    from provenance.table.schema import Schema
    from provenance.table.table_csv import CompactValues


def owned_rows(table: Path | str | TableLike, schema: Schema) -> tuple[OwnedTable, Rows]:
    """(the place of the table's ledger, which is that of all its rows; the rows that may be used). Raises
    UsageError where nothing can be kept, TableError."""
    key = person_key()
    rows = read_table(table, schema, key)
    return owned_table(rows.values, schema, table), rows.used(schema, key)


def owned_table(values: CompactValues, schema: Schema, table: Path | str | TableLike) -> OwnedTable:
    """The place of the table's ledger, by its stored values; UsageError where nothing can be kept."""
    owner = Owner.of_environment()
    try:
        return owner.table(values, schema, _name(table))
    except OSError as error:
        raise _unkept(owner, error) from error


def person_key() -> bytes:
    """This user's key of the digests of persons; UsageError where nothing can be kept."""
    owner = Owner.of_environment()
    try:
        return owner.person_key()
    except OSError as error:
        raise _unkept(owner, error) from error


def persons_of(column: str | None, rows: int | None) -> Persons | None:
    """What a draft protects by the names of its options; UsageError for one without the other, SchemaError."""
    if column is None and rows is None:
        return None
    if column is None or rows is None:
        raise UsageError(
            "found only one of unit and rows per person, expected both: the column that says whose a row is, and how "
            "many rows of one person are used at most"
        )
    return Persons(Unit.of(column, rows), person_key())


def _name(table: Path | str | TableLike) -> str:
    return Path(table).name if isinstance(table, Path | str) else "a table in memory"


def _unkept(owner: Owner, error: OSError) -> UsageError:
    return UsageError(
        f"privacy ledgers cannot be kept in {owner.folder} ({error.strerror}): name a folder of yours by the variable "
        f"{ENVIRONMENT}"
    )
