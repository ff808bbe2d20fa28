"""Receipt demands on chain, made when a contributor falls silent after the seed is drawn.

Without them a contributor could wait for the seed, look at its rows and drop out at the broker's cost. A demand sets
a time to show the signed receipt to everybody. Silence costs the contributor its stake and returns the broker's
bond. Every look asks the chain first, so a killed broker continues where it stood.
"""

from __future__ import annotations

import logging

from backend.contributors import HONESTLY_REFUSED
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import TaskRepository
from backend.workflow.order_log import OrderLog
from provenance.api.queue import WorkState
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState as ChainState
from provenance.values import Digest

SAMPLE_TASK = "sample"
DEPOSIT_PART = 100
"""The deposit of a demand is the price divided by this; it comes back, answered or not."""
_LOG = logging.getLogger("backend.workflow")


class ReceiptDemands:
    """Demands of one order. In memory: only the shards whose demand the chain refused."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._log = OrderLog(ports, order)
        self._refused: set[int] = set()

    def look(self) -> bool:
        """Demands overdue receipts and ends demands whose time ran out; True while an answer is awaited."""
        waiting = False
        for shard in self._overdue():
            demand = self._ports.chain.demand(self._id, shard)
            if not demand.is_open:
                waiting |= shard not in self._refused and self._demand(shard)
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
        for shard in range(len(self._log.load().matched)):
            demand = self._ports.chain.demand(self._id, shard)
            if demand.is_open and now > demand.answer_by:
                self._expire(shard)

    def _overdue(self) -> list[int]:
        """Shards whose node refused its sample task, or has it for longer than the settings allow.

        Without those whose model makes no rows under the order's conditions: they have no receipt to show, and a
        contributor that says so is not silent.
        """
        allowed, now = self._ports.settings.receipt_seconds, self._ports.clock()
        with self._ports.database.read() as session:
            tasks = TaskRepository(session).of_order(self._order, SAMPLE_TASK)
            late = {
                task.node
                for task in tasks
                if task.refusal_code != HONESTLY_REFUSED
                and (
                    task.state == WorkState.REFUSED
                    or (task.state != WorkState.DONE and now - task.created_at > allowed)
                )
            }
        if not late:
            return []
        members = self._log.load().participants()
        return [k for k, member in enumerate(members) if str(member.contributor) in late]

    def _demand(self, shard: int) -> bool:
        """False when the chain refuses the demand."""
        stored = self._log.load()
        try:
            self._approve(stored)
            receipt = self._ports.writer.demand_receipt(
                stored.terms, stored.participants(), shard, self._ports.chain.commitment(self._id).models
            )
        except RevertError as refusal:
            if self._ports.chain.demand(self._id, shard).is_open:
                return True
            self._refused.add(shard)
            self._log.message(f"no receipt can be demanded of shard {shard}: {refusal.name or refusal}")
            return False
        self._log.mined("demand", receipt)
        contributor = stored.participants()[shard].contributor
        self._log.message(
            f"contributor {contributor} is silent since the seed: its receipt is demanded on chain"
        )
        return True

    def _approve(self, stored: StoredOrder) -> None:
        demands, deposit = self._ports.chain.deployment.demands, stored.terms.price // DEPOSIT_PART
        if self._ports.chain.allowance(self._ports.broker, demands) < deposit:
            self._ports.writer.approve(demands, deposit)

    def _expire(self, shard: int) -> None:
        stored = self._log.load()
        try:
            receipt = self._ports.writer.expire(stored.terms, stored.participants(), shard)
        except RevertError as refusal:
            # Somebody else ended it, or it was answered just now: the next look decides.
            _LOG.info("demand of shard %d could not be ended: %s", shard, refusal)
            return
        self._log.mined("expire", receipt)
        self._log.message(
            f"the demand of shard {shard} was not answered in time; its contributor pays for it"
        )
