"""The broker's coordination worker: drives training and scoring of orders over the backend's task queue.

    tessera coordinator --backend URL --rpc URL --key broker.key

It holds no state: killed at any instant, the next one repeats the phase and gets the stored results back.
Exit status: 0 left on SIGTERM, 1 failed, 2 the command line cannot be used.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; expected errors become one sentence on standard error."""
    options = _parser().parse_args(arguments)
    from generator.errors import GeneratorError, StopRequested
    from provenance.errors import ProvenanceError

    try:
        return run(options)
    except (StopRequested, KeyboardInterrupt):
        return 0
    except (GeneratorError, ProvenanceError) as error:
        print(f"coordinator: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """Works with as many jobs at once as asked, until SIGTERM."""
    from generator.market.worker import CoordinationWorker
    from generator.node import stopping
    from generator.node.console import RateLimitedLog, set_up_logging
    from generator.node.setup import deployment_of, require_same_market
    from provenance.api.client import RetryPolicy
    from provenance.api.market import MarketClient
    from provenance.chain.deployment import Deployment
    from provenance.chain.reader import ChainReader
    from provenance.crypto.signing import load_key

    set_up_logging(verbose=options.verbose)
    stop = threading.Event()
    note = RateLimitedLog(stopping.log.warning).say
    signer = load_key(options.key)
    client = MarketClient(
        options.backend,
        signer=signer,
        retry=RetryPolicy(give_up_seconds=float("inf")),
        stop=stop,
        note=note,
    )
    stopping.leave_on_signals(stop, lambda: True)
    network = client.network()
    deployment = Deployment.load(options.deployment) if options.deployment else deployment_of(network)
    require_same_market(network, deployment)
    if signer.address != network.broker:
        print(
            f"coordinator: the key is {signer.address}'s, the market's broker is {network.broker}",
            file=sys.stderr,
        )
        return 1
    ledger = ChainReader(options.rpc, deployment)
    ledger.check()
    worker = CoordinationWorker(client, ledger, stop)
    for number in range(options.jobs):
        threading.Thread(target=worker.run, daemon=True, name=f"job-{number}").start()
    logging.getLogger("generator").info(
        "coordinating for %s with %d jobs at once", network.broker, options.jobs
    )
    stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coordinator",
        description="Drives training and scoring of the broker's orders. It sees noisy figures and ciphertext.",
    )
    add = parser.add_argument
    add("--backend", required=True, metavar="URL", help="the market's HTTP API")
    add("--rpc", required=True, metavar="URL", help="an Ethereum JSON-RPC endpoint")
    add("--key", required=True, type=Path, metavar="FILE", help="the broker's key file (mode 600)")
    add(
        "--deployment",
        type=Path,
        metavar="FILE",
        help="deployment file to trust instead of the market's word",
    )
    add("--jobs", type=int, default=4, help="orders worked on at the same time (default %(default)s)")
    add("--verbose", action="store_true", help="more log lines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
