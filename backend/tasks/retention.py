"""What nodes sent for an order is deleted when the order is over: task payloads, which quote other nodes, and results.

Counts of every contributor's rows, noisy or summed, are in them. Nothing that is shown or paid afterwards needs them:
manifest, record and receipts stand in the store and on chain, and the queue keeps each task's name, state and digests.
Of orders whose models are sold again they are kept: an order from stock replays them. Keys stay, for they are owed
also when everybody is paid, and public. Which orders are due follows from the database
alone, so a pass that was killed is made again by the next.
"""

from __future__ import annotations

import logging

from sqlalchemy import func, select, update

from backend.database.models import OrderEventRow, OrderRow, TaskRow
from backend.orders.standing import StandingModels
from backend.ports import Ports
from provenance.api.orders import FINAL_STATES
from provenance.api.tasks import RELEASE

_LOG = logging.getLogger("backend.tasks")


def delete_old_results(ports: Ports) -> int:
    """Deletes what nodes sent for orders that ended `task_retention_seconds` ago; the number of orders. Again does
    nothing."""
    latest = ports.clock() - ports.settings.task_retention_seconds
    # An empty payload stands for a deleted one: no task is queued without.
    of_task = (TaskRow.kind != RELEASE, func.length(TaskRow.payload) > 0)
    last_event = select(func.max(OrderEventRow.created_at)).where(
        OrderEventRow.order == OrderRow.id, OrderEventRow.kind == "state"
    )
    is_due = (
        OrderRow.state.in_(FINAL_STATES),
        last_event.scalar_subquery() <= latest,
        select(TaskRow.id).where(TaskRow.order == OrderRow.id, *of_task).exists(),
    )
    with ports.database.read() as session:
        stock = StandingModels(session)
        due = [
            row.id for row in session.scalars(select(OrderRow).where(*is_due)) if not stock.is_needed(row.id)
        ]
    for order in due:
        with ports.database.write() as session:
            session.execute(
                update(TaskRow).where(TaskRow.order == order, *of_task).values(payload=b"", result=None)
            )
        _LOG.info("order %s: what its nodes sent is deleted", order[:12])
    return len(due)
