"""`tessera request | orders | cancel | refund | download`: the buyer's side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.condition_help import BALANCE_HELP, COUNT_HELP, WHERE_HELP

NetworkFile = Annotated[
    Path,
    typer.Option(
        "--network",
        metavar="FILE",
        envvar="TESSERA_NETWORK",
        help="where the market is: addresses, contracts (`tessera up` writes DIR/network.json)",
    ),
]
WalletFile = Annotated[
    Path,
    typer.Option(
        "--wallet", metavar="FILE", envvar="TESSERA_WALLET", help="key that pays and signs (mode 600)"
    ),
]
DeliveryKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", envvar="TESSERA_KEY", help="delivery key that opens the rows (mode 600)"
    ),
]
OutFile = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="CSV, or Parquet when the name ends in .parquet")
]
OrderArgument = Annotated[
    str,
    typer.Argument(metavar="ORDER", help="order id (0x…), or the order file that `tessera request` wrote"),
]
SendChallenge = Annotated[
    bool,
    typer.Option(
        "--send-challenge",
        help="if rows are false, prove it on chain without asking (`tessera challenge` says what that discloses)",
    ),
]
DEFAULT_NETWORK = Path("run") / "up" / "network.json"


def add_to(app: typer.Typer) -> None:
    app.command("request")(request)
    app.command("orders")(orders)
    app.command("cancel")(cancel)
    app.command("refund")(refund)
    app.command("download")(download)


def request(
    wallet: WalletFile,
    rows: Annotated[int, typer.Option(min=1, help="synthetic rows to order")],
    to: OutFile,
    collection: Annotated[str, typer.Option(help="name or id of the collection")],
    key: DeliveryKeyFile = None,
    epsilon: Annotated[str | None, typer.Option(help="privacy ceiling; left out: the collection's")] = None,
    delta: Annotated[str, typer.Option(help="delta beside epsilon")] = "1e-5",
    where: Annotated[list[str] | None, typer.Option(metavar="CONDITION", help=WHERE_HELP)] = None,
    balance: Annotated[str | None, typer.Option(metavar="COLUMN", help=BALANCE_HELP)] = None,
    count: Annotated[list[str] | None, typer.Option(metavar="CONDITION:N", help=COUNT_HELP)] = None,
    conditions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a conditions document instead of these three")
    ] = None,
    max_price: Annotated[
        str | None, typer.Option(metavar="TOKENS", help="pay no more than this, in whole tokens")
    ] = None,
    min_contributors: Annotated[
        int | None, typer.Option(min=1, max=255, help="fewer: no data set, money back")
    ] = None,
    min_score: Annotated[
        str | None, typer.Option(help="median score (0 to 1) below which nothing is paid")
    ] = None,
    purpose: Annotated[str, typer.Option(help="what the rows are for; contributors may decide by it")] = "",
    match_within: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="chain time until matched")
    ] = None,
    deliver_within: Annotated[
        int | None, typer.Option(min=2, metavar="SECONDS", help="chain time until published, else money back")
    ] = None,
    challenge: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="window between publication and payment")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="sign without asking once more")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="watch until the rows are here")] = True,
    send_challenge: SendChallenge = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Order synthetic rows, watch them come, check every one of them, write them to a file.

    The terms are compared with what you asked for before you sign. What is needed to go on is kept beside
    the output (FILE.order.json): the same command continues a request that was interrupted. Exit status 3 and 4
    as `tessera download` has them.
    """
    from tessera.client.order_request import Wish, parse_decimal, parse_tokens
    from tessera.client.session import open_buyer
    from tessera.client.watching import run_request
    from tessera.local.conditions import ConditionOptions

    wish = Wish(
        collection=collection,
        rows=rows,
        epsilon=None if epsilon is None else parse_decimal(epsilon, "--epsilon"),
        delta=parse_decimal(delta, "--delta"),
        min_contributors=min_contributors,
        min_score=None if min_score is None else parse_decimal(min_score, "--min-score"),
        purpose=purpose,
        match_within_seconds=match_within,
        deliver_within_seconds=deliver_within,
        challenge_seconds=challenge,
        max_price_wei=None if max_price is None else parse_tokens(max_price),
        asked=ConditionOptions(tuple(where or ()), balance, tuple(count or ()), conditions),
    )
    with open_buyer(network, wallet, key) as buyer:
        run_request(buyer, wish, to, confirmed=yes, wait=wait, send_challenge=send_challenge)


def orders(
    wallet: Annotated[Path | None, typer.Option("--wallet", metavar="FILE", envvar="TESSERA_WALLET")] = None,
    state: Annotated[str | None, typer.Option(help="only orders in this state")] = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """List orders: yours when a wallet is given, else everybody's."""
    from tessera.client.session import list_orders

    list_orders(network, wallet, state)


def cancel(order: OrderArgument, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take an order back before it is matched: the whole price returns at once. Goes to the chain
    directly.
    """
    from tessera.client.onchain import cancel_order
    from tessera.client.session import open_chain

    cancel_order(open_chain(network, wallet), order)


def refund(order: OrderArgument, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take the price back after the order's deadline passed without delivery. Goes to the chain directly."""
    from tessera.client.onchain import refund_order
    from tessera.client.session import open_chain

    refund_order(open_chain(network, wallet), order)


def download(
    order: OrderArgument,
    to: OutFile,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    send_challenge: SendChallenge = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Fetch a published data set, check every row against chain, model and seed, and write it to a file.

    A false data set is not written. If the chain can be shown the lie before it settles, that is offered, or done
    with --send-challenge. Exit status: 0 written, 3 false and proven on chain, 4 false and standing, 1 and 2 as
    everywhere.
    """
    from tessera.client.session import open_buyer
    from tessera.client.watching import run_download

    with open_buyer(network, wallet, key) as buyer:
        run_download(buyer, order, to, send_challenge=send_challenge)
