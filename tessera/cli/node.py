"""`tessera node`: a contributor's node beside a private table, with its own key, rules and privacy ledger; it
only calls out."""

from __future__ import annotations

import threading
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import (
    HELP_NAMES,
    BackendUrl,
    DeploymentFile,
    JsonOption,
    RpcUrl,
    ThreadsOption,
    VerboseOption,
    examples,
)
from tessera.extras import require
from tessera.terminal import remark, say, say_json

if TYPE_CHECKING:
    from generator.node.report import Status
    from generator.node.setup import Opened
    from provenance.units import TokenUnit

START_SECONDS = 20.0
DEFAULT_FOLDER = Path("tessera-node")

node_app = typer.Typer(
    help="Run a contributor's node beside a private table: own key, own rules, own privacy ledger. It calls out over "
    "HTTP(S) only and runs no code but its own.",
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)

NodeFolder = Annotated[Path, typer.Option("--folder", metavar="DIR", help="the node's own folder")]
OtherRpc = Annotated[
    str | None, typer.Option("--rpc", metavar="URL", help="JSON-RPC instead of the one in node.toml")
]


def _cap(text: str) -> str:
    """The privacy cap as it is typed: a number, or `none`."""
    from provenance.units import exact_decimal

    try:
        valid = text == "none" or 0 < exact_decimal(text) < 1000
    except ValueError:
        valid = False
    if not valid:
        raise typer.BadParameter(f"found {text!r}, expected a number above 0 and below 1000, or `none`")
    return text


@node_app.command(
    "init",
    epilog=examples(
        "node init --folder node --backend URL --rpc URL --collection adult --table table.csv "
        "--declared-rows 12000 --epsilon-cap 10"
    ),
)
def init(
    backend: BackendUrl,
    rpc: RpcUrl,
    collection: Annotated[str, typer.Option(metavar="ID", help="digest or name of the collection to serve")],
    table: Annotated[
        Path, typer.Option(metavar="CSV", help="the private table (plain or .gz); it is copied")
    ],
    declared_rows: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="about how many rows the table has, or the collection uses of it (at most so many a person); two "
            "digits are declared in public",
        ),
    ],
    epsilon_cap: Annotated[
        str,
        typer.Option(
            metavar="E",
            callback=_cap,
            help="most epsilon that all orders together may spend on this table, or `none` (no protection)",
        ),
    ],
    folder: NodeFolder = DEFAULT_FOLDER,
    delta_cap: Annotated[
        float | None,
        typer.Option(
            metavar="D",
            help="delta of the cap, at most one in the declared rows; default: 1e-5, or a tenth of that one if less",
        ),
    ] = None,
    owner: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="where you keep the ledgers of your tables; default: TESSERA_OWNER, else ~/.local/state/tessera",
        ),
    ] = None,
    node_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="the node's own key (mode 600); made there if absent; default: in the folder"
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="your own schema file; must have the collection's digest"),
    ] = None,
    deployment: DeploymentFile = None,
    stake: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="stake to deposit; default: what the market asks"),
    ] = None,
    threads: ThreadsOption = 1,
) -> None:
    """Set a node up: key, settings, policy, table and ledger in one folder that only its owner can read."""
    require("node", "`tessera node`")
    from generator.node.setup import DEPLOYMENT, Setup, initialise
    from provenance.chain.deployment import Deployment

    made = initialise(
        Setup(
            folder=folder,
            backend=backend,
            rpc=rpc,
            table=table,
            collection=collection,
            declared_rows=declared_rows,
            epsilon_cap=None if epsilon_cap == "none" else float(epsilon_cap),
            delta_cap=delta_cap,
            owner=owner,
            key=node_key,
            schema=schema,
            deployment=deployment,
            stake=stake,
            threads=threads,
        )
    )
    unit = Deployment.load(folder / DEPLOYMENT).unit
    cap, ledger = made.table.cap, made.table.ledger()
    say(f"node {made.signer.address} is set up in {folder}")
    declared = made.settings.declared_rows
    say(f"  table       {made.rows:,} rows read and copied; {declared:,} will be declared in public")
    if made.unit is not None:
        say(f"  privacy of  {made.unit.words}; {made.used:,} rows are used")
    shown = "none" if cap.epsilon is None else f"{cap.epsilon:g}"
    say(f"  privacy     cap epsilon {shown} at delta {cap.delta:g}, over all orders and fits of this table")
    say(f"  ledger      {made.table.folder}")
    if ledger.charged():
        say(
            f"              epsilon {ledger.charged_epsilon():.4g} of it is charged already (`tessera ledger`)"
        )
    for near in made.table.near:
        remark(near.warning)
    say(f"  stake       {unit.shown(made.settings.stake_wei)} will be deposited when it first runs")
    say(f"  rules       {folder / 'policy.toml'} - read it before `tessera node run --folder {folder}`")


