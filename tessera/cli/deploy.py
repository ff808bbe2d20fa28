"""`tessera deploy`: the contracts of a market, around a token that exists."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.cli.options import RpcUrl, YesOption, examples, passwords
from tessera.errors import UsageError
from tessera.extras import require
from tessera.terminal import err, remark, say
from tessera.words import parse_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provenance.chain.deploy import Made
    from provenance.chain.market_plan import Creation, MarketPlan
    from provenance.chain.rpc import Rpc
    from provenance.values import Address

EXAMPLES = examples(
    "deploy --rpc URL --token 0x... --key deployer.key --dry-run",
    "deploy --rpc URL --token 0x... --key deployer.key --api https://market.example --broker 0x...",
    "deploy --rpc http://127.0.0.1:8545 --test-token --key deployer.key --yes",
)
LeastAmount = Annotated[
    str | None,
    typer.Option(
        metavar="TOKENS", help="least of every order; left out: next to nothing, see docs/guides/operator.md"
    ),
]
DEPLOYMENT, PROFILE, VERIFICATION = "deployment.json", "network.json", "verification"


def add_to(app: typer.Typer) -> None:
    app.command("deploy", rich_help_panel="Running", epilog=EXAMPLES)(deploy)


def deploy(
    rpc: RpcUrl,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="key that pays for gas, nothing else")],
    token: Annotated[
        str | None, typer.Option("--token", metavar="ADDRESS", help="ERC-20 with permits (ERC-2612)")
    ] = None,
    test_token: Annotated[
        bool,
        typer.Option("--test-token", help="a token that anybody can mint, deployed too: for trying only"),
    ] = False,
    token_decimals: Annotated[int, typer.Option(min=0, max=18, help="decimals of the test token")] = 18,
    folder: Annotated[
        Path,
        typer.Option("--folder", metavar="DIR", help="where deployment.json and network.json are written"),
    ] = Path("market"),
    api: Annotated[
        str | None,
        typer.Option("--api", metavar="URL", help="where buyers will find the market's HTTP interface"),
    ] = None,
    broker: Annotated[str | None, typer.Option(metavar="ADDRESS", help="the broker's account")] = None,
    buyers_rpc: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="node in network.json; left out: --rpc, if it holds no key of yours"
        ),
    ] = None,
    verification: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="sources for block explorers; left out: verification in --folder"),
    ] = None,
    unbonding_seconds: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="between asking for stake back and fetching it")
    ] = 7 * 86_400,
    seed_delay_blocks: Annotated[
        int, typer.Option(min=1, max=255, help="between commitment and the block that draws the seed")
    ] = 2,
    min_answer_seconds: Annotated[
        int, typer.Option(min=1, max=30 * 86_400, help="least time to answer a demand on chain")
    ] = 3_600,
    min_challenge_seconds: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="least time from an order's publication to its payment")
    ] = 3_600,
    min_delivery_seconds: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="least time from an order's match to its deadline")
    ] = 1_800,
    max_score: Annotated[
        str, typer.Option(metavar="SCORE", help="highest score an order may ask for")
    ] = "0.95",
    min_rows: Annotated[int, typer.Option(min=1, max=2**53 - 1, help="least rows of an order")] = 100,
    min_price: LeastAmount = None,
    min_stake: LeastAmount = None,
    min_bond: LeastAmount = None,
    uptime_feed: Annotated[
        str | None,
        typer.Option(
            "--uptime-feed",
            metavar="ADDRESS",
            help="the chain's Chainlink sequencer uptime feed; left out: times run on while the chain is down",
        ),
    ] = None,
    salt: Annotated[int, typer.Option(min=0, help="another number is another market with the same rest")] = 0,
    max_fee_gwei: Annotated[
        int, typer.Option(min=1, help="the most that a transaction offers for a unit of gas")
    ] = 1_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check chain and token, show addresses, send nothing")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Deploy a market's contracts. Interrupted anywhere, the same command goes on.

    The token is read and its permits are tried before anything is sent. Addresses are known before, and the same on
    every chain for the same token and parameters. Nobody owns the contracts, and nothing in them can be changed later.
    With --api and --broker the network profile for buyers is written too.
    """
    require("client", "`tessera deploy`")
    from provenance.chain.deploy import deploy_market, deploy_test_token, deployer_sender
    from provenance.chain.deployment import MarketParameters
    from provenance.chain.fees import GWEI
    from provenance.chain.market_plan import MarketPlan, mintable_token
    from provenance.chain.rpc import Rpc
    from provenance.chain.token import inspect_token
    from provenance.chain.verification import write_verification
    from provenance.crypto.signing import load_key
    from provenance.units import MICRO, TokenUnit, parse_fixed
    from provenance.values import Address, Digest
    from tessera.client.profile import NetworkProfile

    if (token is None) != test_token:
        raise UsageError(
            "name the market's token with --token ADDRESS, or ask for one without value with --test-token"
        )
    if (api is None) != (broker is None):
        raise UsageError(
            "network.json needs both --api URL and --broker ADDRESS; without both it is not written"
        )
    if api is not None:
        buyers_rpc = buyers_rpc or _without_key(rpc)
    account = None if broker is None else Address.parse(broker)
    parameters = MarketParameters(
        unbonding_seconds=unbonding_seconds,
        seed_delay_blocks=seed_delay_blocks,
        min_answer_seconds=min_answer_seconds,
        min_challenge_seconds=min_challenge_seconds,
        min_delivery_seconds=min_delivery_seconds,
        max_score_micro=parse_fixed(max_score, MICRO),
        min_rows=min_rows,
        uptime_feed=None if uptime_feed is None else Address.parse(uptime_feed),
    )
    amounts = {"min_price": min_price, "min_stake": min_stake, "min_bond": min_bond}
    with closing(Rpc(rpc)) as node:
        if token is None:
            test = mintable_token(token_decimals)
            address, unit = test.address, TokenUnit(token_decimals)
        else:
            test, address = None, Address.parse(token)
            unit = inspect_token(node, address).unit
        least: dict[str, Any] = {
            name: parse_tokens(text, unit) for name, text in amounts.items() if text is not None
        }
        plan = MarketPlan(address, replace(parameters, **least), Digest(salt.to_bytes(32, "big")))
        creations = plan.creations if test is None else [test, *plan.creations]
        _require_same(folder / DEPLOYMENT, node.integer("eth_chainId"), plan)
        missing = _show(node, plan, creations)
        if dry_run:
            return
        if missing and not _agreed(missing, confirmed=yes):
            raise typer.Exit(1)
        sender = deployer_sender(
            node,
            load_key(key, passwords()),
            outbox=Path(f"{key}.outbox"),
            max_fee_wei=max_fee_gwei * 10**GWEI,
        )
        if test is not None:
            deploy_test_token(node, sender, token_decimals, tell=_say_made)
        deployment = deploy_market(node, sender, plan, tell=_say_made)
    deployment.save(folder / DEPLOYMENT)
    say(f"{folder / DEPLOYMENT}: for backend, nodes and auditors")
    sources = verification or folder / VERIFICATION
    write_verification(sources, creations)
    say(f"{sources}: source of each contract, for block explorers")
    if api is not None and buyers_rpc is not None and account is not None:
        NetworkProfile(api, buyers_rpc, account, deployment).write(folder / PROFILE)
        say(f"{folder / PROFILE}: for buyers")


