"""The figures of an evaluation in words, for the terminal and the page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a terminal that only asks for help need not wait for numpy
    from generator.evaluation.report import EvaluationReport


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
