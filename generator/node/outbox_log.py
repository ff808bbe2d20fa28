"""The record of every byte that leaves: on the disk before the bytes go, never rewritten.

One JSON line a message: time, kind, where to, size, SHA-256, order, task, the epsilon that its release was
counted with. Not recorded: polls for work, whose bodies are two constants, and reads, which have no body.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from generator.errors import NodeError
from generator.files import LineFile
from provenance.values import sha256

FILE = "receipts.jsonl"
_POLLS = ("/v1/tasks/lease", "/v1/coordination/lease")
_KINDS = {
    "/heartbeat": "progress",
    "/result": "result",
    "/refuse": "refusal",
    "/v1/content": "content",
    "/v1/contributors": "announcement",
}


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One message that leaves. time: unix seconds; epsilon: as text, empty when it carries no release."""

    time: int
    kind: str
    to: str
    size: int
    sha256: str
    order: str = ""
    task: str = ""
    epsilon: str = ""

    def line(self) -> bytes:
        """The entry as JSON; what is empty is left out."""
        members = ((name, getattr(self, name)) for name in OutboxEntry.__slots__)
        return json.dumps({name: value for name, value in members if value != ""}).encode()


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the messages of a stretch of work belong to."""

    order: str = ""
    task: str = ""
    epsilon: str = ""


class OutboxLog:
    """Append-only file of the node's folder. Thread-safe: heartbeats write beside results."""

    def __init__(self, folder: Path) -> None:
        self._file = LineFile(folder / FILE)
        self._lock = threading.Lock()
        self._subject = _Subject()

    @contextmanager
    def about(self, order: str, task: str, epsilon: str = "") -> Iterator[None]:
        """What the messages sent meanwhile belong to (the node does one task at a time)."""
        before, self._subject = self._subject, _Subject(order, task, epsilon)
        try:
            yield
        finally:
            self._subject = before

    def record(self, method: str, target: str, body: bytes) -> None:
        """The market client's hook: called with each request before it is sent."""
        if body and target.split("?")[0] not in _POLLS:
            self.add(_kind(method, target), target, body)

    def add(self, kind: str, to: str, body: bytes, order: str = "") -> None:
        """Append one line, flushed to the disk. With `order` it belongs to that order and to no task."""
        subject = _Subject(order) if order else self._subject
        digest = str(sha256(body))
        entry = OutboxEntry(
            int(time.time()), kind, to, len(body), digest, subject.order, subject.task, subject.epsilon
        )
        with self._lock:
            self._file.append(entry.line())

    def entries(self) -> list[OutboxEntry]:
        """All entries, oldest first. A line cut off by a power failure, at the very end, does not count."""
        entries = []
        for number, line in enumerate(self._file.lines(), 1):
            try:
                entries.append(OutboxEntry(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise NodeError(f"{self._file.path}, line {number} is damaged: {error}") from error
        return entries


def _kind(method: str, target: str) -> str:
    path = target.split("?")[0]
    return next((kind for end, kind in _KINDS.items() if path.endswith(end)), f"{method} {path}")
