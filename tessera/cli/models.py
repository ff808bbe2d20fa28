"""`tessera fit` and `tessera sample`: one machine, no market."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.condition_help import BALANCE_HELP, COUNT_HELP, WHERE_HELP


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
        typer.Option(
            help="family of the generator; default: autoregressive; with epsilon marginal, unless one table has "
            "rows x epsilon >= 50,000"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="fixes initialisation only: noise and batches under privacy are never repeatable"
        ),
    ] = None,
    conditionable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="a column that rows will be asked for by (`tessera sample --where`): drawn early, so that such "
            "rows cost nothing more; repeatable; the target is drawn early anyway",
        ),
    ] = None,
    declared_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="public figure for the number of rows under --epsilon; left out: the exact number is public",
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
    from generator.fitting.settings import FitSettings
    from tessera.local.fitting import run_fit

    settings = FitSettings(
        family=None if family is None else family.value,
        epsilon=epsilon,
        delta=delta,
        contributors=contributors,
        seconds=seconds,
        threads=threads,
        seed=seed,
        schema_is_public=schema_is_public,
        conditionable=tuple(conditionable or ()),
        declared_rows=declared_rows,
    )
    run_fit(table, schema, to, settings)


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="a model that `tessera fit` wrote")],
    seed: Annotated[
        str,
        typer.Option(
            metavar="HEX",
            help="up to 64 hex digits (32 bytes), zeros filled in on the left",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="CSV, or Parquet or Arrow when the name ends in .parquet or .arrow"
        ),
    ],
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="how many rows; with --count or --conditions, theirs if left out"),
    ] = None,
    where: Annotated[list[str] | None, typer.Option(metavar="CONDITION", help=WHERE_HELP)] = None,
    balance: Annotated[str | None, typer.Option(metavar="COLUMN", help=BALANCE_HELP)] = None,
    count: Annotated[list[str] | None, typer.Option(metavar="CONDITION:N", help=COUNT_HELP)] = None,
    conditions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a conditions document instead of these three")
    ] = None,
    conditions_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="where the conditions document goes, for whoever makes the rows again"
        ),
    ] = None,
    first_row: Annotated[
        int, typer.Option(min=0, help="number of the first row: any range can be had by itself")
    ] = 0,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="rows computed at a time; never changes a row")
    ] = 4096,
    threads: Annotated[int, typer.Option(min=1, help="threads a process; never changes a row")] = 1,
    processes: Annotated[
        int, typer.Option(min=1, help="worker processes for long tables; never changes a byte of the file")
    ] = 1,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="compute with torch on cpu or cuda (checked on cpu only): the same rows. "
            "Left out: numpy, quicker on a CPU",
        ),
    ] = None,
) -> None:
    """Write rows of a model: the same model, seed, conditions and row numbers give the same bytes on every machine.

    A long table is made in parts, in a folder beside FILE: if the command is stopped, however hard, the same
    command goes on and the file is the same. Memory stays flat however many rows are asked for.
    """
    from tessera.local.conditions import ConditionOptions
    from tessera.local.sampling import SampleRequest, parse_seed, run_sample

    request = SampleRequest(
        model=model,
        rows=rows,
        seed=parse_seed(seed),
        first_row=first_row,
        asked=ConditionOptions(tuple(where or ()), balance, tuple(count or ()), conditions),
        batch_rows=batch_rows,
        threads=threads,
        processes=processes,
        device=device,
    )
    run_sample(request, to, conditions_out)
