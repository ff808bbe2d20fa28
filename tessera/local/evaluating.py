"""`tessera.evaluate`: how good synthetic rows are, for somebody who has the real table, and the saved report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path

from generator.evaluation.cells import CheckedTable, check_cells, plain_schema
from generator.evaluation.report import EvaluationReport, Tell
from generator.evaluation.report import evaluate as judge_tables
from generator.privacy.owner import OwnedTable
from provenance.errors import TableError
from provenance.files import READABLE, write_whole
from provenance.table.codec import TableEncoder
from provenance.table.persons import UnitColumn, kept_rows
from provenance.table.python_cells import TableLike, cell_texts
from provenance.table.schema import Schema
from tessera.errors import UsageError
from tessera.local.owned import owned_table, person_key
from tessera.local.table_file import table_chunks


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """The figures (`report`, or as plain values `document()`), and the checked rows that they were read off."""

    report: EvaluationReport
    schema: Schema
    real: CheckedTable
    synthetic: CheckedTable
    table: OwnedTable
    """The real table's place at its owner, where the ledger tells what was spent."""

    def __repr__(self) -> str:
        auc = "" if self.report.utility is None else f", AUC {self.report.utility.synthetic_auc:.4f}"
        rows = f"{self.report.rows_synthetic:,} rows"
        return f"Evaluation({self.report.schema!r}, {rows}, TVD2 {self.report.tvd2:.4f}{auc})"

    def document(self) -> dict[str, object]:
        """All figures as JSON has them."""
        return asdict(self.report)

    def save(self, path: Path | str) -> None:
        """A page (.html) that stands alone, or all figures (.json). Raises UsageError for another name."""
        to = checked_target(path)
        if to.suffix == ".json":
            text = json.dumps(self.document(), indent=1) + "\n"
        else:
            from tessera.local.evaluation_page import evaluation_page

            text = evaluation_page(self.report, self.real, self.synthetic, self.schema)
        write_whole(to, text.encode(), mode=READABLE)


def evaluate(
    real: Path | str | TableLike,
    synthetic: Path | str | TableLike,
    schema: Schema | Path | str,
    *,
    test: Path | str | TableLike | None = None,
    seed: int = 0,
    progress: Tell | None = None,
) -> Evaluation:
    """Judge synthetic rows against the real rows that the generator was fitted to: use for
    prediction, distances, copies, a membership attack. The figures are read off real rows without
    noise: they are not private. The real table's privacy ledger notes that they were read.

    real, synthetic, test: a CSV or Parquet file, or columns by name (a dict of lists, a data frame).
    schema: of all of them, or its file; where it names a unit, real and test rows have its column, and so many rows
    of each person are looked at as a fit uses, the same ones. test: real rows that did not train; without them
    figures flatter and the attack is left out. seed: of the rows that are drawn for comparison. progress: called with
    (step, share of all work). Raises SchemaError, TableError, or EvaluationError for another schema's
    columns and too few rows.
    """
    known = schema if isinstance(schema, Schema) else Schema.load(schema)
    made = check_cells(_cells(synthetic), known, _source(synthetic, "synthetic"))
    held_out = None if test is None else _used(_cells(test), known, _source(test, "test"))
    tell = progress or (lambda _step, _share: None)
    cells, source = _cells(real), _source(real, "real")
    whole = check_cells(cells, known, source)
    owned = owned_table(whole.values, plain_schema(known), real)
    trained = whole if known.unit is None else _used(cells, known, source)
    owned.ledger().note("evaluation, exact figures")
    report = judge_tables(trained, made, known, held_out, seed=seed, tell=tell)
    return Evaluation(report, known, trained, made, owned)


def checked_target(path: Path | str) -> Path:
    """Where a report goes. Raises UsageError for a name that cannot be written."""
    to = Path(path)
    if to.suffix not in (".html", ".json") or to.is_dir() or not to.parent.is_dir():
        raise UsageError(
            f"{to} cannot be written: expected a name ending in .html or .json in a folder that exists"
        )
    return to


def _cells(table: Path | str | TableLike) -> dict[str, list[str]]:
    if not isinstance(table, Path | str):
        return cell_texts(table)
    cells: dict[str, list[str]] = {}
    for chunk in table_chunks(table):
        _extend(cells, chunk)
    return cells


def _source(table: Path | str | TableLike, what: str) -> str:
    return str(table) if isinstance(table, Path | str) else f"the {what} rows"


def _used(cells: Mapping[str, Sequence[str]], schema: Schema, source: str) -> CheckedTable:
    """The rows that a fit uses: of a person with more of them as many as the schema's unit says."""
    if schema.unit is None:
        return check_cells(cells, schema, source)
    key = person_key()
    column = UnitColumn(schema.unit, key)
    try:
        column.see(cells)
        values = TableEncoder(schema, "clip").encode(cells)
    except TableError as error:
        raise TableError(f"{source}: {error}") from error
    kept = kept_rows(values, column.digests, schema.unit.rows, key)
    used = {name: list(compress(own, kept)) for name, own in cells.items()}
    return check_cells(used, schema, source)


def _extend(cells: dict[str, list[str]], chunk: Mapping[str, Sequence[str]]) -> None:
    for name, texts in chunk.items():
        cells.setdefault(name, []).extend(texts)
