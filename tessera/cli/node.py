"""A contributor's node: beside a private table, with its own key, rules and privacy ledger; it only calls
out.

    tessera node init --folder node --backend URL --rpc URL --collection NAME \\
        --table table.csv --declared-rows 12000 --epsilon-cap 10
    tessera node run --folder node

Exit status: 0 done or left on SIGTERM, 1 refused or failed, 2 the command line cannot be used.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

START_SECONDS = 20.0
DEFAULT_FOLDER = Path("tessera-node")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; expected errors become one sentence on standard error."""
    options = _parser().parse_args(arguments)
    from generator.errors import GeneratorError, StopRequested
    from provenance.errors import ProvenanceError

    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (StopRequested, KeyboardInterrupt):
        return 0
    except (GeneratorError, ProvenanceError) as error:
        print(f"contributor_node: {error}", file=sys.stderr)
        return 1


def initialise(options: argparse.Namespace) -> int:
    """`init`: key, settings, policy, table and ledger in one folder that only its owner can read."""
    from generator.node.setup import Setup, initialise

    cap = None if options.epsilon_cap == "none" else float(options.epsilon_cap)
    made, signer, rows = initialise(
        Setup(
            folder=options.folder,
            backend=options.backend,
            rpc=options.rpc,
            table=options.table,
            collection=options.collection,
            declared_rows=options.declared_rows,
            epsilon_cap=cap,
            delta_cap=options.delta_cap,
            key=options.key,
            schema=options.schema,
            deployment=options.deployment,
            stake_wei=options.stake_wei,
            threads=options.threads,
        )
    )
    print(f"node {signer.address} is set up in {options.folder}")
    print(f"  table       {rows} rows read and copied; {made.declared_rows} will be declared in public")
    print(f"  privacy     cap epsilon {options.epsilon_cap} at delta {options.delta_cap:g}, over all orders")
    print(f"  stake       {made.stake_wei} wei will be deposited when it first runs")
    print(f"  rules       {options.folder / 'policy.toml'} - read it before `run`")
    return 0


def run(options: argparse.Namespace) -> int:
    """`run`: register if needed, announce, then work until SIGTERM; or print what would leave."""
    from generator.node import stopping
    from generator.node.agent import Agent, warm_up
    from generator.node.console import RateLimitedLog, progress_line, set_up_logging
    from generator.node.demands import DemandWatch, watching
    from generator.node.health import HealthPage
    from generator.node.lock import running_once
    from generator.node.registration import ensure_registered
    from generator.node.setup import open_node, require_same_market
    from provenance.chain.writer import ChainWriter

    console = set_up_logging(verbose=options.verbose)
    overrides = {name: getattr(options, name) for name in ("backend", "rpc", "threads", "health_port")}
    opened = open_node(options.folder, overrides)
    stop = threading.Event()
    note = RateLimitedLog(stopping.log.warning).say
    first = opened.client(
        stop, note, START_SECONDS
    )  # a market that is not there at all is an error, not a wait
    if options.dry_run:
        from generator.node.report import dry_run_lines

        return _print(dry_run_lines(opened, first))
    with running_once(options.folder), progress_line(console) as line:
        client = opened.client(stop, note)
        warm_up(opened.collection.family)
        node = opened.node(client)
        agent = Agent(node, client, opened.outbox, stop, line.show)
        stopping.leave_on_signals(stop, lambda: agent.idle)
        opened.ledger.check()
        require_same_market(first.network(), opened.ledger.deployment)
        writer = ChainWriter(opened.ledger, opened.signer)
        ensure_registered(opened.ledger, writer, opened.collection.digest, opened.settings.stake_wei)
        with watching(DemandWatch(node, opened.ledger, writer, opened.outbox), stop):
            if opened.settings.health_port < 0:
                agent.run()
            else:
                with HealthPage(opened.settings.health_port, agent.report, options.folder):
                    agent.run()
    return 0


def status(options: argparse.Namespace) -> int:
    """`status`: who the node is, whether it runs, its money, orders and open questions."""
    from generator.node.report import status_lines
    from generator.node.setup import open_node

    return _print(status_lines(open_node(options.folder)))


def approve(options: argparse.Namespace) -> int:
    """`approve` and `deny`: the operator's answer to a question."""
    from generator.node.setup import open_node

    approvals = open_node(options.folder).approvals
    answered = approvals.decide(approvals.find(options.order), approve=options.approve)
    print(f"{answered.state}: {answered.summary}")
    return 0


def budget(options: argparse.Namespace) -> int:
    """`budget`: the privacy ledger."""
    from generator.node.report import budget_lines
    from generator.node.setup import open_node

    return _print(budget_lines(open_node(options.folder)))


