"""`tessera fit`, `tessera sample` and `tessera evaluate`: one machine, no market."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from generator.families.settings import FAMILIES, settings_from_texts, settings_of
from generator.fitting.settings import FIT_OPTIONS, FitSettings
from provenance.units import E12, MICRO, to_float
from tessera.cli.options import (
    BalanceOption,
    ConditionsFile,
    CountOption,
    JsonOption,
    OverwriteOption,
    SchemaFile,
    TableFile,
    WhereOption,
    examples,
    out_file,
)
from tessera.extras import require
from tessera.terminal import out, progress_bar, remark, say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from generator.evaluation.report import EvaluationReport
    from generator.fitting.fit import FitProgress
    from generator.privacy.owner import OwnedTable
    from tessera.local.fitting import FitResult

WORST_SHOWN = 8
FIT_EXAMPLES = examples(
    "fit table.csv --schema schema.json --out model.tsm",
    "fit table.csv --schema schema.json --out model.tsm --epsilon 3",
)
SAMPLE_EXAMPLES = examples(
    "sample model.tsm --rows 10000 --seed 42 --out synthetic.csv",
    "sample model.tsm --seed 42 --count 'income=>50K:500' --out rich.parquet",
)
EVALUATE_EXAMPLES = examples(
    "evaluate table.csv synthetic.csv --schema schema.json --test held_out.csv --out report.html"
)


class FamilyName(StrEnum):
    """The families of generators that can be asked for by name."""

    MARGINAL = "marginal"
    FEDGAN = "fedgan"
    AUTOREGRESSIVE = "autoregressive"


def _option(name: str, *declarations: str, metavar: str | None = None) -> Any:
    """An option of `tessera fit`, with the bounds and the help text of a fit's."""
    option = FIT_OPTIONS[name]
    return typer.Option(
        *declarations, min=option.minimum, max=option.maximum, metavar=metavar, help=option.help
    )


def _list_settings(is_asked: bool) -> None:
    """What `--set` takes, family by family."""
    if not is_asked:
        return
    from rich.table import Table

    for family in FAMILIES:
        table = Table("name", "takes", "default", "meaning", title=f"family {family}", title_justify="left")
        for setting in settings_of(family):
            table.add_row(setting.name, setting.expected, str(setting.default or ""), setting.help)
        out.print(table)
    raise typer.Exit


def add_to(app: typer.Typer) -> None:
    app.command("fit", rich_help_panel="Your own data", epilog=FIT_EXAMPLES)(fit)
    app.command("sample", rich_help_panel="Your own data", epilog=SAMPLE_EXAMPLES)(sample)
    app.command("evaluate", rich_help_panel="Your own data", epilog=EVALUATE_EXAMPLES)(evaluate)


def fit(
    table: TableFile,
    schema: SchemaFile,
    to: Annotated[Path, out_file("where the model goes (.tsm)")],
    seconds: Annotated[float, _option("seconds")] = 60.0,
    threads: Annotated[int, _option("threads")] = 1,
    epsilon: Annotated[float | None, _option("epsilon")] = None,
    delta: Annotated[float | None, _option("delta")] = None,
    weak_privacy: Annotated[bool, _option("weak_privacy", "--weak-privacy")] = False,
    contributors: Annotated[int, _option("contributors")] = 1,
    family: Annotated[FamilyName | None, _option("family")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    conditionable: Annotated[list[str] | None, _option("conditionable", metavar="COLUMN")] = None,
    declared_rows: Annotated[int | None, _option("declared_rows", metavar="N")] = None,
    least_rows: Annotated[int, _option("least_rows", metavar="K")] = 10,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="a setting of the family, such as steps=500; repeatable"
        ),
    ] = None,
    _: Annotated[
        bool,
        typer.Option(
            "--list-settings", is_eager=True, callback=_list_settings, help="show every family's settings"
        ),
    ] = False,
    _overwrite: OverwriteOption = False,
) -> None:
    """Fit a generator to a table and write it as exact integers.

    Without --epsilon the last line says how well an attacker tells who trained; it is printed and written nowhere.
    """
    require("generator", "`tessera fit`")
    from tessera.local.audit_page import attack_words
    from tessera.local.fitting import fit_file

    asked = FitSettings(
        family=None if family is None else family.value,
        epsilon=epsilon,
        delta=delta,
        weak_privacy=weak_privacy,
        contributors=contributors,
        seconds=seconds,
        threads=threads,
        seed=seed,
        least_rows=least_rows,
        conditionable=tuple(conditionable or ()),
        declared_rows=declared_rows,
        settings=settings_from_texts(settings or (), family),
    )
    with progress_bar() as bar:

        def show(seen: FitProgress) -> None:
            figures = [f"{name} {value:.3g}" for name, value in seen.losses.items()]
            figures += [] if seen.epsilon is None else [f"epsilon {seen.epsilon:.3g}"]
            bar(seen.stage, seen.fraction, "  ".join(figures))

        bar("reading", 0.0)
        result = fit_file(table, schema, to, asked, show)
    out.print(_fit_table(result, to))
    for near in result.table.near:
        remark(near.warning)
    if result.attack is not None:
        of = (
            f"{result.aside_rows:,} rows set aside"
            if result.aside_rows
            else "a second fit of four rows in five"
        )
        say(
            f"without epsilon: {attack_words(result.attack)}; {of}, {result.attack_cpu_seconds:.1f} CPU-seconds"
        )


