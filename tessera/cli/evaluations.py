"""`tessera evaluate`: how good synthetic rows are, for somebody who has the real table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    real: Annotated[
        Path,
        typer.Argument(metavar="REAL", help="the real rows that the generator was fitted to, CSV or Parquet"),
    ],
    synthetic: Annotated[Path, typer.Argument(metavar="SYNTHETIC", help="the rows to judge, CSV or Parquet")],
    schema: Annotated[Path, typer.Option(metavar="FILE", help="schema of both")],
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="real rows that did not train; without it figures flatter"),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="save a page (.html) or all figures (.json)"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the rows that are drawn for comparison")] = 0,
) -> None:
    """Judge synthetic rows against real ones: use for prediction, distances, copies, a membership attack. The
    figures are read off real rows without noise: they are not private."""
    from tessera.local.evaluating import run_evaluation

    run_evaluation(real, synthetic, schema, test=test, to=to, seed=seed)