def receipts(options: argparse.Namespace) -> int:
    """`receipts`: everything that ever left."""
    from generator.node.report import outbox_lines
    from generator.node.setup import open_node

    lines = outbox_lines(open_node(options.folder).outbox, order=options.order, summary=options.summary)
    return _print(lines)


def withdraw(options: argparse.Namespace) -> int:
    """`withdraw`: rewards, or stake in two steps."""
    from generator.node.registration import claim_rewards, fetch_unbonded, unbond
    from generator.node.setup import open_node
    from provenance.chain.writer import ChainWriter

    opened = open_node(options.folder, {"rpc": options.rpc})
    opened.ledger.check()
    writer = ChainWriter(opened.ledger, opened.signer)
    if options.what == "rewards":
        print(f"{claim_rewards(opened.ledger, writer)} wei of rewards claimed")
    elif options.what == "stake":
        print(
            f"{unbond(opened.ledger, writer, options.amount)} wei are unbonding; later: `withdraw unbonded`"
        )
    else:
        print(f"{fetch_unbonded(opened.ledger, writer)} wei of stake are back")
    return 0


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contributor_node",
        description="A contributor's node beside a private table: own key, own rules, own privacy ledger. "
        "It calls out over HTTP(S) only and runs no code but its own.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_init(_command(commands, "init", initialise, "set a node up in a folder of its own"))
    _add_run(_command(commands, "run", run, "work: take tasks, train, sample, sign; until SIGTERM"))
    _command(commands, "status", status, "who the node is, its money, orders and open questions")
    for name, yes in (("approve", True), ("deny", False)):
        answer = _command(commands, name, approve, f"{name} an order that the policy asks about")
        answer.add_argument("order", help="the order's digest, or its first digits")
        answer.set_defaults(approve=yes)
    _command(commands, "budget", budget, "the privacy ledger: cap, spent, every release")
    listing = _command(
        commands, "receipts", receipts, "every message that left: kind, size, hash, order, epsilon"
    )
    listing.add_argument("--order", default="", help="only those of one order (0x-digest or its beginning)")
    listing.add_argument("--summary", action="store_true", help="kinds with counts and bytes")
    money = _command(commands, "withdraw", withdraw, "claim rewards, or take stake back in two steps")
    money.add_argument("what", nargs="?", choices=("rewards", "stake", "unbonded"), default="rewards",
                       help="rewards (default); stake: begin unbonding; unbonded: fetch it")  # fmt: skip
    money.add_argument("--amount", type=int, help="wei of stake to unbond (default: all that is free)")
    money.add_argument("--rpc", help="JSON-RPC endpoint instead of the one in node.toml")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER, help="the node's folder (default %(default)s)"
    )
    parser.set_defaults(command=function)
    return parser


def _add_init(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--backend", required=True, metavar="URL", help="the market's HTTP API")
    add("--rpc", required=True, metavar="URL", help="an Ethereum JSON-RPC endpoint that you trust")
    add("--collection", required=True, metavar="ID", help="digest or name of the collection to serve")
    add(
        "--table",
        required=True,
        type=Path,
        metavar="CSV",
        help="the private table (plain or .gz); it is copied",
    )
    rows_help = "rows to declare in public; a bound you state, not a count of the table: round it"
    add("--declared-rows", required=True, type=int, metavar="N", help=rows_help)
    cap_help = "most epsilon that all orders together may spend on this table, or `none` (no protection)"
    add("--epsilon-cap", required=True, type=_cap, metavar="E", help=cap_help)
    add("--delta-cap", type=float, default=1e-5, metavar="D", help="delta of the cap (default %(default)s)")
    add(
        "--key",
        type=Path,
        metavar="FILE",
        help="key file (mode 600); made there if absent (default: in the folder)",
    )
    add("--schema", type=Path, metavar="FILE", help="your own schema file; must have the collection's digest")
    add(
        "--deployment",
        type=Path,
        metavar="FILE",
        help="deployment file to trust instead of the market's word",
    )
    add("--stake-wei", type=int, metavar="WEI", help="stake to deposit (default: what the market asks)")
    add("--threads", type=int, default=1, help="threads for training and sampling (default %(default)s)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--dry-run", action="store_true", help="print what would leave; sign and send nothing")
    add("--backend", metavar="URL", help="market instead of the one in node.toml")
    add("--rpc", metavar="URL", help="JSON-RPC endpoint instead of the one in node.toml")
    add("--threads", type=int, help="threads for training and sampling")
    add("--health-port", type=int, metavar="PORT", help="health page on loopback: 0 any free port, -1 none")
    add("--verbose", action="store_true", help="more log lines")


def _cap(text: str) -> str:
    if text != "none" and not 0 < float(text) < 1000:
        raise argparse.ArgumentTypeError("expected a number above 0 and below 1000, or `none`")
    return text


if __name__ == "__main__":
    sys.exit(main())
