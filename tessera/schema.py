"""`tessera.schema`: what the columns of a table may hold, inferred from its rows or read from a document."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from provenance.table.python_cells import TableLike
from provenance.table.schema import Schema
from tessera.local.table_file import inferred

__all__ = ["Schema", "infer", "read"]


def infer(
    table: Path | str | TableLike,
    name: str | None = None,
    *,
    target: str | None = None,
    without: Collection[str] | str = (),
) -> Schema:
    """The schema that a table fits: a CSV or Parquet file, or columns by name (a dict of lists,
    a data frame).

    Every field that was read off the rows is marked as `inferred` (`Schema.inferred_fields`): look at each
    before the schema leaves the machine. name: None for the file's. target: the column that a buyer would
    predict; None for the last one if it has few categories. without: columns to leave out. Raises
    TableError or SchemaError.
    """
    return inferred(table, name, target, [without] if isinstance(without, str) else without)


def read(path: Path | str) -> Schema:
    """A schema document. Raises SchemaError, or DocumentError for a file that is none."""
    return Schema.load(path)
