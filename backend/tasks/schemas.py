"""Bodies of node tasks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.http.progress import DEFAULT_LEASE_SECONDS, LeaseSeconds, Progress
from backend.http.wire import Wire

TaskKind = Literal["accept", "train", "sample", "evaluate"]


class RefusalOut(Wire):
    code: str
    reason: str


class TaskOut(Wire):
    id: str
    order: str
    node: str
    name: str
    kind: str
    state: str
    attempt: int
    refusal: RefusalOut | None
    result_digest: str | None


class TaskList(Wire):
    tasks: list[TaskOut]


class LeasedTask(Wire):
    id: str
    order: str
    name: str
    kind: str
    attempt: int


class TaskLease(Wire):
    task: LeasedTask


class Heartbeat(Wire):
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS
    progress: Progress | None = None


class Refusal(Wire):
    code: str = Field(min_length=1, max_length=100)
    reason: str = Field(max_length=2000)


class ResultStored(Wire):
    digest: str
