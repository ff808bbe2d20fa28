"""`tessera verify`: the auditor's program."""

from __future__ import annotations

import typer

PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_to(app: typer.Typer) -> None:
    app.command("verify", context_settings=PASS_THROUGH, add_help_option=False)(verify)


def verify(context: typer.Context) -> None:
    """Check a data set from chain and files alone: `tessera verify --dataset ID --rpc URL --store DIR`."""
    from tessera.cli.verify import main

    raise typer.Exit(main(context.args))