def _fit_table(result: FitResult, to: Path) -> Table:
    """What was fitted and what it took."""
    from rich.table import Table

    from provenance.exact.model import size_class
    from provenance.table.origins import Origins

    container = result.container
    table = Table(title=str(to), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    spent, delta = container.privacy.get("epsilonMicro"), container.privacy.get("deltaE12")
    privacy = "none"
    if isinstance(spent, int) and isinstance(delta, int) and delta:
        privacy = f"epsilon {to_float(spent, MICRO):.4g}, delta {to_float(delta, E12):g}"
    meaning, unit = container.privacy.get("meaning"), container.schema.unit
    schema_from = Origins.of(container.schema).lines()
    provable = all(size_class(part.model_bytes) == "fraud-provable" for part in container.parts)
    notes = container.fit.get("notes")
    for name, value in (
        ("family", container.family),
        ("parts", f"{len(container.parts)}, {container.model_bytes:,} bytes of models"),
        ("a row on chain", "small enough to be recomputed in one transaction" if provable
         else "too large for one transaction; rows are recomputed off chain only"),
        (f"privacy of each {'row' if unit is None else 'person'}", privacy),
        *(() if unit is None else (("unit of privacy", f"{unit.words}; further ones are not used"),)),
        *(() if meaning is None else (("which means", f"{container.privacy['neighbours']}: {meaning}"),)),
        ("by all of the table", _charged(result.table)),
        *(("schema", line) for line in schema_from),
        ("seconds", f"{result.seconds:.1f}"),
        ("CPU-seconds", f"{result.cpu_seconds / len(container.parts):.1f} a contributor, reading included"),
        ("memory", "not measured here" if result.peak_bytes is None else f"{result.peak_bytes / 1e6:.0f} MB at most"),
        ("SHA-256", str(container.digest)),
        *(("note", str(note)) for note in (notes if isinstance(notes, list) else ())),
    ):  # fmt: skip
        table.add_row(name, value)
    return table


def _charged(table: OwnedTable) -> str:
    """What the table's ledger holds, in words."""
    charged, ledger = table.ledger().charged_epsilon(), f"ledger {table.fingerprint[:12]} (`tessera ledger`)"
    return f"epsilon {charged:.4g} charged, {ledger}" if charged else f"nothing charged, {ledger}"


def sample(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="a model that `tessera fit` wrote")],
    seed: Annotated[
        str, typer.Option(metavar="NUMBER", help="decimal, or hexadecimal after 0x, up to 32 bytes")
    ],
    to: Annotated[Path, out_file("CSV, or Parquet or Arrow when the name ends in .parquet or .arrow")],
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="how many rows; with --count or --conditions, theirs if left out"),
    ] = None,
    where: WhereOption = None,
    balance: BalanceOption = None,
    count: CountOption = None,
    conditions: ConditionsFile = None,
    conditions_out: Annotated[
        Path | None,
        out_file("where the conditions document goes, for whoever makes the rows again", "--conditions-out"),
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
    _overwrite: OverwriteOption = False,
) -> None:
    """Write rows of a model: the same model, seed, conditions and row numbers give the same bytes.

    On every machine. A long table is made in parts, in a folder beside FILE: if the command is stopped,
    however hard, the same command goes on and the file is the same. Memory stays flat however many rows are asked for.
    """
    from tessera.local.conditions import ConditionOptions
    from tessera.local.sampling import SampleRequest, parse_seed, sample_file

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
    with progress_bar() as bar:
        made = sample_file(request, to, conditions_out, lambda done, parts: bar("sampling", done / parts))
    say(f"{to}: {made.rows:,} rows ({made.first_row} to {made.first_row + made.rows - 1}) of {model}")
    if made.met is not None:
        for line in made.met.segments:
            say(f"  {line}")
        of_first = "" if made.met.counted == made.rows else f" (of the first {made.met.counted:,})"
        say(f"  {made.met.attempts:.3g} attempts a row{of_first}; conditions {made.met.conditions.digest}")


