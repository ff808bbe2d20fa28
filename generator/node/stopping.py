"""Stopping on SIGTERM and SIGINT: at once when idle, between two progress reports when working.

State on disk is safe against a kill at any instant, so a step that does not come to its next report in time
is simply left: the next start does it again from where it had begun.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from generator.errors import StopRequested

log = logging.getLogger(__name__)
GRACE_SECONDS = 8.0


def leave_on_signals(stop: threading.Event, idle: Callable[[], bool]) -> None:
    """Installs the handlers; call it in the main thread.  `idle`: True while only waiting for work."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        first = not stop.is_set()
        stop.set()
        if first:
            watchdog = threading.Timer(GRACE_SECONDS, _leave_now)
            watchdog.daemon = True
            watchdog.start()
        if idle():
            raise StopRequested("asked to stop")

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def _leave_now() -> None:
    log.warning("leaving in the middle of a step; it is done again at the next start")
    logging.shutdown()
    os._exit(0)
