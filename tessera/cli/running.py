"""`tessera up | demo | node | coordinator`: the processes of the market."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.audits import PASS_THROUGH

DEFAULT_FOLDER = Path("run") / "up"


def add_to(app: typer.Typer) -> None:
    app.command("up")(up)
    app.command("demo")(demo)
    for name, command in (("node", node), ("coordinator", coordinator)):
        app.command(name, context_settings=PASS_THROUGH, add_help_option=False)(command)


def up(
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="everything lives here; the same folder continues")
    ] = DEFAULT_FOLDER,
    rpc_port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the chain; 0: any free one")
    ] = 8545,
    api_port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the REST interface; 0: any free one")
    ] = 8600,
    block_seconds: Annotated[int, typer.Option(min=1, help="time between blocks of a new chain")] = 1,
) -> None:
    """Start chain, backend, coordinator and three contributor nodes on this machine, and keep them running.

    Everything listens on loopback. Ctrl-C stops all of it; the next `tessera up` with the same folder goes
    on.
    """
    from tessera.devnet.up import run_up

    run_up(state, rpc_port=rpc_port, api_port=api_port, block_seconds=block_seconds)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="keep the run folder when everything held")] = False,
    rows: Annotated[int, typer.Option(min=100, help="rows to order")] = 10_000,
    epsilon: Annotated[float, typer.Option(min=0.1, max=3, help="privacy ceiling of the order")] = 3.0,
) -> None:
    """The main job from end to end: three private tables, one order, its money, its certificate, a caught
    forgery.
    """
    from tessera.devnet.demo.run import run_demo

    raise typer.Exit(run_demo(rows=rows, epsilon=epsilon, keep=keep))


def node(context: typer.Context) -> None:
    """Run a contributor node beside a private table (`tessera node --help`)."""
    from tessera.cli.node import main

    raise typer.Exit(main(context.args))


def coordinator(context: typer.Context) -> None:
    """Run the broker's coordination worker (`tessera coordinator --help`)."""
    from tessera.cli.coordinator import main

    raise typer.Exit(main(context.args))
