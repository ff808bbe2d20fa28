"""An order on the terminal: its terms before it is signed, and while it runs the states it went through and how far
each node is.

On a terminal the table moves; elsewhere (a pipe, a log) each event is one line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from provenance.api.market import Event
from provenance.api.orders import (
    FAILED_STATES,
    FINAL_STATES,
    OrderState,
    OrderView,
    ProgressEvent,
    StateEvent,
)
from provenance.chain.disputes import MANIFEST_SHARD
from provenance.units import BASIS_POINTS, E12, MICRO, TokenUnit, duration, format_fixed, local_time, percent
from tessera.client.order_request import Quote
from tessera.terminal import out

SIZES = {
    "fraud-provable": "fraud-provable: a row is small enough to be made again in one transaction",
    "recomputed": "recomputed: too large for one transaction, rows are checked off chain only",
}
STATES = {
    OrderState.ACCEPTED: "the broker has the signed terms",
    OrderState.OPEN: "the money is in escrow",
    OrderState.MATCHED: "contributors have accepted, their stake is reserved",
    OrderState.TRAINED: "every node holds a finished model",
    OrderState.COMMITTED: "the digests of all models are on chain",
    OrderState.SEEDED: "a later block drew the seed",
    OrderState.SCORED: "rows are sampled, sealed, signed and scored",
    OrderState.PUBLISHED: "the data set is recorded on chain",
    OrderState.SETTLED: "the challenge window is over, everybody is paid",
    OrderState.REFUNDED: "the money is back with the buyer",
    OrderState.REVOKED: "the data set was shown on chain to be false, or withheld; the money is back with the buyer",
    OrderState.CANCELLED: "the buyer took the order back",
    OrderState.REJECTED: "the order never reached the chain",
}


@dataclass(slots=True)
class NodeProgress:
    """The newest word of one node (or of the coordinator, whose name is empty)."""

    message: str = ""
    round: int = 0
    rounds: int = 0
    loss: str = ""
    epsilon: str = ""


@dataclass(slots=True)
class OrderDisplay:
    """Collects events; shows them when asked. `names` gives nodes names instead of addresses."""

    console: Console
    names: dict[str, str] = field(default_factory=dict)
    states: list[tuple[OrderState, float, str]] = field(default_factory=list)
    nodes: dict[str, NodeProgress] = field(default_factory=dict)
    rounds_seen: set[tuple[str, int]] = field(default_factory=set)
    _started: float = field(default_factory=time.monotonic)
    _live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[OrderDisplay]:
        """While inside, events appear as they come."""
        if not self.console.is_terminal:
            yield self
            return
        with Live(self, console=self.console, refresh_per_second=8) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def take(self, event: Event) -> None:
        """One event of the order's stream."""
        if isinstance(event.data, StateEvent):
            self._take_state(event.data)
        elif isinstance(event.data, ProgressEvent):
            self._take_progress(event.data)
        else:
            self._line(event.data.text)

    def _take_state(self, data: StateEvent) -> None:
        reason, seconds = data.reason or "", time.monotonic() - self._started
        self.states.append((data.state, seconds, reason))
        self._line(f"{seconds:6.1f} s  {data.state}: {STATES[data.state]}{f' ({reason})' if reason else ''}")

    def _take_progress(self, data: ProgressEvent) -> None:
        node = "" if data.node is None else str(data.node)
        seen = self.nodes.setdefault(node, NodeProgress())
        seen.message = data.message or seen.message
        seen.round = seen.round if data.round is None else data.round
        seen.rounds = seen.rounds if data.rounds is None else data.rounds
        seen.loss = seen.loss if data.loss is None else f"{data.loss:.4g}"
        seen.epsilon = seen.epsilon if data.epsilon is None else f"{data.epsilon:.4g}"
        new_round = (node, seen.round) not in self.rounds_seen
        self.rounds_seen.add((node, seen.round))
        if new_round or not seen.rounds:
            self._line("          " + self._describe(node, seen))

    def _describe(self, node: str, seen: NodeProgress) -> str:
        parts = [self.name(node), f"round {seen.round}/{seen.rounds}" if seen.rounds else "", seen.message]
        parts += [f"loss {seen.loss}" if seen.loss else "", f"epsilon {seen.epsilon}" if seen.epsilon else ""]
        return "  ".join(part for part in parts if part)

    def name(self, node: str) -> str:
        """A node's name if it is known, else the short form of its address."""
        return self.names.get(node.lower(), f"{node[:8]}…{node[-4:]}") if node else "coordinator"

    def _line(self, text: str) -> None:
        if self._live is None and not self.console.is_terminal:
            self.console.print(text, markup=False, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        states = Table.grid(padding=(0, 2))
        for state, seconds, reason in self.states:
            style = "red" if state in FAILED_STATES else "green"
            words = STATES[state] + (f" ({reason})" if reason else "")
            states.add_row(Text(f"{seconds:6.1f} s", style="dim"), Text(state, style=style), words)
        if not self.states or self.states[-1][0] not in FINAL_STATES:
            states.add_row(Spinner("dots", style="cyan"), Text("working", style="cyan"), "")
        nodes = Table(box=None, padding=(0, 2))
        for heading in ("node", "round", "loss", "epsilon", "doing"):
            nodes.add_column(heading, style="dim" if heading == "doing" else "")
        for node, seen in sorted(self.nodes.items()):
            rounds = f"{seen.round}/{seen.rounds}" if seen.rounds else ""
            nodes.add_row(self.name(node), rounds, seen.loss, seen.epsilon, seen.message)
        return Group(states, nodes) if self.nodes else states


def fault_lines(view: OrderView, now: int, unit: TokenUnit) -> Iterator[str]:
    """Who was dropped, convicted or fined, what is demanded, and what went back to the buyer. `now`: chain time."""
    for each in view.faults:
        slashed = unit.shown(each.slashed_wei)
        shard = f"shard {each.shard} of {each.contributor}"
        yield {
            "dropped": f"dropped    {shard} delivered nothing: {slashed} of its stake burned, its rows not paid",
            "convicted": f"convicted  {shard} was shown to be false, or withheld: {slashed} of its stake taken, and "
            "its part of the price goes back to the buyer",
            "fined": f"fined      {each.contributor} did not say what it finds of the rows: {slashed} of its stake "
            "burned",
            "broker": f"broker     it withheld the manifest: {slashed} of its bond burned, and its fee goes back to "
            "the buyer",
        }[each.kind]
    for demand in view.demands:
        if demand.state in ("open", "warned"):
            time = "the second and last time ends" if demand.state == "warned" else "to be answered by"
            whose = "" if demand.shard == MANIFEST_SHARD else f" of shard {demand.shard}"
            yield f"demand     the {demand.kind}{whose} is demanded: {time} {local_time(demand.answer_by, now)}"
    if view.refunded_wei is not None:
        yield f"paid back  {unit.shown(view.refunded_wei)} to the buyer"


def show_terms(quoted: Quote) -> None:
    """The terms as a table, before anything is signed."""
    terms, now = quoted.terms, quoted.chain_time
    table = Table(title="terms, as they will be signed", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    privacy = "none"
    if terms.epsilon_micro:
        privacy = f"{format_fixed(terms.epsilon_micro, MICRO)} (delta {format_fixed(terms.delta_e12, E12)})"
    for name, value in (
        ("order", str(quoted.order_id)),
        ("collection", f"{quoted.collection.title} ({quoted.collection.name}, {quoted.collection.family})"),
        ("rows", f"{terms.rows:,}"),
        ("supply", quoted.supply),
        ("size class", SIZES[quoted.collection.size_class]),
        ("epsilon at most", privacy),
        ("contributors", f"{terms.min_contributors} to {terms.max_contributors}"),
        ("score at least", format_fixed(terms.min_score_micro, MICRO)),
        (
            "price",
            f"{quoted.unit.shown(terms.price)}, of it {percent(terms.broker_fee_bps, BASIS_POINTS)} to the broker",
        ),
        ("matched by", local_time(terms.match_by, now)),
        ("delivered by", f"{local_time(terms.deliver_by, now)}, else the money comes back"),
        ("challenge window", f"{duration(terms.challenge_seconds)} after publication"),
        ("delivery key", "none: open data set" if terms.is_open else str(terms.delivery_key)),
    ):
        table.add_row(name, value)
    out.print(table)
    if quoted.in_stock is not None:
        out.print(
            f"models with this epsilon are in stock (order {quoted.in_stock}): --from-stock brings rows in seconds",
            markup=False,
            soft_wrap=True,
        )
