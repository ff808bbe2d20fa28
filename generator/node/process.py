"""The node as a process: one a folder, and how it stops.

Two nodes in one folder would answer the same task twice. The system frees the lock at any kind of end.

On SIGTERM and SIGINT it stops at once when idle, between two progress reports when working. State on disk is safe
against a kill at any instant, so a step that does not come to its next report in time is left: the next start
does it again from where it had begun.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from generator.errors import NodeError, StopRequested

log = logging.getLogger(__name__)
GRACE_SECONDS = 8.0


@contextmanager
def running_once(folder: Path) -> Iterator[None]:
    """NodeError if another process runs this node."""
    with (folder / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeError(f"another process runs the node in {folder}: let it end, or stop it") from error
        yield


def stop_on_signals(stop: threading.Event, idle: Callable[[], bool]) -> None:
    """Installs the handlers; call it in the main thread. idle: True while only waiting for work."""

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        first = not stop.is_set()
        stop.set()
        if first:
            watchdog = threading.Timer(GRACE_SECONDS, _stop_now)
            watchdog.daemon = True
            watchdog.start()
        if idle():
            raise StopRequested("asked to stop")

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)


def _stop_now() -> None:
    log.warning("stopping in the middle of a step; it is done again at the next start")
    logging.shutdown()
    os._exit(0)
