"""What a person sees: readable log lines, and on a terminal one line of progress under them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.status import Status

from provenance.api.queue import Progress
from provenance.printable import PlainFormatter, printable


def set_up_logging(*, verbose: bool) -> Console:
    """Logs of this package to standard error; foreign libraries speak from warnings on."""
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, markup=False, highlighter=None)
        handler.setFormatter(PlainFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("generator").setLevel(logging.DEBUG if verbose else logging.INFO)
    return console


class RateLimitedLog:
    """Says the first of a series of like messages, then one every `pause_seconds`."""

    def __init__(self, tell: Callable[[str], None], pause_seconds: float = 30.0) -> None:
        self._tell = tell
        self._pause_seconds = pause_seconds
        self._said = -pause_seconds

    def say(self, text: str) -> None:
        """Says `text`, or nothing if one like it was said a short while ago."""
        if time.monotonic() - self._said >= self._pause_seconds:
            self._said = time.monotonic()
            self._tell(text)


class ProgressLine:
    """The last line of a terminal: which task, how far, what loss and epsilon. Silent without a terminal."""

    def __init__(self, status: Status | None) -> None:
        self._status = status

    def show(self, task: str, progress: Progress) -> None:
        """Replaces the line."""
        if self._status is not None:
            self._status.update(escape(line_of(task, progress)))


def line_of(task: str, progress: Progress) -> str:
    """One line of text."""
    message = progress.message or "at work"
    parts = [message if message.startswith(task) else f"{task}: {message}"]
    if progress.round is not None:
        parts.append(f"round {progress.round}" + (f" of {progress.rounds}" if progress.rounds else ""))
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4g}")
    if progress.epsilon is not None:
        parts.append(f"epsilon {progress.epsilon:.3g}")
    return " ".join(printable("   ".join(parts)).split("\n"))


@contextmanager
def progress_line(console: Console) -> Iterator[ProgressLine]:
    """A progress line for as long as the context lasts."""
    if not console.is_terminal:
        yield ProgressLine(None)
        return
    with console.status("waiting for tasks") as status:
        yield ProgressLine(status)
