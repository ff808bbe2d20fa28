"""Order workflows on DBOS, which remembers finished steps in its own database and continues after a kill.

DBOS is one per process, so this module holds the one runner that its workflow function belongs to. A workflow that
ended without a final state (a bug, a changed program) is begun again under the next number. Its steps find on chain
what is already done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.exc import SQLAlchemyError

from backend.errors import StartupError
from backend.orders.repository import OrderRepository
from backend.ports import Ports
from backend.tasks.retention import delete_old_results
from backend.workflow.order_workflow import run_order

WORKFLOW = "order_life"
VERSION = "order-life-1"
"""Both stand in running databases, like the names of the steps: a restart finds its workflows by them, so they stay
as they are whatever the code calls itself. VERSION is raised when the list of steps changes: older workflows are
then begun again, not continued."""
SWEEP_SECONDS = 30.0
DELETE_SECONDS = 3600.0
"""How often old orders are looked for; an order that ends looks too."""
_RUNNING = ("PENDING", "ENQUEUED", "DELAYED")
_LOG = logging.getLogger("backend.workflow")
_ports: list[Ports] = []


def _run_step(name: str, step: Callable[[], bool | None]) -> bool | None:
    return DBOS.run_step({"name": name}, step)


@DBOS.workflow(name=WORKFLOW)
def _order_workflow(order: str) -> None:
    run_order(_ports[0], order, _run_step)


class DbosRunner:
    """Starts, recovers and sweeps the workflows of orders. `launch` before use, `close` at the end."""

    def __init__(self, database_url: str) -> None:
        config: DBOSConfig = {
            "name": "tessera",
            "system_database_url": database_url,
            "application_version": VERSION,
            "executor_id": "broker",
            "log_level": "WARNING",
            "notification_listener_polling_interval_sec": 1.0,
        }
        self._config = config
        self._lock = threading.Lock()
        self._sweeper: threading.Thread | None = None

    def launch(self, ports: Ports) -> None:
        """Continues every unfinished order. Raises StartupError when the workflow database cannot be opened."""
        _ports[:] = [ports]
        try:
            DBOS(config=self._config)
            DBOS.launch()
        except SQLAlchemyError as error:
            raise StartupError(f"the workflow database cannot be opened: {error}") from error
        self._sweeper = threading.Thread(target=self._sweep, args=(ports,), name="order-sweeper", daemon=True)
        self._sweeper.start()

    def start(self, order: str) -> None:
        """Begins or continues the order's workflow; does nothing when it is running."""
        with self._lock:
            number = 0
            while (status := DBOS.get_workflow_status(f"{order}:{number}")) is not None:
                if status.status in _RUNNING and status.app_version == VERSION:
                    return
                number += 1
            with SetWorkflowID(f"{order}:{number}"):
                DBOS.start_workflow(_order_workflow, order)

    def close(self) -> None:
        """Stops the engine. Waiting steps were told by `ports.stopping` and stay unfinished."""
        if self._sweeper is not None:
            self._sweeper.join(timeout=5)
        DBOS.destroy()

    def _sweep(self, ports: Ports) -> None:
        deletes_at = 0.0
        while True:
            try:
                with ports.database.read() as session:
                    unfinished = OrderRepository(session).unfinished()
                for order in unfinished:
                    self.start(order)
                if ports.clock() >= deletes_at:
                    delete_old_results(ports)
                    deletes_at = ports.clock() + DELETE_SECONDS
            except Exception:  # noqa: BLE001 - the edge of a thread that must outlive a busy database
                _LOG.exception("looking for unfinished and for old orders failed; trying again")
            if ports.stopping.wait(SWEEP_SECONDS):
                return