@node_app.command("run", epilog=examples("node run --folder node", "node run --folder node --dry-run"))
def run(
    folder: NodeFolder = DEFAULT_FOLDER,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print what would leave; sign and send nothing")
    ] = False,
    backend: Annotated[
        str | None, typer.Option(metavar="URL", help="market instead of the one in node.toml")
    ] = None,
    rpc: OtherRpc = None,
    threads: Annotated[int | None, typer.Option(min=1, help="threads for training and sampling")] = None,
    health_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="health page on loopback: 0 any free port, -1 none")
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Work: register if needed, announce, take tasks, train, sample, sign; until SIGTERM or Ctrl-C."""
    require("node", "`tessera node`")
    from generator.errors import StopRequested
    from generator.node import process
    from generator.node.setup import open_node
    from tessera.cli.console import RateLimitedLog, set_up_logging

    console = set_up_logging(verbose=verbose)
    overrides = {"backend": backend, "rpc": rpc, "threads": threads, "health_port": health_port}
    opened = open_node(folder, overrides)
    stop = threading.Event()
    note = RateLimitedLog(process.log.warning).say
    # A market that is not there at all is an error, not a wait.
    first = opened.client(stop, note, START_SECONDS)
    if dry_run:
        from generator.node.report import dry_run_lines

        for line in dry_run_lines(opened, first):
            say(line)
        return

    from generator.node.agent import Agent, warm_up
    from generator.node.demands import DemandWatch, watching
    from generator.node.health import HealthPage
    from generator.node.process import running_once
    from generator.node.registration import ensure_registered
    from generator.node.setup import require_same_market
    from generator.node.watch_copies import WatchCopies
    from tessera.cli.console import progress_line

    try:
        with running_once(folder), progress_line(console) as progress:
            client = opened.client(stop, note)
            warm_up(opened.collection.family)
            node = opened.node(client)
            agent = Agent(node, client, opened.outbox, stop, progress.show)
            process.stop_on_signals(stop, lambda: agent.idle)
            opened.chain.check()
            require_same_market(first.network(), opened.chain.deployment)
            writer = opened.writer()
            ensure_registered(opened.chain, writer, opened.collection.digest, opened.settings.stake_wei)
            copies = WatchCopies.of(opened.settings, opened.chain.deployment, opened.outbox)
            watch = DemandWatch(node, opened.chain, writer, opened.outbox, copies)
            with watching(watch, stop):
                if opened.settings.health_port < 0:
                    agent.run()
                else:
                    port = opened.settings.health_port
                    with HealthPage(port, lambda: agent.report() | watch.report(), folder):
                        agent.run()
    except (StopRequested, KeyboardInterrupt):
        return


@node_app.command("status", epilog=examples("node status --folder node", "node status --folder node --json"))
def status(folder: NodeFolder = DEFAULT_FOLDER, as_json: JsonOption = False) -> None:
    """Show who the node is, whether it runs, its money, orders and open questions."""
    opened = _opened(folder)
    from generator.node import report

    found = report.status(opened)
    if as_json:
        say_json(_status_document(found))
    else:
        _say_status(found, opened.chain.deployment.unit)


def _say_status(found: Status, unit: TokenUnit) -> None:
    say(f"node        {found.node}")
    say(f"collection  {found.collection} ({found.collection_id})")
    say(f"market      {found.backend}")
    running = (
        "no" if found.doing is None else f"yes, {found.doing}, {found.tasks_done} tasks done since its start"
    )
    say(f"running     {running}")
    if found.stake is None or found.claimable_wei is None:
        say(f"chain       {found.chain_problem}")
    else:
        stake = found.stake
        unbonding = f", {unit.shown(stake.unbonding)} unbonding" if stake.unbonding else ""
        say(
            f"registered  {'yes' if stake.registered else 'no'}; stake {unit.shown(stake.free)} free, "
            f"{unit.shown(stake.reserved)} reserved{unbonding}"
        )
        say(f"rewards     {unit.shown(found.claimable_wei)} to be claimed (`tessera node withdraw rewards`)")
    for held in found.orders:
        own = "" if held.own_rows is None else f", {held.own_rows:,} of them by this node"
        epsilon = "none" if held.epsilon is None else f"{held.epsilon:g}"
        state = "delivered" if held.is_delivered else "accepted"
        say(f"order       {held.order} {state}, {held.rows:,} rows{own}, epsilon {epsilon}")
    for held in found.orders:
        if held.demanded:
            start = "" if found.doing is not None else "; start the node: it answers by itself"
            say(f"DEMAND      {held.order}: {held.demanded}{start}")
    for question in found.questions:
        say(f"QUESTION    {question.order}: {question.summary}")


def _status_document(found: Status) -> dict[str, object]:
    """For programs: amounts are token wei in decimal strings."""
    stake = found.stake
    return {
        "node": str(found.node),
        "collection": found.collection,
        "collectionId": found.collection_id,
        "backend": found.backend,
        "doing": found.doing,
        "tasksDone": found.tasks_done,
        "registered": None if stake is None else stake.registered,
        "stakeWei": None
        if stake is None
        else {name: str(getattr(stake, name)) for name in ("free", "reserved", "unbonding")},
        "claimableWei": None if found.claimable_wei is None else str(found.claimable_wei),
        "chainProblem": found.chain_problem or None,
        "orders": [
            {
                "order": str(held.order),
                "delivered": held.is_delivered,
                "rows": held.rows,
                "ownRows": held.own_rows,
                "epsilon": held.epsilon,
                "demanded": held.demanded or None,
            }
            for held in found.orders
        ],
        "questions": [{**asdict(each), "order": str(each.order)} for each in found.questions],
    }


OrderPrefix = Annotated[
    str, typer.Argument(metavar="ORDER", help="the order's id, or its first digits (`tessera node status`)")
]


@node_app.command("approve", epilog=examples("node approve 0x12ab --folder node"))
def approve(order: OrderPrefix, folder: NodeFolder = DEFAULT_FOLDER) -> None:
    """Approve an order that the policy asks about."""
    _answer(folder, order, approve=True)


@node_app.command("deny", epilog=examples("node deny 0x12ab --folder node"))
def deny(order: OrderPrefix, folder: NodeFolder = DEFAULT_FOLDER) -> None:
    """Deny an order that the policy asks about."""
    _answer(folder, order, approve=False)


@node_app.command("retire", epilog=examples("node retire 0x12ab --folder node"))
def retire(order: OrderPrefix, folder: NodeFolder = DEFAULT_FOLDER) -> None:
    """Stop selling the model of an order from stock, at once and for good. Orders accepted already are served."""
    opened = _opened(folder)
    from generator.node.stock import retire as retire_model

    training = opened.orders.find(order)
    retire_model(opened.orders, training)
    say(f"retired: this node refuses every later order from the models of order {training}")
    with opened.client(threading.Event(), remark, START_SECONDS) as client:
        client.retire_model(training)
    say("the market offers them no more from this node; an order made to order trains new ones")


def _answer(folder: Path, order: str, *, approve: bool) -> None:
    approvals = _opened(folder).approvals
    answered = approvals.decide(approvals.find(order), approve=approve)
    say(f"{answered.state}: {answered.summary}")


@node_app.command("budget", epilog=examples("node budget --folder node"))
def budget(folder: NodeFolder = DEFAULT_FOLDER) -> None:
    """Show the privacy ledger of the node's table: cap, charged, left, every charge and release."""
    opened = _opened(folder)
    from generator.privacy.ledger_lines import budget_lines

    for line in budget_lines(opened.state.ledger):
        say(line)


