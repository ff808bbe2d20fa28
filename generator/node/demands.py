"""Demands on chain about this node's shards, answered on chain with its own key, as early as possible.

An answer has two times: when the first one passes, anyone warns on chain; after the second, silence costs stake. What
leaves is put down in the outbox log before it leaves. The chain says what is open, so a killed node goes on where it
stood and answers nothing twice. What may be demanded is for the contracts (docs/spec/refutation.md).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from generator.errors import GeneratorError
from generator.node.answers import OrderAnswers
from generator.node.context import Node
from generator.node.orders import Accepted
from generator.node.outbox_log import OutboxLog
from generator.node.untrained import has_model, stand_in
from generator.node.watch_copies import WatchCopies
from provenance.chain.answers import AnswerWriting
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.model_parts import PartReading
from provenance.chain.ports import ChainReads, OrderState
from provenance.errors import ProvenanceError, UnavailableError
from provenance.record.terms import participants_digest
from provenance.units import local_time
from provenance.values import Digest

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
CLOSING_SECONDS = 60
_OPEN = (OrderState.MATCHED, OrderState.PUBLISHED)


class DemandReading(PartReading, Protocol):
    """What is read of the chain beside orders and commitments."""

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        """The open demand about a shard; UnavailableError when the chain is down."""
        ...

    def is_warned(self, order: Digest, shard: int) -> bool:
        """Whether its first time has passed."""
        ...


@dataclass(frozen=True, slots=True)
class OpenDemand:
    """What is asked of a node, and how much time it has; now: chain time of the look."""

    demand: DemandOnChain
    warned: bool
    now: int

    @property
    def is_late(self) -> bool:
        """Too late only after the second time: until somebody warned, an answer is as good as in time."""
        return self.warned and self.now > self.demand.answer_by

    def is_closing(self, answer_seconds: int) -> bool:
        """Whether the last moment has come for an answer that may turn out better until then."""
        return self.warned and self.demand.answer_by - self.now <= closing_seconds(answer_seconds)

    @property
    def stage(self) -> tuple[DemandKind, bool, bool]:
        """Changes when there is something new to say."""
        return self.demand.kind, self.warned, self.now > self.demand.answer_by

    @property
    def words(self) -> str:
        """For the operator."""
        what, when = self.demand.kind.name.lower(), local_time(self.demand.answer_by, self.now)
        if self.is_late:
            return f"the {what} was demanded and both times to answer have passed ({when})"
        if self.warned:
            return f"the {what} is demanded, THE FIRST TIME HAS PASSED; stake is lost unless it is shown by {when}"
        if self.now > self.demand.answer_by:
            return f"the {what} is demanded and its first time passed at {when}; a second begins when anyone warns"
        return f"the {what} is demanded, to be shown by {when}; a second time of the same length follows"


def closing_seconds(answer_seconds: int) -> int:
    """How much of the second time a node leaves itself for an answer that it puts off: a sixteenth, at least a minute
    for the transaction, never more than half."""
    return min(max(answer_seconds // 16, CLOSING_SECONDS), answer_seconds // 2)


def open_demand(orders: ChainReads, demands: DemandReading, order: Digest, shard: int) -> OpenDemand | None:
    """What is demanded of a shard of an order; None when nothing is, or when the shard is out."""
    demand = demands.demand(order, shard)
    if not demand.is_open or demand.shard in orders.shards(order).out:
        return None
    return OpenDemand(demand, demands.is_warned(order, demand.shard), orders.chain_time())


@dataclass
class DemandWatch:
    """Looks for open demands about the shards of this node and answers them."""

    node: Node
    chain: DemandReading
    writer: AnswerWriting
    outbox: OutboxLog
    copies: WatchCopies | None = None
    _over: set[Digest] = field(default_factory=set)
    _told: dict[Digest, OpenDemand] = field(default_factory=dict)
    """What the operator was told of last, by order."""

    def look(self) -> int:
        """Looks at every order once; returns the answers given. Raises UnavailableError when the chain is down."""
        answered = 0
        for order, accepted in self.node.orders.accepted():
            if order in self._over:
                continue
            try:
                answered += self._look_at(order, accepted)
            except UnavailableError:
                raise
            except (GeneratorError, ProvenanceError) as error:
                log.error("order %s: a demand could not be answered: %s", str(order)[:12], error)
        return answered

    def report(self) -> dict[str, str | int | bool]:
        """For the health page: how many demands are open, and what the operator was told of them."""
        told = self._told.copy()
        words = "; ".join(f"order {str(order)[:12]}: {each.words}" for order, each in told.items())
        return {"demands": len(told), "demanded": words}

    def _look_at(self, order: Digest, accepted: Accepted) -> bool:
        record = self.node.chain.order(order)
        if record.state not in _OPEN:
            if record.state not in (OrderState.NONE, OrderState.OPEN):
                self._forget(order)
            return False
        participants = self.node.chain.participants(order)
        if participants_digest(participants) != record.participants_digest:
            return False  # the node of the chain is between two answers: looked at again
        if self.node.address not in {each.contributor for each in participants}:
            self._over.add(order)
            return False
        answers = OrderAnswers(self.node, order, accepted, participants)
        try:
            return self._look_for_demand(answers)
        finally:
            if self.copies is not None:
                self.copies.hand_over(answers)

    def _look_for_demand(self, answers: OrderAnswers) -> bool:
        order, shard = answers.order, answers.shard
        found = open_demand(self.node.chain, self.chain, order, shard)
        if found is None:
            self._told.pop(order, None)
            return False
        self._tell(found)
        if found.is_late or _may_still_be_asked(answers, found) or self._is_to_be_trained(answers, found):
            return False
        try:
            self._answer(answers, found.demand)
        except RevertError:
            if self.chain.demand(order, shard).is_open:
                raise
            return False  # answered or ended in the meantime
        self._told.pop(order, None)
        return True

    def _is_to_be_trained(self, answers: OrderAnswers, found: OpenDemand) -> bool:
        """Whether a model may yet come: until the second time closes, for a step may wait in the market's queue, and
        while a training step is under way. Who has none then, because its broker asks for none, answers with an
        untrained one."""
        node, order = self.node, answers.order
        if found.demand.kind is not DemandKind.COMMITMENT or has_model(node, order):
            return False
        if not found.is_closing(answers.accepted.terms.answer_seconds):
            return True
        return not stand_in(node, order, answers.accepted)

    def _forget(self, order: Digest) -> None:
        """The order ended: nothing of it can be demanded any more, and its files are not taken any more."""
        self._over.add(order)
        self.node.orders.folder(order).drop_files()
        self._told.pop(order, None)
        if self.copies is not None:
            self.copies.forget(order)

    def _tell(self, found: OpenDemand) -> None:
        """Once for each thing that there is to say."""
        order = found.demand.order
        before, self._told[order] = self._told.get(order), found
        if before is None or before.stage != found.stage:
            level = logging.ERROR if found.warned else logging.WARNING
            log.log(level, "order %s: %s", str(order)[:12], found.words)

    def _answer(self, answers: OrderAnswers, demand: DemandOnChain) -> None:
        answer, what = answers.of(demand.kind), demand.kind.name.lower()
        self.outbox.add(f"{what} demanded", "chain", answer.shown(demand), str(demand.order))
        sent = answer.send(demand, self.chain, self.writer)
        log.warning("order %s: %s shown on chain (transaction %s)", str(demand.order)[:12], what, sent.hash)


def _may_still_be_asked(answers: OrderAnswers, found: OpenDemand) -> bool:
    """An evaluation that the market has not asked for by a task may yet come, for half of the first time. Then the
    node says on chain that it has none, rather than pay for the market's silence. While its own shard has not left for
    the market it waits until the second time closes: with this answer the shard may count as undelivered."""
    if found.demand.kind is not DemandKind.EVALUATION or answers.evaluation() is not None:
        return False
    seconds = answers.accepted.terms.answer_seconds
    if not answers.node.orders.folder(answers.order).is_shard_sent():
        return not found.is_closing(seconds)
    return not found.warned and found.demand.answer_by - found.now > seconds // 2


@contextmanager
def watching(watch: DemandWatch, stop: threading.Event, seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """Looks in a thread of its own for as long as the block lasts: training must not keep an answer waiting."""
    done = threading.Event()

    def run() -> None:
        while not (stop.is_set() or done.wait(seconds)):
            try:
                watch.look()
            except UnavailableError as error:
                log.warning("%s", error)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: the next look must come
                # The name only: a foreign message might quote a value of the table.
                log.error("looking for demands broke with %s; looking again", type(error).__name__)

    thread = threading.Thread(target=run, name="demands", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2 * seconds)
