"""The workflow of an order as one list of steps: durable when `run` is the workflow engine's, direct in tests.

Every step looks at the chain and the database before it acts, so it may run again after any kill. A step that fails
leads to `give_back`. The workflow ends only in a final state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import OperationalError

from backend.errors import OrderFailedError, Stopping
from backend.ports import Ports
from backend.workflow.generate import Generation
from backend.workflow.match import Matching
from backend.workflow.order_log import OrderLog
from backend.workflow.settle import Settlement

_LOG = logging.getLogger("backend.workflow")
BUSY_SECONDS = 2.0


class RunStep(Protocol):
    """Runs a step and remembers, if it can, that it is done. The names are stored: they must not change."""

    def __call__(self, name: str, step: Callable[[], bool | None]) -> bool | None: ...


def run_directly(name: str, step: Callable[[], bool | None]) -> bool | None:
    """Runs a step and remembers nothing, which is enough because the steps are idempotent."""
    _LOG.debug("step %s", name)
    return step()


def run_order(ports: Ports, order: str, run: RunStep = run_directly) -> None:
    """Carries one order to its final state. What was begun of one that is over is ended: its steps would look for what
    nodes sent, which may be deleted."""
    matching = Matching(ports, order)
    generation = Generation(ports, order)
    settlement = Settlement(ports, order, generation)

    if _retry_busy_database(ports, OrderLog(ports, order).is_over):
        settlement.sweep()
        return

    def carry(name: str, step: Callable[[], bool | None]) -> bool | None:
        return run(name, lambda: _retry_busy_database(ports, step))

    try:
        carry("place", matching.place)
        carry("match", matching.match)
        carry("train", generation.train)
        carry("commit", generation.commit)
        carry("draw", generation.draw)
        carry("score", generation.score)
        carry("publish", settlement.publish)
    except OrderFailedError as error:
        reason = str(error)
    except Exception:  # noqa: BLE001 - the workflow's edge: whatever broke, the buyer's money goes back
        _LOG.exception("order %s: a step broke", order)
        reason = "the broker's software failed; its operator's log has the cause"
    else:
        carry("settle", settlement.settle)
        return
    if not carry("give back", lambda: settlement.give_back(reason)):
        carry("settle", settlement.settle)


def _retry_busy_database(ports: Ports, step: Callable[[], bool | None]) -> bool | None:
    """Repeats a step whose database does not answer (busy, disk full): no reason to end a paid order."""
    while True:
        try:
            return step()
        except OperationalError as error:
            _LOG.warning("the database does not answer, trying the step again: %s", error.orig)
            if ports.stopping.wait(BUSY_SECONDS):
                raise Stopping from error
