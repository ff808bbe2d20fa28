"""`tessera evaluate` on the terminal: read, check, judge, show, and save as HTML or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tessera.errors import UsageError
from tessera.local.evaluation_figures import figure_rows
from tessera.terminal import err, out, say

if TYPE_CHECKING:
    from generator.evaluation.cells import CheckedTable
    from generator.evaluation.report import EvaluationReport, Tell
    from provenance.table.schema import Schema

WORST = 8


def run_evaluation(
    real: Path, synthetic: Path, schema_file: Path, *, test: Path | None, to: Path | None, seed: int
) -> None:
    """Judge the rows of `synthetic`; `to` gets a page (.html) or the figures (.json)."""
    if to is not None and (to.suffix not in (".html", ".json") or to.is_dir() or not to.parent.is_dir()):
        raise UsageError(
            f"{to} cannot be written: expected a name ending in .html or .json in a folder that exists"
        )
    from generator.evaluation.report import evaluate
    from provenance.table.schema import Schema

    schema = Schema.load(schema_file)
    with _shown() as tell:
        tables = [None if path is None else _read(path, schema) for path in (real, synthetic, test)]
        assert tables[0] is not None
        assert tables[1] is not None
        report = evaluate(tables[0], tables[1], schema, tables[2], seed=seed, tell=tell)
    for table in closing_tables(report):
        out.print(table)
    for note in report.notes:
        say(note)
    if to is not None:
        _save(to, report, tables[0], tables[1], schema)
        say(f"{to} written")


def closing_tables(report: EvaluationReport) -> list[Table]:
    """What the terminal shows: the figures, what is outside the schema, the worst columns and pairs."""
    tables = [_figures(report)]
    if report.outside or report.broken:
        tables.append(_outside(report))
    columns = _table("Columns, the furthest first", "column", "kind", "TVD", "real", "missing", "real")
    for each in report.columns[:WORST]:
        missing = (f"{each.missing_synthetic:.1%}", f"{each.missing_real:.1%}")
        columns.add_row(each.name, each.kind, f"{each.distance:.4f}", f"{each.floor:.4f}", *missing)
    tables.append(columns)
    if report.pairs:
        pairs = _table("Pairs, the furthest first", "columns", "", "TVD", "real")
        for pair in report.pairs[:WORST]:
            pairs.add_row(pair.first, pair.second, f"{pair.distance:.4f}", f"{pair.floor:.4f}")
        tables.append(pairs)
    return tables


def _figures(report: EvaluationReport) -> Table:
    table = _table(f"Synthetic rows of {report.schema}", "figure", "synthetic", "real")
    for row in figure_rows(report):
        table.add_row(*row)
    return table


def _outside(report: EvaluationReport) -> Table:
    table = _table("Outside the schema", "column", "cells or rows", "first", "expected")
    for bad in report.outside:
        table.add_row(
            bad.column, f"{bad.cells:,}", repr(bad.example)[:40], bad.expected.removeprefix("expected ")
        )
    for rule in report.broken:
        table.add_row(
            ", ".join(rule.columns), f"{rule.rows:,} rows", "", "the constraint between these columns"
        )
    return table


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        number = name in ("TVD", "real", "missing", "synthetic", "cells or rows")
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table


def _read(path: Path, schema: Schema) -> CheckedTable:
    from generator.evaluation.cells import check_cells
    from tessera.local.table_file import table_chunks

    cells: dict[str, list[str]] = {}
    for chunk in table_chunks(path):
        for name, texts in chunk.items():
            cells.setdefault(name, []).extend(texts)
    return check_cells(cells, schema, str(path))


def _save(
    to: Path, report: EvaluationReport, real: CheckedTable, synthetic: CheckedTable, schema: Schema
) -> None:
    if to.suffix == ".json":
        text = json.dumps(asdict(report), indent=1) + "\n"
    else:
        from tessera.local.evaluation_page import evaluation_page

        text = evaluation_page(report, real, synthetic, schema)
    part = to.with_name(to.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(to)


@contextmanager
def _shown() -> Iterator[Tell]:
    """A bar on a terminal; silence elsewhere."""
    if not err.is_terminal:
        yield lambda _what, _share: None
        return
    with Progress(
        TextColumn("{task.description:22}"), BarColumn(), TimeElapsedColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