@node_app.command(
    "receipts", epilog=examples("node receipts --folder node --summary", "node receipts --order 0x12ab")
)
def receipts(
    folder: NodeFolder = DEFAULT_FOLDER,
    order: Annotated[str, typer.Option(help="only those of one order: its id or first digits")] = "",
    summary: Annotated[bool, typer.Option("--summary", help="kinds with counts and bytes")] = False,
) -> None:
    """List every message that left: kind, size, hash, order, epsilon."""
    opened = _opened(folder)
    from generator.node.report import outbox_lines

    for line in outbox_lines(opened.outbox, order=order, summary=summary):
        say(line)


class Withdrawable(StrEnum):
    """What a node can take out."""

    REWARDS = "rewards"
    STAKE = "stake"
    UNBONDED = "unbonded"


@node_app.command(
    "withdraw",
    epilog=examples("node withdraw rewards", "node withdraw stake --amount 12.5", "node withdraw unbonded"),
)
def withdraw(
    what: Annotated[
        Withdrawable, typer.Argument(help="rewards; stake: begin unbonding; unbonded: fetch it")
    ] = Withdrawable.REWARDS,
    folder: NodeFolder = DEFAULT_FOLDER,
    amount: Annotated[
        str | None, typer.Option(metavar="TOKENS", help="stake to unbond; default: all that is free")
    ] = None,
    rpc: OtherRpc = None,
) -> None:
    """Claim rewards, or take stake back in two steps."""
    opened = _opened(folder, rpc)
    from generator.node.registration import claim_rewards, fetch_unbonded, unbond
    from provenance.units import local_time
    from tessera.words import parse_tokens

    chain, unit = opened.chain, opened.chain.deployment.unit
    chain.check()
    writer = opened.writer()
    if what is Withdrawable.REWARDS:
        say(f"{unit.shown(claim_rewards(chain, writer))} of rewards claimed")
    elif what is Withdrawable.STAKE:
        gone = unbond(chain, writer, None if amount is None else parse_tokens(amount, unit))
        at = chain.stake_of(opened.signer.address).unbonding_at
        say(
            f"{unit.shown(gone)} of stake are unbonding; `tessera node withdraw unbonded` fetches them after "
            f"{local_time(at, chain.chain_time())}. A running node accepts no order beyond the stake that is left"
        )
    else:
        say(f"{unit.shown(fetch_unbonded(chain, writer))} of stake are back")


def _opened(folder: Path, rpc: str | None = None) -> Opened:
    require("node", "`tessera node`")
    from generator.node.setup import open_node

    return open_node(folder, {"rpc": rpc})
