"""`tessera quote | request | stock | orders | cancel | refund | download`: the buyer's side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.units import E12, MICRO, TokenUnit, format_fixed, local_time, utc_time
from tessera.cli.options import (
    DEFAULT_NETWORK,
    ROWS_OUT,
    BalanceOption,
    ChallengeSeconds,
    CollectionOption,
    ConditionsFile,
    CountOption,
    DeliverWithin,
    DeliveryKeyFile,
    DeltaOption,
    EpsilonOption,
    FromStock,
    Indivisible,
    JsonOption,
    KeyWait,
    MatchWithin,
    MaxPrice,
    MaybeWalletFile,
    MinContributors,
    MinScore,
    NetworkFile,
    OrderArgument,
    OutFile,
    OverwriteOption,
    Purpose,
    RowsOption,
    SendChallenge,
    TrainingOption,
    WalletFile,
    WhereOption,
    YesOption,
    examples,
    open_client,
)
from tessera.errors import FalseDatasetError, UsageError
from tessera.terminal import err, out, progress_bar, remark, say, say_json

if TYPE_CHECKING:
    from provenance.api.catalogue import StandingModelView
    from provenance.api.orders import OrderView
    from tessera.client.client import Client
    from tessera.client.delivery import Delivery
    from tessera.client.order_file import OrderFile
    from tessera.client.order_request import OrderRequest

KEY_SECONDS = 60
IN_PART = 5
"""Exit status: rows are written, and more will be when keys are released."""
_ORDERING = "--collection adult --rows 5000 --wallet wallet.key --key delivery.key"
QUOTE_EXAMPLES = examples(f"quote {_ORDERING} --epsilon 3", f"quote {_ORDERING} --json")
REQUEST_EXAMPLES = examples(
    f"request {_ORDERING} --out rows.csv",
    f"request {_ORDERING} --out rows.csv --max-price 50 --where 'age=30..40'",
)
STOCK_EXAMPLES = examples("stock --collection adult", "stock --collection adult --json")
ORDERS_EXAMPLES = examples("orders", "orders --wallet wallet.key --state settled --json", "orders 0x12ab")
CANCEL_EXAMPLES = examples(
    "cancel rows.csv.order.json --wallet wallet.key", "cancel 0x12ab --wallet wallet.key"
)
REFUND_EXAMPLES = examples("refund rows.csv.order.json --wallet wallet.key")
DOWNLOAD_EXAMPLES = examples("download 0x12ab --wallet wallet.key --key delivery.key --out rows.csv")


def add_to(app: typer.Typer) -> None:
    app.command("quote", rich_help_panel="Buying", epilog=QUOTE_EXAMPLES)(quote)
    app.command("request", rich_help_panel="Buying", epilog=REQUEST_EXAMPLES)(request)
    app.command("stock", rich_help_panel="Buying", epilog=STOCK_EXAMPLES)(stock)
    app.command("orders", rich_help_panel="Buying", epilog=ORDERS_EXAMPLES)(orders)
    app.command("cancel", rich_help_panel="Buying", epilog=CANCEL_EXAMPLES)(cancel)
    app.command("refund", rich_help_panel="Buying", epilog=REFUND_EXAMPLES)(refund)
    app.command("download", rich_help_panel="Buying", epilog=DOWNLOAD_EXAMPLES)(download)


def quote(
    wallet: WalletFile,
    rows: RowsOption,
    collection: CollectionOption,
    key: DeliveryKeyFile = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = "1e-5",
    where: WhereOption = None,
    balance: BalanceOption = None,
    count: CountOption = None,
    conditions: ConditionsFile = None,
    max_price: MaxPrice = None,
    min_contributors: MinContributors = None,
    min_score: MinScore = None,
    purpose: Purpose = "",
    from_stock: FromStock = False,
    training: TrainingOption = None,
    indivisible: Indivisible = False,
    match_within: MatchWithin = None,
    deliver_within: DeliverWithin = None,
    challenge: ChallengeSeconds = None,
    network: NetworkFile = DEFAULT_NETWORK,
    as_json: JsonOption = False,
) -> None:
    """Ask for terms and compare them with what you asked. Nothing is signed and nothing is paid."""
    with open_client(network, wallet, key) as client:
        found = client.quote(
            collection,
            rows,
            epsilon=epsilon,
            delta=delta,
            where=where or (),
            balance=balance,
            count=count or (),
            conditions=conditions,
            max_price=max_price,
            min_contributors=min_contributors,
            min_score=min_score,
            purpose=purpose,
            from_stock=from_stock,
            training=training,
            indivisible=indivisible,
            match_within_seconds=match_within,
            deliver_within_seconds=deliver_within,
            challenge_seconds=challenge,
        )
    from tessera.order_display import show_terms

    if as_json:
        say_json(
            {
                "orderId": str(found.order_id),
                "terms": found.terms.document(),
                "request": found.request.document(),
                "sizeClass": found.collection.size_class,
                "supply": found.supply,
                "inStock": None if found.in_stock is None else str(found.in_stock),
            }
        )
    else:
        show_terms(found)


def request(
    wallet: WalletFile,
    rows: RowsOption,
    to: Annotated[Path, typer.Option("--out", metavar="FILE", help=ROWS_OUT)],
    collection: CollectionOption,
    key: DeliveryKeyFile = None,
    epsilon: EpsilonOption = None,
    delta: DeltaOption = "1e-5",
    where: WhereOption = None,
    balance: BalanceOption = None,
    count: CountOption = None,
    conditions: ConditionsFile = None,
    max_price: MaxPrice = None,
    min_contributors: MinContributors = None,
    min_score: MinScore = None,
    purpose: Purpose = "",
    from_stock: FromStock = False,
    training: TrainingOption = None,
    indivisible: Indivisible = False,
    match_within: MatchWithin = None,
    deliver_within: DeliverWithin = None,
    challenge: ChallengeSeconds = None,
    yes: YesOption = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="watch until the rows are here")] = True,
    key_wait: KeyWait = KEY_SECONDS,
    send_challenge: SendChallenge = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Order synthetic rows, watch them come, check every one of them, write them to a file.

    The terms are compared with what you asked for before you sign. What is needed to go on is kept beside the
    output (FILE.order.json): the same command continues a request that was interrupted. Exit status 3 to 5
    as `tessera download` has them.
    """
    client = open_client(network, wallet, key)
    from tessera.client.order_file import order_path
    from tessera.client.order_request import OrderRequest

    asked = OrderRequest.of(
        client.unit,
        collection,
        rows,
        epsilon=epsilon,
        delta=delta,
        where=where or (),
        balance=balance,
        count=count or (),
        conditions=conditions,
        max_price=max_price,
        min_contributors=min_contributors,
        min_score=min_score,
        purpose=purpose,
        from_stock=from_stock,
        training=training,
        indivisible=indivisible,
        match_within_seconds=match_within,
        deliver_within_seconds=deliver_within,
        challenge_seconds=challenge,
    )
    file = order_path(to)
    with client:
        order = _placed(client, asked, to, file, confirmed=yes or max_price is not None)
        say(
            f"order {order.order_id} is with the broker; what you need to go on, cancel or refund is in {file}"
        )
        if not wait:
            return
        try:
            _watch(client, order, file)
            status = _deliver(client, order, to, key_wait, send_challenge=send_challenge)
        except KeyboardInterrupt:
            _say_where_it_stands(client, order, file)
            raise
    raise typer.Exit(status)


