"""An order on the terminal while it runs: the states it went through and how far each node is.

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
from provenance.api.orders import FAILED_STATES, FINAL_STATES, OrderState, ProgressEvent, StateEvent

STATES = {
    "accepted": "the broker has the signed terms",
    "open": "the money is in escrow",
    "matched": "contributors have accepted, their stake is reserved",
    "trained": "every node holds a finished model",
    "committed": "the digests of all models are on chain",
    "seeded": "a later block drew the seed",
    "scored": "rows are sampled, sealed, signed and scored",
    "published": "the data set is recorded on chain",
    "settled": "the challenge window is over, everybody is paid",
    "refunded": "the money is back with the buyer",
    "revoked": "the data set was shown on chain to be false, or withheld; the money is back with the buyer",
    "cancelled": "the buyer took the order back",
    "rejected": "the order never reached the chain",
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
    states: list[tuple[str, float, str]] = field(default_factory=list)
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
            self._take_state(event.data.state, event.data.reason or "")
        elif isinstance(event.data, ProgressEvent):
            self._take_progress(event.data)
        else:
            self._line(event.data.text)

    def _take_state(self, state: OrderState, reason: str) -> None:
        seconds = time.monotonic() - self._started
        self.states.append((state, seconds, reason))
        words = STATES.get(state, "")
        self._line(f"{seconds:6.1f} s  {state}: {words}{f' ({reason})' if reason else ''}")

    def _take_progress(self, told: ProgressEvent) -> None:
        node = "" if told.node is None else str(told.node)
        seen = self.nodes.setdefault(node, NodeProgress())
        seen.message = seen.message if told.message is None else told.message
        seen.round = seen.round if told.round is None else told.round
        seen.rounds = seen.rounds if told.rounds is None else told.rounds
        seen.loss = seen.loss if told.loss is None else f"{told.loss:.4g}"
        seen.epsilon = seen.epsilon if told.epsilon is None else f"{told.epsilon:.4g}"
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
            words = STATES.get(state, "") + (f" ({reason})" if reason else "")
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
