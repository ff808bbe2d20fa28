"""The life of an order as one list of steps. Durable when `run` is the workflow engine's, plain in tests.

Every step looks at the chain and the database before it acts, so it may run again after any kill. A step that
fails leads to `give_back`; the only way out of a life is a final state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import OperationalError

from backend.errors import OrderFailedError, Stopping
from backend.ports import Ports
from backend.workflow.generate import Producing
from backend.workflow.match import Agreeing
from backend.workflow.settle import Delivering

_LOG = logging.getLogger("backend.workflow")
BUSY_SECONDS = 2.0


class RunStep(Protocol):
    """Runs a step and remembers, if it can, that it is done."""

    def __call__(self, name: str, step: Callable[[], bool | None]) -> bool | None: ...


def run_plainly(name: str, step: Callable[[], bool | None]) -> bool | None:
    """A runner without memory: enough, because the steps are idempotent."""
    _LOG.debug("step %s", name)
    return step()


def live(ports: Ports, order: str, run: RunStep = run_plainly) -> None:
    """Carries one order to its final state."""
    agreeing, producing, delivering = (
        Agreeing(ports, order),
        Producing(ports, order),
        Delivering(ports, order),
    )

    def carry(name: str, step: Callable[[], bool | None]) -> bool | None:
        return run(name, lambda: _patiently(ports, step))

    try:
        carry("place", agreeing.place)
        carry("match", agreeing.match)
        carry("train", producing.train)
        carry("commit", producing.commit)
        carry("draw", producing.draw)
        carry("score", producing.score)
        carry("publish", delivering.publish)
    except OrderFailedError as error:
        reason = str(error)
    except Exception:  # noqa: BLE001 - the edge of a life: whatever broke, the buyer's money goes back
        _LOG.exception("order %s: a step broke", order)
        reason = "the broker's software failed; its operator's log has the cause"
    else:
        carry("settle", delivering.settle)
        return
    if not carry("give back", lambda: delivering.give_back(reason)):
        carry("settle", delivering.settle)


def _patiently(ports: Ports, step: Callable[[], bool | None]) -> bool | None:
    """Repeats a step whose database does not answer (a busy lock, a full disk): no reason to end a paid order."""
    while True:
        try:
            return step()
        except OperationalError as error:
            _LOG.warning("the database does not answer, trying the step again: %s", error.orig)
            if ports.stopping.wait(BUSY_SECONDS):
                raise Stopping from error
