"""`tessera watchtower`: answers demands on chain for contributors whose nodes are away."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import (
    HELP_NAMES,
    DeploymentFile,
    RpcUrl,
    VerboseOption,
    WalletFile,
    examples,
    passwords,
)
from tessera.errors import UsageError
from tessera.extras import require

LOOK_SECONDS = 10.0
watchtower_app = typer.Typer(
    help="Answer demands for contributors whose nodes are away, from sealed copies that they left.",
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)


@watchtower_app.callback()
def _group() -> None:
    """Keeps `run` a command of its own."""


@watchtower_app.command(
    "run",
    epilog=examples(
        "watchtower run --folder copies --rpc http://127.0.0.1:8545 --key tower.key --wallet gas.key"
    ),
)
def run(
    folder: Annotated[
        Path,
        typer.Option(metavar="DIR", help="where nodes put their copies (`watchtower_folder` in node.toml)"),
    ],
    rpc: RpcUrl,
    key: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="the tower's key (`tessera key new`), to whose public part nodes seal"
        ),
    ],
    wallet: WalletFile,
    deployment: DeploymentFile = None,
    patience: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="how long a contributor itself is waited for"),
    ] = 300.0,
    verbose: VerboseOption = False,
) -> None:
    """Watch the orders whose copies lie in the folder, until SIGTERM or Ctrl-C.

    A copy is opened only when the chain shows an open demand for it. The wallet pays for gas and has no other right.
    """
    require("client", "`tessera watchtower`")
    from provenance.chain.deployment import Deployment
    from provenance.chain.reader import ChainReader
    from provenance.chain.writer import ChainWriter
    from provenance.crypto.seal import load_delivery_key
    from provenance.crypto.signing import load_key
    from provenance.errors import UnavailableError
    from tessera.cli.console import set_up_logging
    from tessera.client.watchtower import Watchtower
    from tessera.verification import DEPLOYMENT_FILE

    set_up_logging(verbose=verbose)
    log = logging.getLogger(__name__)
    if not folder.is_dir():
        raise UsageError(f"--folder {folder}: no such folder; it is the `watchtower_folder` of the nodes")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    opener, payer = load_delivery_key(key), load_key(wallet, passwords())
    with ChainReader(rpc, Deployment.load(deployment or folder / DEPLOYMENT_FILE)) as chain:
        chain.check()
        outbox = wallet.with_name(wallet.name + ".outbox")
        tower = Watchtower(chain, ChainWriter(chain, payer, outbox=outbox), folder, opener, patience)
        log.info("watching %s for %s, gas is paid by %s", folder, opener.public, payer.address)
        while not stop.is_set():
            try:
                tower.look()
            except UnavailableError as error:
                log.warning("%s", error)
            stop.wait(LOOK_SECONDS)
