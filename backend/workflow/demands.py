"""Demands on chain, made when a contributor falls silent where an order cannot go on without it.

Without them a contributor could let an order run out at the broker's cost. A demand sets a time to show what is
missing to everybody; there are two such times. Silence takes the contributor's stake and leaves it out: the order goes
on with the others. Every look asks the chain first, so a killed broker continues where it stood.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from backend.contributors import HONESTLY_REFUSED
from backend.database.models import TaskRow
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import WAITING, TaskRepository
from backend.workflow.order_log import OrderLog
from provenance.api.queue import TaskKind, WorkState
from provenance.chain.disputes import MANIFEST_SHARD, DemandKind
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState as ChainState
from provenance.values import Address, Digest

ASKED_BY: Final[Mapping[TaskKind, DemandKind]] = {
    "train": DemandKind.COMMITMENT,
    "commit": DemandKind.COMMITMENT,
    "reveal": DemandKind.SALT,
    "sample": DemandKind.RECEIPT,
    "evaluate": DemandKind.EVALUATION,
}
"""What is demanded on chain of a node that does not answer a task."""
_WORDS: Final = {
    DemandKind.COMMITMENT: "commitment to its model",
    DemandKind.SALT: "salt of the seed",
    DemandKind.RECEIPT: "receipt",
    DemandKind.EVALUATION: "evaluation",
}
_LOG = logging.getLogger("backend.workflow")


class StepDemands:
    """Demands of one order. In memory: only what the chain refused to demand."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._log = OrderLog(ports, order)
        self._refused: set[tuple[int, DemandKind]] = set()

    def look(self, task: TaskKind, unasked: Sequence[int] = ()) -> bool:
        """Demands what is overdue of the nodes' tasks of one kind, and ends demands whose time ran out; True while an
        answer is awaited. unasked: shards of which it is demanded though they were given no such task."""
        waiting, kind = False, ASKED_BY[task]
        for shard in sorted({*self.overdue(task), *unasked}):
            demand = self._ports.chain.demand(self._id, shard)
            if not demand.is_open:
                waiting |= (shard, kind) not in self._refused and self._demand(shard, kind)
                continue
            waiting = True
            if self._ports.chain.chain_time() > demand.answer_by:
                self._expire(shard)
        return waiting

    def end_overdue(self) -> None:
        """Ends every demand of the order whose time ran out, whoever made it: nothing else moves until then."""
        record = self._ports.chain.order(self._id)
        if not record.open_demands or record.state not in (ChainState.MATCHED, ChainState.PUBLISHED):
            return
        now = self._ports.chain.chain_time()
        for shard in (*range(len(self._log.load().matched)), MANIFEST_SHARD):
            demand = self._ports.chain.demand(self._id, shard)
            if demand.is_open and now > demand.answer_by:
                self._expire(shard)

    def overdue(self, task: TaskKind) -> list[int]:
        """Shards that stand and whose node refused its task, or has it for longer than the settings allow.

        Training takes as long as it takes: there the time counts from the node's last sign of life, until the order's
        deadline. Without those whose model makes no rows under the order's conditions: they have no receipt to show,
        and a contributor that says so is not silent.
        """
        is_due = task == "train" and self._ports.chain.chain_time() > self._log.load().terms.deliver_by
        with self._ports.database.read() as session:
            late = {
                Address.parse(each.node)
                for each in TaskRepository(session).of_order(self._order, None)
                if each.kind == task
                and each.refusal_code != HONESTLY_REFUSED
                and (
                    each.state == WorkState.REFUSED
                    or (each.state in WAITING and (is_due or self._is_late(each)))
                )
            }
        if not late:
            return []
        members, out = self._log.load().participants(), self._ports.chain.shards(self._id).out
        return [k for k, member in enumerate(members) if member.contributor in late and k not in out]

    def _is_late(self, task: TaskRow) -> bool:
        since = max(task.created_at, task.leased_until) if task.kind == "train" else task.created_at
        return self._ports.clock() - since > self._ports.settings.receipt_seconds

    def _demand(self, shard: int, kind: DemandKind) -> bool:
        """False when the chain refuses the demand: what is missing was shown there before, or it is too late."""
        stored = self._log.load()
        try:
            receipt = self._ports.writer.demand_step(
                stored.terms, stored.participants(), shard, kind, self._digests(kind)
            )
        except RevertError as refusal:
            if self._ports.chain.demand(self._id, shard).is_open:
                return True
            self._refused.add((shard, kind))
            self._log.message(
                f"no {_WORDS[kind]} can be demanded of shard {shard}: {refusal.name or refusal}"
            )
            return False
        self._log.mined("demand", receipt)
        self._log.message(f"{self._who(stored, shard)} is silent: its {_WORDS[kind]} is demanded on chain")
        return True

    def _digests(self, kind: DemandKind) -> tuple[Digest, ...]:
        if kind not in (DemandKind.SALT, DemandKind.RECEIPT):
            return ()
        committed = self._ports.chain.commitment(self._id)
        return committed.salts if kind is DemandKind.SALT else committed.models

    def _expire(self, shard: int) -> None:
        stored = self._log.load()
        before = self._ports.chain.shards(self._id).out
        try:
            receipt = self._ports.writer.expire(stored.terms, stored.participants(), shard)
        except RevertError as refusal:
            # Somebody else ended it, or it was answered just now: the next look decides.
            _LOG.info("demand of shard %d could not be ended: %s", shard, refusal)
            return
        self._log.mined("expire", receipt)
        who = self._who(stored, shard)
        if self._ports.chain.demand(self._id, shard).is_open:
            self._log.message(f"{who} has not answered in time; it has as long again")
        elif shard in self._ports.chain.shards(self._id).out - before:
            self._log.message(f"{who} did not answer: the order goes on without it, and it pays for that")
        else:
            self._log.message(f"the demand of {who} ended without an answer")

    def _who(self, stored: StoredOrder, shard: int) -> str:
        if shard == MANIFEST_SHARD:
            return "the broker"
        return f"contributor {stored.participants()[shard].contributor}"
