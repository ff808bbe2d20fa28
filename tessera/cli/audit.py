"""`tessera audit`: what a model gives away about its training table, on the owner's machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import JsonOption, OverwriteOption, TableFile, ThreadsOption, examples, out_file
from tessera.errors import EpsilonRefutedError
from tessera.extras import require
from tessera.terminal import out, progress_bar, remark, say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from generator.fitting.audit import AuditReport

EXAMPLES = examples(
    "audit model.tsm table.csv --out audit.html",
    "audit model.tsm table.csv --reference held_out.csv --canaries 400 --json",
)


def add_to(app: typer.Typer) -> None:
    app.command("audit", rich_help_panel="Your own data", epilog=EXAMPLES)(audit)


def audit(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="a model that `tessera fit` wrote")],
    table: TableFile,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="other rows of the same population, which did not train"),
    ] = None,
    canaries: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="random rows to plant in one more fit, 0 for none; left out: 200 at most"
        ),
    ] = None,
    to: Annotated[Path | None, out_file("save a page (.html) or all figures (.json), mode 600")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of all that is drawn but noise")] = 0,
    threads: ThreadsOption = 1,
    as_json: JsonOption = False,
    _overwrite: OverwriteOption = False,
) -> None:
    """Attack a model with the table that it was fitted to: who trained, a lower bound on epsilon, copies.

    Nothing leaves this machine, and no figure is private: do not publish them. Exit status 6: planted rows show that
    more epsilon was spent than the model states.
    """
    require("generator", "`tessera audit`")
    from tessera.local import auditing
    from tessera.local.audit_page import verdict
    from tessera.local.evaluating import checked_target

    if to is not None:
        checked_target(to)
    with progress_bar() as bar:
        bar("reading", 0.0)
        found = auditing.audit(
            model, table, reference=reference, canaries=canaries, seed=seed, threads=threads, progress=bar
        )
    if to is not None:
        found.save(to)
    for near in found.table.near:
        remark(near.warning)
    if as_json:
        say_json(found.document())
    else:
        out.print(_figures(found.report))
        say(f"Who did not train: {found.report.membership.known_by}.")
        for note in found.report.notes:
            say(note)
        if to is not None:
            say(f"{to} written")
    if found.report.refuted:
        raise EpsilonRefutedError(verdict(found.report))
    if not as_json:
        say(verdict(found.report))


def _figures(report: AuditReport) -> Table:
    from rich.table import Table

    from tessera.local.audit_page import audit_rows

    table = Table("figure", "found", "beside it", title=f"Model of {report.schema}", title_justify="left")
    for row in audit_rows(report):
        table.add_row(*row)
    return table
