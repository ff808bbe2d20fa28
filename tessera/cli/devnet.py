"""`tessera up` and `tessera demo`: a whole market on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import examples
from tessera.errors import UsageError
from tessera.extras import require

DEFAULT_FOLDER = Path("run") / "up"


UP_EXAMPLES = examples("up", "up --folder market --rpc-port 0 --api-port 0")
DEMO_EXAMPLES = examples(
    "demo",
    "demo --rows 2000 --epsilon 1 --keep",
    "demo --token-decimals 6",
    "demo --deployment market/deployment.json --rpc URL --payer payer.key",
)


def add_to(app: typer.Typer) -> None:
    app.command("up", rich_help_panel="Running", epilog=UP_EXAMPLES)(up)
    app.command("demo", rich_help_panel="Running", epilog=DEMO_EXAMPLES)(demo)


def up(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="everything lives here; the same folder continues")
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

    Everything listens on loopback. A process that dies is started again. Ctrl-C stops all of it; the next
    `tessera up` with the same folder goes on.
    """
    _require_everything("`tessera up`")
    from tessera.devnet.up import run_up

    run_up(folder, rpc_port=rpc_port, api_port=api_port, block_seconds=block_seconds)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="keep the run folder when everything held")] = False,
    rows: Annotated[int, typer.Option(min=100, help="rows to order")] = 10_000,
    epsilon: Annotated[float, typer.Option(min=0.1, max=3, help="privacy ceiling of the order")] = 3.0,
    token_decimals: Annotated[
        int, typer.Option(min=6, max=18, help="decimals of the test token: 6 as the dollar tokens have")
    ] = 18,
    deployment: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="on contracts that `tessera deploy` made: its deployment.json"),
    ] = None,
    rpc: Annotated[str | None, typer.Option(metavar="URL", help="the node of their chain")] = None,
    payer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="key that gives every account of the demo gas and tokens"),
    ] = None,
) -> None:
    """Show the main job from end to end: one order, its money, its certificate, a caught forgery.

    With --deployment it runs on contracts and a token that are there already. Then the run folder stays: its keys hold
    what is left of the payer's gas and tokens.
    """
    _require_everything("`tessera demo`")
    require("evaluate", "`tessera demo`")
    from tessera.devnet.demo import run_demo
    from tessera.devnet.network import Site

    site = None
    if deployment is not None and rpc is not None and payer is not None:
        site = Site(rpc, deployment.resolve(), payer.resolve())
    elif (deployment, rpc, payer) != (None, None, None):
        raise UsageError(
            "contracts that are there already need all of --deployment FILE, --rpc URL and --payer FILE"
        )
    raise typer.Exit(
        run_demo(rows=rows, epsilon=epsilon, keep=keep, token_decimals=token_decimals, site=site)
    )


def _require_everything(what: str) -> None:
    """A whole market needs what its every process needs."""
    for extra in ("client", "node", "backend"):
        require(extra, what)