def _placed(client: Client, asked: OrderRequest, to: Path, file: Path, *, confirmed: bool) -> OrderFile:
    """The order kept in `file`, sent again; or a new one, once its terms are agreed to."""
    if file.exists():
        order = client.resume(file, asked)
        say(f"continuing order {order.order_id} of {file}")
        return order
    if to.exists():
        raise UsageError(f"{to} exists already and would be overwritten: choose another --out")
    from tessera.order_display import show_terms

    quoted = client.ask(asked)
    show_terms(quoted)
    if not confirmed:
        if not err.is_terminal:
            raise UsageError("nobody is there to agree to the price: pass --yes, or --max-price TOKENS")
        if not typer.confirm(f"Sign, and pay {client.unit.shown(quoted.terms.price)} into escrow?", err=True):
            remark("nothing was signed")
            raise typer.Exit(1)
    return client.order(quoted, file)


def _watch(client: Client, order: OrderFile, file: Path) -> None:
    from tessera.errors import OrderFailedError
    from tessera.order_display import OrderDisplay

    display = OrderDisplay(err)
    try:
        with display.shown():
            client.watch(order, display.take)
    except OrderFailedError as error:
        raise OrderFailedError(f"{error}. To order again, delete {file}, or choose another --out") from error


def _say_where_it_stands(client: Client, order: OrderFile, file: Path) -> None:
    """After an interruption: what became of the order, as far as the chain tells, and how to go on or back."""
    from provenance.chain.errors import ChainError
    from provenance.chain.ports import OrderState
    from tessera.words import ORDER_STATES

    try:
        state, now = client.chain.order(order.order_id).state, client.chain.chain_time()
    except ChainError as error:
        remark(f"\norder {order.order_id} is under way; the chain does not say how far ({error})")
    else:
        placed = "is with the broker, not on chain yet" if state is OrderState.NONE else ORDER_STATES[state]
        remark(f"\norder {order.order_id} {placed}")
        if state in (OrderState.NONE, OrderState.OPEN):
            remark(f"`tessera cancel {file}` takes it back while it is not matched")
        if state in (OrderState.NONE, OrderState.OPEN, OrderState.MATCHED):
            deadline = local_time(order.terms.deliver_by, now)
            remark(f"without delivery `tessera refund {file}` brings the price back after {deadline}")
    remark("the order goes on without you; the same command goes on watching it and fetches the rows")


