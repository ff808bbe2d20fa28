"""The one privacy ledger of a table that this user has: found again whatever file the table is read from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from generator.privacy.owner import ENVIRONMENT, OwnedTable, Owner
from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.table.python_cells import TableLike
    from provenance.table.schema import Schema
    from provenance.table.table_csv import CompactValues


def owned_table(values: CompactValues, schema: Schema, table: Path | str | TableLike) -> OwnedTable:
    """The place of the table's ledger, by its stored values; UsageError where nothing can be kept."""
    name = Path(table).name if isinstance(table, Path | str) else "a table in memory"
    owner = Owner.of_environment()
    try:
        return owner.table(values, schema, name)
    except OSError as error:
        raise UsageError(
            f"the privacy ledger of {name} cannot be kept in {owner.folder} ({error.strerror}): name a folder of yours "
            f"by the variable {ENVIRONMENT}"
        ) from error
