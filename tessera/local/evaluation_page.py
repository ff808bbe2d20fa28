"""What an evaluation says in words and as a page: one HTML file, no scripts, no links to
anywhere, drawings inside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from tessera.local.charts import bars, paired_bars

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generator.evaluation.cells import CheckedTable
    from generator.evaluation.report import EvaluationReport
    from provenance.table.column import Column
    from provenance.table.schema import Schema

SHOWN_COLUMNS = 40
SHOWN_PAIRS = 20
_BINS = 16
_STYLE = """body{font:15px/1.5 Helvetica,Arial,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}
td+td,th+th{text-align:right}.grid{display:flex;flex-wrap:wrap;gap:10px}.note{background:#fff6e0;padding:.6em 1em}
svg{max-width:100%;height:auto}"""


def figure_rows(report: EvaluationReport) -> list[tuple[str, str, str]]:
    """(what, synthetic rows, real rows) of every figure of the whole table."""
    rows: list[tuple[str, str, str]] = []
    if report.utility is not None:
        real = f"{report.utility.real_auc:.4f}"
        rows.append(
            ("AUC on real test rows, trained on these rows", f"{report.utility.synthetic_auc:.4f}", real)
        )
    rows += [
        ("mean distance of columns (TVD1, 0 is equal)", f"{report.tvd1:.4f}", f"{report.floor1:.4f}"),
        ("mean distance of pairs (TVD2)", f"{report.tvd2:.4f}", f"{report.floor2:.4f}"),
        ("density (rows where real rows are)", f"{report.space.density:.2f}", f"{report.real_space.density:.2f}"),
        ("coverage (real rows that are reached)", f"{report.space.coverage:.3f}", f"{report.real_space.coverage:.3f}"),
        ("rows that repeat a training row", f"{report.copies:.2%}", f"{report.test_copies:.2%}"),
    ]  # fmt: skip
    if report.attack is not None:
        guess = f"{report.attack.auc:.3f} ± {1.96 * report.attack.error:.3f}"
        rows.append(("membership attack (0.5 is a coin)", guess, ""))
    valid = report.rows_synthetic - report.left_out
    rows.append(
        ("rows that could be judged", f"{valid:,} of {report.rows_synthetic:,}", f"{report.rows_real:,}")
    )
    return rows


def evaluation_page(
    report: EvaluationReport, real: CheckedTable, synthetic: CheckedTable, schema: Schema
) -> str:
    """The page. Columns are drawn in the report's order, the furthest first."""
    from generator.evaluation.cells import plain_schema

    plain = plain_schema(schema)
    drawings = []
    for figures in report.columns[:SHOWN_COLUMNS]:
        place = plain.column_names.index(figures.name)
        column = plain.columns[place]
        sides = [table.values[:, place] for table in (real, synthetic)]
        labels, shares = column_shares(column, sides[0], sides[1])
        drawings.append(paired_bars(f"{figures.name}: {figures.distance:.3f}", labels, *shares))
    pairs = [(f"{p.first} × {p.second}", p.distance) for p in report.pairs[:SHOWN_PAIRS]]
    outside = [
        (bad.column, f"{bad.cells:,}", bad.example, bad.expected.removeprefix("expected "))
        for bad in report.outside
    ] + [(", ".join(rule.columns), f"{rule.rows:,} rows", "", "the constraint") for rule in report.broken]
    body = [
        f"<h1>Synthetic rows of {escape(report.schema)}</h1>",
        *(f"<p class='note'>{escape(note)}</p>" for note in report.notes),
        page_table(("", "synthetic", "real rows"), figure_rows(report)),
        f"<p>Real rows: the {'training' if report.own_test else 'other'} rows against the same {report.rows_test:,} "
        "test rows; what no generator can be expected to pass.</p>",
        "<h2>Outside the schema</h2>",
        page_table(("column", "cells", "first", "expected"), outside) if outside else "<p>Nothing.</p>",
        "<h2>Columns, the furthest first</h2>",
        "<p>Filled: real rows. Outline: synthetic rows. The number is the distance (total variation) to the test "
        "rows.</p>",
        f"<div class='grid'>{''.join(drawings)}</div>",
        page_table(
            ("column", "kind", "distance", "of real rows", "missing", "missing in real rows"),
            [
                (
                    c.name, c.kind, f"{c.distance:.4f}", f"{c.floor:.4f}",
                    f"{c.missing_synthetic:.2%}", f"{c.missing_real:.2%}",
                )
                for c in report.columns
            ],
        ),
    ]  # fmt: skip
    if pairs:
        body += ["<h2>Pairs, the furthest first</h2>", bars("Distance of joint tables", pairs, "")]
    return page(f"Synthetic rows of {report.schema}", body)


def page(title: str, body: Sequence[str]) -> str:
    """A page that stands alone."""
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def page_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def column_shares(
    column: Column, real: NDArray[np.int64], synthetic: NDArray[np.int64]
) -> tuple[list[str], tuple[list[float], list[float]]]:
    """Labels and shares of at most about _BINS bars: equal steps over the values that occur, or the most
    frequent categories; the last bar is the missing value where the column may miss.
    """
    if column.grid is None:
        counts = np.bincount(real, minlength=column.cardinality)
        kept = np.argsort(-counts[: column.grid_size], kind="stable")[:_BINS]
        kept = np.append(kept, column.missing_index) if column.missing_index is not None else kept
        labels = ["missing" if k == column.missing_index else column.categories[k] for k in kept.tolist()]
        shares = [[float((side == k).mean()) for k in kept.tolist()] for side in (real, synthetic)]
        return labels, (shares[0], shares[1])
    present = np.concatenate([side[side < column.grid_size] for side in (real, synthetic)])
    low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
    edges = np.unique(np.linspace(low, high + 1, _BINS + 1).astype(np.int64))
    shares = [
        [float(n) / len(side) for n in np.histogram(side[side < column.grid_size], edges)[0]]
        for side in (real, synthetic)
    ]
    labels = [column.grid.text(int(edge)) for edge in edges[:-1]]
    if labels:
        labels[-1] = column.grid.text(high)
    if column.missing_index is not None:
        labels.append("missing")
        for side, share in zip((real, synthetic), shares, strict=True):
            share.append(float((side == column.missing_index).mean()))
    return labels, (shares[0], shares[1])
