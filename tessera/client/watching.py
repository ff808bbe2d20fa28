"""`tessera request` and `tessera download`: order, watch, fetch, check, write - and go on after an
interruption.
"""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from provenance.values import Digest
from provenance.verify.certificate import Status
from tessera.client import delivery
from tessera.client.api import FAILED_STATES
from tessera.client.display import OrderDisplay
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import Quote, Wish, tokens
from tessera.client.purchase import Buyer
from tessera.client.refuting import refute_delivery
from tessera.errors import OrderFailedError, UsageError
from tessera.terminal import err, out, remark, say

DELIVERABLE = frozenset({"published", "settled"})


def run_request(
    buyer: Buyer, wish: Wish, to: Path, *, confirmed: bool, wait: bool, send_challenge: bool = False
) -> None:
    """The whole purchase; continues the order kept beside `to` when there is one."""
    kept = order_path(to)
    if kept.exists():
        order = OrderFile.read(kept)
        _check_same(order, wish, buyer, kept)
        say(f"continuing order {order.order_id} of {kept}")
    else:
        if to.exists():
            raise UsageError(f"{to} exists already and would be overwritten: choose another --out")
        quote = buyer.quote(wish)
        show_terms(quote)
        if not confirmed and wish.max_price_wei is None:
            _confirm(quote)
        order = buyer.sign(quote)
    buyer.send(order, kept)
    say(f"order {order.order_id} is with the broker; what you need to go on, cancel or refund is in {kept}")
    if wait:
        watch(buyer, order.order_id, OrderDisplay(err))
        deliver(buyer, order.order_id, to, send_challenge=send_challenge)


def run_download(buyer: Buyer, order: str, to: Path, *, send_challenge: bool = False) -> None:
    """Deliver an order given by its id or its file."""
    order_id = Digest.parse(order) if order.startswith("0x") else OrderFile.read(Path(order)).order_id
    deliver(buyer, order_id, to, send_challenge=send_challenge)


def watch(buyer: Buyer, order_id: Digest, display: OrderDisplay) -> None:
    """Show events until the rows can be fetched; `OrderFailedError` when the order ended otherwise."""
    with display.shown():
        for event in buyer.api.events(str(order_id)):
            display.take(event)
            state = event.data.text("state") if event.kind == "state" else ""
            if state in FAILED_STATES:
                break
            if state in DELIVERABLE:
                return
    view = buyer.api.order(str(order_id))
    reason = view.text_or("reason", "no reason was given")
    raise OrderFailedError(
        f"order {order_id} ended {view.text('state')}: {reason}. Look at the balance of {buyer.wallet.address}: "
        "what was in escrow is back, or `tessera refund` brings it back after the deadline"
    )


def deliver(buyer: Buyer, order_id: Digest, to: Path, *, send_challenge: bool = False) -> None:
    """Fetch, verify, write. A data set that fails any check is not written; if the chain can be shown a lie in it,
    that is offered, or done at once with `send_challenge`."""
    dataset_id = buyer.ledger.dataset_of_order(order_id)
    if dataset_id is None:
        raise OrderFailedError(
            f"order {order_id} has no data set on chain yet: watch it with the command that placed it"
        )
    found = delivery.fetch(buyer.ledger, buyer.api, dataset_id, buyer.delivery_key)
    certificate = delivery.verify(buyer.ledger, found)
    if certificate.failed:
        words = "; ".join(
            f"check {check.number} {check.name}: {check.detail}" for check in certificate.failed
        )
        remark(f"data set {dataset_id} is false, nothing was written ({words})")
        refute_delivery(buyer, found, to, send=send_challenge)
    rows = found.write(to)
    passed = sum(check.status is Status.PASSED for check in certificate.checks)
    say(
        f"{to}: {rows:,} rows of data set {buyer.ledger.deployment.dataset_name(dataset_id)}, {passed} checks passed"
    )


SIZES = {
    "fraud-provable": "fraud-provable: a row is small enough to be made again in one transaction",
    "recomputed": "recomputed: too large for one transaction, rows are checked off chain only",
}


def show_terms(quote: Quote) -> None:
    """The terms as a table, before anything is signed."""
    terms = quote.terms
    table = Table(title="terms, as they will be signed", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    privacy = (
        f"{terms.epsilon_micro / 1e6:g} (delta {terms.delta_e12 / 1e12:g})" if terms.epsilon_micro else "none"
    )
    for name, value in (
        ("order", str(quote.order_id)),
        ("collection", f"{quote.collection.title} ({quote.collection.name}, {quote.collection.family})"),
        ("rows", f"{terms.rows:,}"),
        ("size class", SIZES[quote.collection.size_class]),
        ("epsilon at most", privacy),
        ("contributors", f"{terms.min_contributors} to {terms.max_contributors}"),
        ("score at least", f"{terms.min_score_micro / 1e6:g}"),
        ("price", f"{tokens(terms.price)} tokens, of it {terms.broker_fee_bps / 100:g} % to the broker"),
        ("matched by, delivered by", f"chain time {terms.match_by}, {terms.deliver_by}"),
        ("challenge window", f"{terms.challenge_seconds} s after publication"),
        ("delivery key", "none: open data set" if terms.is_open else str(terms.delivery_key)),
    ):
        table.add_row(name, value)
    out.print(table)


def _confirm(quote: Quote) -> None:
    if not err.is_terminal:
        raise UsageError("nobody is there to agree to the price: pass --yes, or --max-price TOKENS")
    if not typer.confirm(f"Sign, and pay {tokens(quote.terms.price)} tokens into escrow?", err=True):
        remark("nothing was signed")
        raise typer.Exit(1)


def _check_same(order: OrderFile, wish: Wish, buyer: Buyer, kept: Path) -> None:
    terms = order.terms
    names = (order.collection.name, str(terms.collection))
    if wish.rows != terms.rows or wish.collection not in names or terms.buyer != buyer.wallet.address:
        raise UsageError(
            f"{kept} holds another order ({terms.rows} rows of {order.collection.name} for {terms.buyer}): continue "
            "it with its own options, or choose another --out"
        )
