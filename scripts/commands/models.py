"""`tessera fit` and `tessera sample`: one machine, no market."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FamilyName(StrEnum):
    """The families of generators that can be asked for by name."""

    FEDGAN = "fedgan"
    MARGINAL = "marginal"
    AUTOREGRESSIVE = "autoregressive"


def add_to(app: typer.Typer) -> None:
    app.command("fit")(fit)
    app.command("sample")(sample)


def fit(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV with a header line, plain or .gz, or .parquet")
    ],
    schema: Annotated[
        Path, typer.Option(metavar="FILE", help="schema of the table (`tessera schema infer`)")
    ],
    to: Annotated[Path, typer.Option("--out", metavar="FILE", help="where the model goes (.tsm)")],
    seconds: Annotated[float, typer.Option(min=1, help="wall time at most")] = 60.0,
    threads: Annotated[int, typer.Option(min=1, help="threads of the arithmetic")] = 1,
    epsilon: Annotated[
        float | None, typer.Option(min=1e-6, help="privacy of each contributor's rows; left out: none")
    ] = None,
    delta: Annotated[float, typer.Option(min=1e-12, max=0.5, help="delta beside epsilon")] = 1e-5,
    contributors: Annotated[
        int,
        typer.Option(min=1, help="deal the table into this many equal random parts and fit them together"),
    ] = 1,
    family: Annotated[
        FamilyName | None,
        typer.Option(help="family of the generator; default: autoregressive, with epsilon marginal"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="fixes initialisation only: noise and batches under privacy are never repeatable"
        ),
    ] = None,
    schema_is_public: Annotated[
        bool,
        typer.Option(
            "--schema-is-public", help="vouch that inferred fields of the schema are public knowledge"
        ),
    ] = False,
) -> None:
    """Fit a generator to a table and write it as exact integers, ready to be committed and recomputed."""
    from generator.fitting.fit import FitSettings
    from scripts.fitting import run_fit

    settings = FitSettings(
        family=None if family is None else family.value,
        epsilon=epsilon,
        delta=delta,
        contributors=contributors,
        seconds=seconds,
        threads=threads,
        seed=seed,
        schema_is_public=schema_is_public,
    )
    run_fit(table, schema, to, settings)


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="a model that `tessera fit` wrote")],
    rows: Annotated[int, typer.Option(min=1, help="how many rows")],
    seed: Annotated[
        str,
        typer.Option(
            metavar="HEX",
            help="up to 64 hex digits (32 bytes), zeros filled in on the left",
        ),
    ],
    to: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="CSV, or Parquet when the name ends in .parquet")
    ],
    first_row: Annotated[
        int, typer.Option(min=0, help="number of the first row: any range can be had by itself")
    ] = 0,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="rows computed at a time; never changes a row")
    ] = 4096,
    threads: Annotated[int, typer.Option(min=1, help="threads; never changes a row")] = 1,
) -> None:
    """Write rows of a model: the same model, seed and row numbers give the same bytes on every machine."""
    from scripts.sampling import run_sample

    run_sample(
        model,
        rows=rows,
        seed_hex=seed,
        out_file=to,
        first_row=first_row,
        batch_rows=batch_rows,
        threads=threads,
    )