def _deliver(client: Client, order: OrderFile | str, to: Path, key_wait: int, *, send_challenge: bool) -> int:
    """Fetch, verify, write; the exit status. If the chain can be shown that the data set is false, that is offered, or
    done at once with `send_challenge`."""
    from provenance.verify.certificate import Status
    from tessera.client.delivery import KeyPatience

    def tell(waiting: Delivery) -> None:
        shards = ", ".join(
            f"{each.shard} ({each.contributor})" for each in waiting.withheld if each.is_delivered
        )
        remark(f"recorded on chain; waiting up to {key_wait} s for the keys of shards {shards}")

    try:
        with progress_bar() as bar:
            found = client.download(
                order,
                to,
                lambda done, rows: bar("recomputing rows", done / rows, f"{done:,} of {rows:,}"),
                KeyPatience(key_wait, tell),
            )
    except FalseDatasetError as error:
        remark(str(error).partition(". `tessera challenge")[0])
        from tessera.cli.disputes import challenge_delivery

        raise challenge_delivery(client, error, to, send=send_challenge) from error
    passed = sum(check.status is Status.PASSED for check in found.certificate.checks)
    say(f"{to}: {found.rows:,} rows of data set {found.dataset}, {passed} checks passed")
    for each in (*found.certificate.remarks, *found.withheld):
        remark(each)
    return IN_PART if found.withheld else 0


def stock(
    collection: CollectionOption, network: NetworkFile = DEFAULT_NETWORK, as_json: JsonOption = False
) -> None:
    """List the models that a collection has in stock: rows of them come in seconds (`request --from-stock`)."""
    with open_client(network) as client:
        found = client.models(collection)
    if as_json:
        say_json([each.to_document() for each in found])
    else:
        _show_stock(found, collection)


def _show_stock(found: Sequence[StandingModelView], collection: str) -> None:
    from rich.table import Table

    table = Table(title=f"models of {collection} in stock, the newest first", title_justify="left")
    for heading in ("training", "data set", "epsilon", "delta", "score", "contributors", "trained"):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(
            str(each.training),
            str(each.dataset),
            format_fixed(each.epsilon_micro, MICRO) if each.epsilon_micro else "none",
            format_fixed(each.delta_e12, E12),
            format_fixed(each.score_micro, MICRO),
            str(len(each.contributors)),
            utc_time(each.trained_at),
        )
    out.print(table)


