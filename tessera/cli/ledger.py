"""`tessera ledger`: what was spent on the tables of this user, by which order or fit, and what is left."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import examples
from tessera.extras import require
from tessera.terminal import remark, say

if TYPE_CHECKING:
    from generator.privacy.owner import OwnedTable

EXAMPLES = examples("ledger", "ledger table.csv --schema schema.json")


def add_to(app: typer.Typer) -> None:
    app.command("ledger", rich_help_panel="Your own data", epilog=EXAMPLES)(ledger)


def ledger(
    table: Annotated[
        Path | None,
        typer.Argument(metavar="TABLE", help="one table, CSV or Parquet; left out: all known ones"),
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the table's schema; needed with TABLE")
    ] = None,
) -> None:
    """Show the privacy ledgers of your tables: what was charged by which order or fit, and what is left.

    A table is known again by its rows, whatever its file is called. Nothing is sent, and nothing leaves this machine.
    """
    require("generator", "`tessera ledger`")
    from generator.privacy.ledger_lines import budget_lines
    from generator.privacy.owner import Owner
    from provenance.table.schema import Schema
    from tessera.local.owned import owned_table
    from tessera.local.table_file import read_table

    if table is None:
        owner = Owner.of_environment()
        for each in owner.tables():
            say(_line(each))
        if not owner.tables():
            say(f"no table is known in {owner.folder}")
        return
    if schema is None:
        raise typer.BadParameter("--schema is needed to read TABLE", param_hint="--schema")
    known = Schema.load(schema)
    found = owned_table(read_table(table, known).values, known, table)
    say(f"ledger      {found.folder}")
    say(f"seen as     {', '.join(found.names())}")
    for line in budget_lines(found.ledger()):
        say(line)
    for near in found.near:
        remark(near.warning)


def _line(table: OwnedTable) -> str:
    book = table.ledger()
    charged, cap = book.charged_epsilon(), book.cap.epsilon
    spent = "unbounded" if math.isinf(charged) else f"{charged:.4g}"
    of = "no cap" if cap is None else f"cap {cap:g}"
    return f"{table.fingerprint[:12]}  epsilon {spent} charged, {of}  {', '.join(table.names())}"
