"""Receipts demanded on chain: what the broker does about a contributor that falls silent after the seed is drawn.

Without this a contributor could wait for the seed, look at its rows and drop out at the broker's cost. A demand
gives it a time to show its signed receipt to everybody; silence costs it its stake and gives the broker its bond
back. Every look asks the chain first, so that a killed broker goes on where it stood.
"""

from __future__ import annotations

import logging

from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.leases import WorkState
from backend.tasks.repository import TaskRepository
from backend.workflow.order_log import Journal
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState as ChainState
from provenance.values import Digest

SAMPLE_TASK = "sample"
HONESTLY_REFUSED = "conditions-unmet"
DEPOSIT_PART = 100
"""A demand costs this part of the price, paid to who answers."""
_LOG = logging.getLogger("backend.workflow")


class Demanding:
    """Demands of one order. Keeps in memory only which shards the chain said no more can be demanded of."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._journal = Journal(ports, order)
        self._done: set[int] = set()

    def look(self) -> bool:
        """Demands overdue receipts and ends demands whose time ran out; True while an answer is awaited."""
        waiting = False
        for shard in self._overdue():
            demand = self._ports.ledger.demand(self._id, shard)
            if not demand.is_open:
                waiting |= shard not in self._done and self._demand(shard)
                continue
            waiting = True
            if self._ports.ledger.chain_time() > demand.answer_by:
                self._expire(shard)
        return waiting

    def end_overdue(self) -> None:
        """Ends every demand of the order whose time ran out, whoever made it: nothing else moves until then."""
        record = self._ports.ledger.order(self._id)
        if not record.open_demands or record.state not in (ChainState.MATCHED, ChainState.PUBLISHED):
            return
        now = self._ports.ledger.chain_time()
        for shard in range(len(self._journal.load().matched)):
            demand = self._ports.ledger.demand(self._id, shard)
            if demand.is_open and now > demand.answer_by:
                self._expire(shard)

    def _overdue(self) -> list[int]:
        """Shards whose node refused its sample task, or has it for longer than the settings allow.

        Not those whose model makes no rows under the order's conditions: no receipt can be had of them, and a
        contributor that says so is not silent.
        """
        patience, now = self._ports.settings.receipt_seconds, self._ports.clock()
        with self._ports.database.read() as session:
            found = TaskRepository(session).of_order(self._order, SAMPLE_TASK)
            late = {
                task.node
                for task in found
                if task.refusal_code != HONESTLY_REFUSED
                and (
                    task.state == WorkState.REFUSED
                    or (task.state != WorkState.DONE and now - task.created_at > patience)
                )
            }
        if not late:
            return []
        members = self._journal.load().participants()
        return [k for k, member in enumerate(members) if str(member.contributor) in late]

    def _demand(self, shard: int) -> bool:
        """False when the chain takes no such demand (any more)."""
        stored = self._journal.load()
        try:
            self._approve(stored)
            receipt = self._ports.writer.demand_receipt(
                stored.terms, stored.participants(), shard, self._ports.ledger.commitment(self._id).models
            )
        except RevertError as refusal:
            if self._ports.ledger.demand(self._id, shard).is_open:
                return True
            self._done.add(shard)
            self._journal.say(f"no receipt can be demanded of shard {shard}: {refusal.name or refusal}")
            return False
        self._journal.sent("demand", receipt)
        contributor = stored.participants()[shard].contributor
        self._journal.say(
            f"contributor {contributor} is silent since the seed: its receipt is demanded on chain"
        )
        return True

    def _approve(self, stored: StoredOrder) -> None:
        demands, deposit = self._ports.ledger.deployment.demands, stored.terms.price // DEPOSIT_PART
        if self._ports.ledger.allowance(self._ports.broker, demands) < deposit:
            self._ports.writer.approve(demands, deposit)

    def _expire(self, shard: int) -> None:
        stored = self._journal.load()
        try:
            receipt = self._ports.writer.expire(stored.terms, stored.participants(), shard)
        except RevertError as refusal:
            # Somebody else ended it, or it was answered in the last moment: the next look decides.
            _LOG.info("demand of shard %d could not be ended: %s", shard, refusal)
            return
        self._journal.sent("expire", receipt)
        self._journal.say(
            f"the demand of shard {shard} was not answered in time; its contributor pays for it"
        )
