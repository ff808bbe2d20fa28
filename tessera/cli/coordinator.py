"""`tessera coordinator`: the broker's coordination worker."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import BackendUrl, DeploymentFile, RpcUrl, VerboseOption, examples, passwords
from tessera.errors import TesseraError
from tessera.extras import require

COORDINATOR_EXAMPLES = examples("coordinator --backend URL --rpc URL --broker-key broker.key")


def add_to(app: typer.Typer) -> None:
    app.command("coordinator", rich_help_panel="Running", epilog=COORDINATOR_EXAMPLES)(coordinator)


def coordinator(
    backend: BackendUrl,
    rpc: RpcUrl,
    broker_key: Annotated[Path, typer.Option(metavar="FILE", help="the broker's key file (mode 600)")],
    deployment: DeploymentFile = None,
    finality: Annotated[
        str,
        typer.Option(
            metavar="DEPTH",
            help="as the backend's TESSERA_FINALITY: latest, safe, finalized or a number of blocks",
        ),
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="orders worked on at the same time")] = 4,
    verbose: VerboseOption = False,
) -> None:
    """Drive training and scoring of the broker's orders, until SIGTERM or Ctrl-C.

    It sees noisy figures and ciphertext. It holds no state: killed at any instant, the next one repeats the
    phase and gets the stored results back.
    """
    require("backend", "`tessera coordinator`")
    from generator.errors import StopRequested
    from generator.market.worker import CoordinationWorker
    from generator.node import process
    from generator.node.setup import deployment_of, require_same_market
    from provenance.api.client import RetryPolicy
    from provenance.api.market import MarketClient
    from provenance.chain.deployment import Deployment
    from provenance.chain.finality import Finality
    from provenance.chain.reader import ChainReader
    from provenance.crypto.signing import load_key
    from tessera.cli.console import RateLimitedLog, set_up_logging

    set_up_logging(verbose=verbose)
    stop = threading.Event()
    signer = load_key(broker_key, passwords())
    client = MarketClient(
        backend,
        signer=signer,
        retry=RetryPolicy(give_up_seconds=float("inf")),
        stop=stop,
        note=RateLimitedLog(process.log.warning).say,
    )
    process.stop_on_signals(stop, lambda: True)
    try:
        network = client.network()
        contracts = Deployment.load(deployment) if deployment else deployment_of(network)
        require_same_market(network, contracts)
        if signer.address != network.broker:
            raise TesseraError(f"the key is {signer.address}'s, the market's broker is {network.broker}")
        chain = ChainReader(rpc, contracts, finality=Finality.chosen(finality))
        chain.check()
        worker = CoordinationWorker(client, chain, stop)
        for number in range(jobs):
            threading.Thread(target=worker.run, daemon=True, name=f"job-{number}").start()
        logging.getLogger("generator").info("coordinating for %s with %d jobs at once", network.broker, jobs)
        stop.wait()
    except (StopRequested, KeyboardInterrupt):
        return
