"""The queue of node tasks: leases, heartbeats with progress, refusals, results.

A task is named by (order, node, name) and leased to its node only. Payloads and results are bytes; what is in them
stands in `provenance.api.tasks`.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict

from provenance.api.message import (
    Count,
    Measure,
    Message,
    Several,
    WireAddress,
    WireDigest,
    WireUint256,
    optional,
)

TaskKind = Literal["accept", "train", "commit", "reveal", "sample", "evaluate", "release"]
LeaseSeconds = Annotated[int, Field(ge=5, le=600)]
DEFAULT_LEASE_SECONDS: Final = 60
INVALID_ANSWER: Final = "invalid-answer"


class WorkState(StrEnum):
    """Of leased work, node tasks and coordination jobs alike: queued -> leased -> done or refused. A lease that ran
    out counts as queued; cancelled ends what is not done."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Progress(Message):
    """How far a task or phase is; what was not measured is not sent. It becomes an event of the order."""

    round: Count | None = optional()
    rounds: Count | None = optional()
    loss: Measure | None = optional()
    epsilon: Measure | None = optional()
    message: str | None = optional(max_length=1000)

    @classmethod
    def measured(
        cls,
        message: str,
        *,
        round: int | None = None,
        rounds: int | None = None,
        loss: float | None = None,
        epsilon: float | None = None,
    ) -> Self:
        """Progress as training has it: a figure that is not finite has no JSON, and training itself judges it."""
        return cls(
            message=message,
            round=round,
            rounds=rounds,
            loss=loss if loss is not None and math.isfinite(loss) else None,
            epsilon=epsilon if epsilon is not None and math.isfinite(epsilon) else None,
        )


class LeaseRequest(Message):
    wait_seconds: float = Field(default=20, ge=0, le=25)
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class LeaseRenewed(Message):
    leased_until: float


class RefusalView(Message):
    code: str
    reason: str


class TaskView(Message):
    """A task as the broker sees it."""

    id: WireUint256
    order: WireDigest
    node: WireAddress
    name: str
    kind: str
    state: Annotated[WorkState, Strict(False)]
    attempt: Count
    refusal: RefusalView | None
    result_digest: WireDigest | None


class TaskList(Message):
    tasks: Several[TaskView]


class LeasedTask(Message):
    """A task that a node holds for a while. A kind that the node does not know is for it to refuse."""

    id: WireUint256
    order: WireDigest
    name: str
    kind: str
    attempt: Count


class TaskLease(Message):
    task: LeasedTask


class Heartbeat(Message):
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS
    progress: Progress | None = optional()


class Refusal(Message):
    """Final: the node does not do this task."""

    code: str = Field(min_length=1, max_length=100)
    reason: str = Field(max_length=2000)


class Rejection(Message):
    """The broker's: the stored result does not hold. It counts as a refusal with the code INVALID_ANSWER."""

    reason: str = Field(min_length=1, max_length=2000)


class ResultStored(Message):
    digest: WireDigest