def _require_same(file: Path, chain_id: int, plan: MarketPlan) -> None:
    """UsageError when the folder is of another market: its addresses would be lost."""
    from provenance.chain.deployment import Deployment

    if not file.exists():
        return
    found = Deployment.load(file)
    if found.chain_id != chain_id:
        raise UsageError(
            f"{file} is of chain {found.chain_id}, this is chain {chain_id}: choose another --folder"
        )
    if found.contracts() != plan.addresses:
        raise UsageError(
            f"{file} names other contracts than this token, these parameters and this release give: choose another "
            "--folder"
        )


def _show(node: Rpc, plan: MarketPlan, creations: Sequence[Creation]) -> int:
    """Chain, token, and where each contract is or will be; returns how many do not stand yet."""
    from provenance.chain.deploy import stands
    from provenance.chain.token import inspect_token

    say(f"chain       {node.integer('eth_chainId')} at {node.url}")
    if plan.token == creations[0].address:
        say(f"token       {plan.token}: TEST TOKEN, anybody can mint it; its amounts are worth nothing")
    else:
        token = inspect_token(node, plan.token)
        say(
            f"token       {token.address}: {token.unit.symbol} ({token.name}), {token.unit.decimals} decimals"
        )
        remark(
            "not to be seen from outside: fees on transfers, balances that change by themselves, blocked accounts. "
            "A token that has one of these must not be used (docs/guides/operator.md)"
        )
    _show_feed(node, plan.parameters.uptime_feed)
    missing = 0
    for each in creations:
        is_there = stands(node, each)
        missing += not is_there
        say(f"{'stands' if is_there else 'to create'!s:<12}{each.address} {each.contract}")
    return missing


def _show_feed(node: Rpc, address: Address | None) -> None:
    """Whether outages of the chain are held against nobody."""
    from provenance.chain.uptime import inspect_feed

    if address is None:
        say("uptime      no feed: times run on while the chain is down (--uptime-feed)")
        return
    feed = inspect_feed(node, address)
    state = "up" if feed.is_up else "DOWN"
    say(f"uptime      {address}: says that the chain is {state}; an outage moves times, by at most two days")


def _agreed(missing: int, *, confirmed: bool) -> bool:
    if confirmed:
        return True
    if not err.is_terminal:
        raise UsageError("nobody is there to agree to that: pass --yes")
    if typer.confirm(f"Send {missing} transactions?", err=True):
        return True
    remark("nothing was sent")
    return False


def _say_made(made: Made) -> None:
    if made.receipt is not None:
        paid = f"gas {made.receipt.gas_used:,}, transaction {made.receipt.hash}"
        say(f"created     {made.address} {made.contract} ({paid})")


def _without_key(rpc: str) -> str:
    """A node's address that may be told to everybody; UsageError when it is more than scheme, host and port."""
    from provenance.printable import shown_url

    if rpc.rstrip("/") != shown_url(rpc):
        raise UsageError(
            "--rpc holds more than a host, maybe the key of an account, and network.json is public: name the node for "
            "buyers with --buyers-rpc URL"
        )
    return rpc