def orders(
    order: Annotated[
        str | None, typer.Argument(metavar="[ORDER]", help="show this one: its id, first digits, or file")
    ] = None,
    wallet: MaybeWalletFile = None,
    state: Annotated[str | None, typer.Option(help="only orders in this state")] = None,
    network: NetworkFile = DEFAULT_NETWORK,
    as_json: JsonOption = False,
) -> None:
    """List orders, yours when a wallet is given, else everybody's; or show one."""
    with open_client(network, wallet) as client:
        if order is None:
            found = client.orders(state=state)
            if as_json:
                say_json([each.to_document() for each in found])
            else:
                _show_orders(found, client)
            return
        view = client.status(order)
        if as_json:
            say_json(view.to_document())
        else:
            _show_order(view, client.chain.chain_time(), client.unit)


def _show_orders(found: Sequence[OrderView], client: Client) -> None:
    from rich.table import Table

    table = Table(title=f"orders at {client.profile.api}", title_justify="left")
    for heading in ("order", "state", "rows", "price", "data set"):
        table.add_column(heading, overflow="fold")
    for each in found:
        dataset = "" if each.dataset_id is None else str(each.dataset_id)
        terms = each.order_terms()
        table.add_row(
            str(each.order_id), each.state, f"{terms.rows:,}", client.unit.shown(terms.price), dataset
        )
    out.print(table)


def _show_order(view: OrderView, now: int, unit: TokenUnit) -> None:
    from tessera.order_display import STATES, fault_lines

    terms = view.order_terms()
    say(f"order      {view.order_id}")
    say(f"state      {view.state}: {STATES[view.state]}{f' ({view.reason})' if view.reason else ''}")
    say(f"rows       {terms.rows:,}")
    say(f"price      {unit.shown(terms.price)}")
    say(f"buyer      {terms.buyer}")
    say(f"match by   {local_time(terms.match_by, now)}")
    say(f"deliver by {local_time(view.deliver_by or terms.deliver_by, now)}")
    if view.dataset_id is not None:
        say(f"data set   {view.dataset_id}")
    for line in fault_lines(view, now, unit):
        say(line)


def cancel(order: OrderArgument, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take an order back before it is matched: the whole price returns at once. Goes to the chain directly.

    An order that is signed and not placed yet costs nothing and cannot be placed any more.
    """
    from provenance.chain.ports import OrderState

    with open_client(network, wallet) as client:
        terms = client.terms(order)
        placed = client.chain.order(terms.order_id(client.profile.deployment.domain)).state
        receipt = client.cancel(order)
    if placed is OrderState.NONE:
        say(f"cancelled; nobody can place the order any more (transaction {receipt.hash})")
    else:
        say(
            f"cancelled; {client.unit.shown(terms.price)} are back at {terms.buyer} (transaction {receipt.hash})"
        )


def refund(order: OrderArgument, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Take the price back after the order's deadline passed without delivery. Goes to the chain directly."""
    with open_client(network, wallet) as client:
        buyer = client.terms(order).buyer
        receipt, gained = client.refund(order)
        owed = client.chain.claimable(buyer)
    say(f"refunded; {client.unit.shown(gained)} are back at {buyer} (transaction {receipt.hash})")
    if owed:
        say(f"{client.unit.shown(owed)} more wait at the rewards contract: `tessera claim` pulls them")


def download(
    order: OrderArgument,
    to: OutFile,
    wallet: WalletFile,
    key: DeliveryKeyFile = None,
    key_wait: KeyWait = KEY_SECONDS,
    send_challenge: SendChallenge = False,
    _overwrite: OverwriteOption = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Fetch a published data set, check every row against chain, model and seed, and write it to a file.

    A false data set is not written. If the chain can be shown that before it settles, that is offered, or
    done with --send-challenge. Exit status: 0 written, 3 false and proven on chain, 4 false and standing, 5
    written without the shards whose keys were not released, 1 and 2 as everywhere; a delivery key of another
    order is 2.
    """
    with open_client(network, wallet, key) as client:
        status = _deliver(client, order, to, key_wait, send_challenge=send_challenge)
    raise typer.Exit(status)
