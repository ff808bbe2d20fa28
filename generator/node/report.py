"""What the operator asks: status as a value; outbox log and what would leave as plain lines of text."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from generator.errors import BudgetExceeded, LedgerRestored, NotYet, TaskRefused
from generator.evaluation.holdout import SCORE_EPSILON
from generator.node import health
from generator.node.accept import check_budget, check_exact_counts, proposal_of
from generator.node.approvals import ASKED, Approval
from generator.node.context import Node, shard_of
from generator.node.demands import open_demand
from generator.node.outbox_log import OutboxLog
from generator.node.policy import Decision
from generator.node.recorded_heads import require_newest_ledger
from generator.node.registration import announcement
from generator.node.setup import Opened
from generator.node.stock import check_stock
from provenance.api.market import MarketClient
from provenance.api.orders import OrderState as BrokerState
from provenance.chain.ports import OrderState, StakeOnChain
from provenance.errors import UnavailableError
from provenance.record.collection import Request, sums_alone
from provenance.record.epsilon_words import epsilon_in_words
from provenance.record.terms import OrderTerms, Participant
from provenance.units import E12, MICRO, format_fixed, to_float
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """An order that this node accepted. own_rows: those it makes; None before the match, or without a chain.
    demanded: what is asked of it on chain now, in words; empty when nothing is."""

    order: Digest
    is_delivered: bool
    rows: int
    own_rows: int | None
    epsilon: float | None
    demanded: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """A node as it stands. stake, claimable_wei: None while the chain does not answer, which `chain_problem` says."""

    node: Address
    collection: str
    collection_id: str
    backend: str
    doing: str | None
    tasks_done: int
    stake: StakeOnChain | None
    claimable_wei: int | None
    chain_problem: str
    orders: tuple[HeldOrder, ...]
    questions: tuple[Approval, ...]


def status(opened: Opened) -> Status:
    """The node as it stands: who, whether it runs, money, orders, questions. `doing` is None when it does not run."""
    me, chain = opened.signer.address, opened.chain
    doing, done = _running(opened)
    stake, claimable, problem = None, None, ""
    try:
        stake, claimable = chain.stake_of(me), chain.claimable(me)
    except UnavailableError as error:
        problem = str(error)
    held = []
    for order, accepted in opened.orders.accepted():
        matched = () if problem else chain.participants(order)
        held.append(
            HeldOrder(
                order,
                opened.orders.folder(order).stored("sample") is not None,
                accepted.terms.rows,
                next((participant.rows for participant in matched if participant.contributor == me), None),
                to_float(accepted.terms.epsilon_micro, MICRO) or None,
                "" if problem else _demanded(opened, order, matched),
            )
        )
    return Status(
        me,
        opened.collection.name,
        opened.settings.collection,
        opened.settings.backend,
        doing,
        done,
        stake,
        claimable,
        problem,
        tuple(held),
        tuple(approval for approval in opened.approvals.all() if approval.state == ASKED),
    )


def _demanded(opened: Opened, order: Digest, matched: tuple[Participant, ...]) -> str:
    """What the chain asks of this node about an order: its process answers by itself, if it runs."""
    me, chain = opened.signer.address, opened.chain
    is_open = chain.order(order).state in (OrderState.MATCHED, OrderState.PUBLISHED)
    if not is_open or me not in {participant.contributor for participant in matched}:
        return ""
    found = open_demand(chain, chain, order, shard_of(matched, me))
    return "" if found is None else found.words


def outbox_lines(outbox: OutboxLog, *, order: str = "", summary: bool = False) -> Iterator[str]:
    """Every message that left, or its kinds with counts and bytes."""
    wanted = [entry for entry in outbox.entries() if entry.order.startswith(order)]
    if summary:
        count: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for entry in wanted:
            count[entry.kind] += 1
            size[entry.kind] += entry.size
        for kind, number in count.most_common():
            yield f"{kind:<14} {number:>7} messages {size[kind]:>12} bytes"
        return
    for entry in wanted:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
        epsilon = f" epsilon {entry.epsilon}" if entry.epsilon else ""
        about = f" {entry.order[:12]} {entry.task}" if entry.order else ""
        yield f"{when} {entry.kind:<12} {entry.size:>9} bytes sha256 {entry.sha256[2:18]}{about}{epsilon}"


def dry_run_lines(opened: Opened, client: MarketClient) -> Iterator[str]:
    """What `run` would send now; nothing but reads goes out, nothing is signed, no privacy is spent."""
    me, settings = opened.signer.address, opened.settings
    stake = opened.chain.stake_of(me)
    if not stake.registered:
        yield f"would send  transaction ContributorRegistry.register by {me}"
    missing = max(0, settings.stake_wei - stake.free - stake.reserved)
    if missing:
        shown = opened.chain.deployment.unit.shown(missing)
        yield f"would send  transactions approving and depositing {shown} of stake"
    body = announcement(settings).to_json()
    yield f"would send  announcement, {len(body)} bytes: {body.decode()}"
    node = opened.node(client)
    try:
        require_newest_ledger(node)
    except NotYet as reason:
        yield f"would answer no order yet: {reason}"
        return
    except LedgerRestored as refusal:
        yield f"would refuse every order ({refusal.code}): {refusal.figures}"
        return
    is_any = False
    for view in client.orders(state=BrokerState.OPEN):
        if view.collection == opened.collection.digest:
            is_any = True
            yield from _would_answer(node, OrderTerms.parse(view.terms), Request.parse(view.request))
    if not is_any:
        yield "no open order of this collection; nothing else would leave"


def _would_answer(node: Node, terms: OrderTerms, request: Request) -> Iterator[str]:
    order = terms.order_id(node.domain)
    if node.chain.order(order).state is not OrderState.OPEN:
        yield f"order {order}: listed as open, but not by the escrow: would be refused"
        return
    verdict = node.policy().judge(proposal_of(node, terms, request))
    try:
        if request.training is None:
            check_exact_counts(node, order, terms, request)
        if verdict.decision is Decision.DENY:
            raise TaskRefused(verdict.code, verdict.reason)
        if request.training is not None:
            check_stock(node, terms, request, request.training)
        check_budget(node, order, terms, request)
    except NotYet as reason:
        yield f"order {order}: would wait: {reason}"
        return
    except BudgetExceeded as refusal:
        yield f"order {order}: would be refused ({refusal.code}): {refusal.figures}"
        return
    except TaskRefused as refusal:
        yield f"order {order}: would be refused ({refusal.code}): {refusal.reason}"
        return
    if verdict.decision is Decision.ASK:
        yield f"order {order}: would wait for `approve {str(order)[:12]}`; nothing would leave before"
    training = request.training
    if training is not None:
        yield f"order {order}: would send, from stock, spending no epsilon:"
    else:
        delta = format_fixed(terms.delta_e12, E12)
        yield f"order {order}: would send, within epsilon {_epsilon(terms)} at delta {delta}:"
    if terms.epsilon_micro and training is None:
        unit = node.collection.schema.unit
        yield f"    means       {epsilon_in_words(terms.epsilon_micro, terms.delta_e12, unit)}"
    what = what_leaves(node, terms) if training is None else _leaves_from_stock(terms, training)
    yield from (f"    {line}" for line in what)


def what_leaves(node: Node, terms: OrderTerms) -> Iterator[str]:
    """A line for each message that an order of these terms would have the node send."""
    yield f"acceptance  a signature under at most {terms.rows} rows"
    yield from _what_training_sends(node, is_private=terms.epsilon_micro > 0)
    yield "finish      the model's SHA-256 and a signature under it; the model itself stays"
    yield from _sampled(terms)
    own = "" if terms.epsilon_micro else f" of epsilon {SCORE_EPSILON:g}"
    yield f"evaluate    one hold-out score with Gaussian noise{own} and a signature"


def _leaves_from_stock(terms: OrderTerms, training: Digest) -> Iterator[str]:
    yield f"acceptance  a signature under at most {terms.rows} rows"
    yield f"commit      a signature under the SHA-256 of the model of order {training}; no privacy is spent"
    yield from _sampled(terms)
    yield f"evaluate    the score that was released with order {training}, and a signature"


def _sampled(terms: OrderTerms) -> Iterator[str]:
    sealed = (
        "in clear: the data set is open" if terms.is_open else f"sealed to delivery key {terms.delivery_key}"
    )
    yield f"sample      rows and model, {sealed}; receipt"
    yield "            exact pair counts of the synthetic rows and of the first 16,384 rows of their stream"


def _what_training_sends(node: Node, *, is_private: bool) -> Iterator[str]:
    is_summed = sums_alone(node.collection.settings)
    alike = ", masked alike" if is_summed else ""
    if not is_private:
        yield "train       univariate counts, exact, masked: only all nodes' sum is seen, out of which rows may be read"
        yield "            pair or triple counts, exact, masked alike"
    else:
        noise = "a share of the noise, masked: only all nodes' sum is seen" if is_summed else "Gaussian noise"
        yield "train       univariate counts with Gaussian noise"
        yield f"            pair or triple counts with {noise}"
    if node.collection.family == "fedgan":
        yield "            updates of the averaged discriminator under DP-SGD, one a round"
    if node.collection.family == "autoregressive":
        sums = "sums of clipped gradients under DP-SGD" if is_private else "exact sums of gradients"
        yield f"            {sums}, one a round{alike}"


def _running(opened: Opened) -> tuple[str | None, int]:
    """What the node's process does now and how many tasks it has done; (None, 0) when there is none."""
    path = opened.folder / health.FILE
    if not path.exists():
        return None, 0
    try:
        port = int(json.loads(path.read_bytes())["port"])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            report = json.loads(answer.read())
        return str(report["doing"]), int(report["done"])
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return None, 0  # the file is left from a killed process


def _epsilon(terms: OrderTerms) -> str:
    return format_fixed(terms.epsilon_micro, MICRO) if terms.epsilon_micro else "none"
