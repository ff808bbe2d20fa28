"""The record of every byte that leaves: appended and flushed before the bytes go, never rewritten.

One JSON line a message: time, kind, where to, size, SHA-256, order, task, the epsilon that its release was
counted with. Not recorded: polls for work, whose bodies are two constants, and reads, which have no body.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from generator.node.errors import NodeError
from provenance.values import sha256

FILE = "receipts.jsonl"
_POLLS = ("/v1/tasks/lease", "/v1/coordination/lease")


@dataclass(frozen=True, slots=True)
class Leaving:
    """One message that leaves. time: unix seconds; epsilon: as text, empty when it carries no release."""

    time: int
    kind: str
    to: str
    size: int
    sha256: str
    order: str = ""
    task: str = ""
    epsilon: str = ""


@dataclass(frozen=True, slots=True)
class _About:
    order: str = ""
    task: str = ""
    epsilon: str = ""


class Receipts:
    """Append-only file of the node's folder.  Thread-safe: heartbeats write beside results."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._about = _About()

    @contextmanager
    def about(self, order: str, task: str, epsilon: str = "") -> Iterator[None]:
        """What the messages sent meanwhile belong to (the node does one task at a time)."""
        before, self._about = self._about, _About(order, task, epsilon)
        try:
            yield
        finally:
            self._about = before

    def record(self, method: str, target: str, body: bytes) -> None:
        """The market client's hook: called with each request before it is sent."""
        if body and target.split("?")[0] not in _POLLS:
            self.add(_kind(method, target), target, body)

    def add(self, kind: str, to: str, body: bytes, order: str = "") -> None:
        """Appends one line and flushes it to the disk. With `order` it belongs to that order and to no task."""
        about = _About(order) if order else self._about
        entry = Leaving(
            int(time.time()), kind, to, len(body), str(sha256(body)), about.order, about.task, about.epsilon
        )
        line = json.dumps({name: value for name, value in _items(entry) if value != ""}) + "\n"
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())

    def entries(self) -> list[Leaving]:
        """All receipts, oldest first.  A line cut off by a power failure, at the very end, is left out."""
        if not self._path.exists():
            return []
        lines = self._path.read_text("utf-8").split("\n")
        entries = []
        for number, line in enumerate(lines):
            if not line:
                continue
            try:
                entries.append(Leaving(**json.loads(line)))
            except (ValueError, TypeError) as error:
                if number == len(lines) - 1:
                    break
                raise NodeError(f"{self._path}, line {number + 1} is damaged: {error}") from error
        return entries


def _items(entry: Leaving) -> list[tuple[str, str | int]]:
    return [(name, getattr(entry, name)) for name in Leaving.__slots__]


def _kind(method: str, target: str) -> str:
    path = target.split("?")[0]
    ends = {"/heartbeat": "progress", "/result": "result", "/refuse": "refusal", "/v1/content": "content"}
    ends |= {"/v1/contributors": "announcement"}
    return next((kind for end, kind in ends.items() if path.endswith(end)), f"{method} {path}")
