"""Keeps a lease alive from a thread of its own and passes progress on, at most once a second."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from provenance.api.errors import MarketConflict
from provenance.api.queue import Progress
from provenance.errors import MarketError

log = logging.getLogger(__name__)
_NEWS_SECONDS = 1.0


class Heartbeat:
    """A context around the work on one leased task or job.

    beat: renews the lease, with progress or None. A lost lease is noted. Of a task the market still takes
    the result if nobody else brought one; of a job it takes nothing of an older attempt, and the worker stops.
    """

    def __init__(self, beat: Callable[[Progress | None], None], lease_seconds: int) -> None:
        self._beat = beat
        self._lease_seconds = lease_seconds
        self._news: Progress | None = None
        self._ended = threading.Event()
        self.lost = False
        """Whether the market gave the work to somebody else, or took it back."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="heartbeat")

    def report(self, progress: Progress) -> None:
        """The newest progress; sent with the next beat."""
        self._news = progress

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # A beat that waits for a market which is down must not hold up the result: the thread is a daemon.
        self._thread.join(1.0)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(_NEWS_SECONDS):
            news, self._news = self._news, None
            if news is None and time.monotonic() - last < self._lease_seconds / 3:
                continue
            try:
                self._beat(news)
            except MarketConflict as error:
                self.lost = True
                log.warning("the market gave up waiting (%s)", error.detail)
                return
            except MarketError as error:
                log.warning("heartbeat not delivered: %s", error)
            last = time.monotonic()