def evaluate(
    real: Annotated[
        Path,
        typer.Argument(metavar="REAL", help="the real rows that the generator was fitted to, CSV or Parquet"),
    ],
    synthetic: Annotated[Path, typer.Argument(metavar="SYNTHETIC", help="the rows to judge, CSV or Parquet")],
    schema: SchemaFile,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="real rows that did not train; without it figures flatter"),
    ] = None,
    to: Annotated[Path | None, out_file("save a page (.html) or all figures (.json)")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the rows that are drawn for comparison")] = 0,
    as_json: JsonOption = False,
    _overwrite: OverwriteOption = False,
) -> None:
    """Judge synthetic rows against real ones: use for prediction, distances, copies, a membership attack.

    The figures are read off real rows without noise: they are not private.
    """
    require("evaluate", "`tessera evaluate`")
    from tessera.local import evaluating

    if to is not None:
        evaluating.checked_target(to)
    with progress_bar() as bar:
        bar("reading", 0.0)
        found = evaluating.evaluate(real, synthetic, schema, test=test, seed=seed, progress=bar)
    if to is not None:
        found.save(to)
    remark(
        f"real table: {_charged(found.table)}; these figures are exact, and none of that epsilon covers them"
    )
    for near in found.table.near:
        remark(near.warning)
    if as_json:
        say_json(found.document())
        return
    for table in _evaluation_tables(found.report):
        out.print(table)
    for note in found.report.notes:
        say(note)
    if to is not None:
        say(f"{to} written")


def _evaluation_tables(report: EvaluationReport) -> list[Table]:
    """The figures, what is outside the schema, the worst columns and pairs."""
    from tessera.local.evaluation_page import figure_rows

    figures = _table(f"Synthetic rows of {report.schema}", "figure", "synthetic", "real")
    for row in figure_rows(report):
        figures.add_row(*row)
    outside = _table("Outside the schema", "column", "cells or rows", "first", "expected")
    for bad in report.outside:
        expected = bad.expected.removeprefix("expected ")
        outside.add_row(bad.column, f"{bad.cells:,}", repr(bad.example)[:40], expected)
    for rule in report.broken:
        expected = "the constraint between these columns"
        outside.add_row(", ".join(rule.columns), f"{rule.rows:,} rows", "", expected)
    columns = _table("Columns, the furthest first", "column", "kind", "TVD", "real", "missing", "real")
    for each in report.columns[:WORST_SHOWN]:
        missing = (f"{each.missing_synthetic:.1%}", f"{each.missing_real:.1%}")
        columns.add_row(each.name, each.kind, f"{each.distance:.4f}", f"{each.floor:.4f}", *missing)
    pairs = _table("Pairs, the furthest first", "columns", "", "TVD", "real")
    for pair in report.pairs[:WORST_SHOWN]:
        pairs.add_row(pair.first, pair.second, f"{pair.distance:.4f}", f"{pair.floor:.4f}")
    return [figures, *(table for table in (outside, columns, pairs) if table.row_count)]


def _table(title: str, *names: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in names:
        number = name in ("TVD", "real", "missing", "synthetic", "cells or rows")
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    return table
