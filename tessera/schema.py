"""`tessera.schema`: what the columns of a table may hold, inferred from its rows or read from a document."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from provenance.table.python_cells import TableLike
from provenance.table.schema import Schema
from tessera.extras import needing
from tessera.local.table_file import inferred, privately_inferred

__all__ = ["Schema", "infer", "read"]


def infer(
    table: Path | str | TableLike,
    name: str | None = None,
    *,
    target: str | None = None,
    without: Collection[str] | str = (),
    epsilon: float | None = None,
    delta: float = 1e-5,
    least_rows: int = 2,
    keep: Collection[str] | str = (),
    unit: str | None = None,
    rows_per_person: int | None = None,
) -> Schema:
    """The schema that a table fits: a CSV or Parquet file, or columns by name (a dict of lists,
    a data frame).

    name: None for the file's. target: the column that a buyer would predict; None for the last one if it has few
    categories. without: columns to leave out.

    unit, rows_per_person: the column that says whose a row is, and how many rows of one person are used at most, for
    tables in which a person has several: privacy then protects persons. The column is left out of the schema.

    epsilon, delta: release the schema under differential privacy. What was spent stands in
    it (`Schema.release`), and a fit of the same table is charged both together. Columns of which nothing stands out of
    the noise are left out.

    Without epsilon every field that was read off the rows is marked as `inferred` (`Schema.inferred_fields`): look at
    each before the schema leaves the machine. least_rows: values that fewer rows hold do not appear. keep: columns of
    which every value may.

    Raises TableError, SchemaError or PrivacyError.
    """
    dropped = [without] if isinstance(without, str) else without
    persons = None
    if unit is not None or rows_per_person is not None:
        with needing("generator", "a schema with a unit"):
            from tessera.local.owned import persons_of
        persons = persons_of(unit, rows_per_person)
    if epsilon is not None:
        return privately_inferred(table, name, target, dropped, epsilon, delta, persons).schema
    kept = [keep] if isinstance(keep, str) else keep
    return inferred(table, name, target, dropped, least_rows=least_rows, keep=kept, persons=persons)


def read(path: Path | str) -> Schema:
    """A schema document. Raises SchemaError, or DocumentError for a file that is none."""
    return Schema.load(path)
