"""What a family's handler gets for one task: the task, the plan, the node's state and the order's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from generator.errors import TaskFormatError, TaskRefused
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.federation.state import ContributorState, TrainingState
from generator.federation.task import Array, Task
from generator.privacy.release import Release
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class StepProgress:
    """Where a node is inside a step, for heartbeats and progress bars."""

    step: str
    done: int
    total: int
    losses: Mapping[str, float] = field(default_factory=dict)


StepCallback: TypeAlias = Callable[[StepProgress], None]
ReleasesOf: TypeAlias = Callable[[TrainingPlan], tuple[Release, ...]]
"""What a contributor releases of an order beside its training."""
CheckModel: TypeAlias = Callable[[bytes], None]
"""Refuses a finished model that this contributor will not commit to."""


class KeyVouching(Protocol):
    """Ties the key of a contributor's secure sums to its account, so that no coordinator can put in its own."""

    def sign(self, order: Digest, public_key: Digest) -> str:
        """This contributor's signature, as 0x-hex."""
        ...

    def check(self, contributor: Address, order: Digest, public_key: Digest, signature: str) -> None:
        """TaskRefused unless that contributor signed the key for this order."""
        ...


def silent(_: StepProgress) -> None:
    """No progress wanted."""


def nothing(_: TrainingPlan) -> tuple[Release, ...]:
    """Training is all."""
    return ()


@dataclass(frozen=True, slots=True)
class Worker:
    """Who does the work and with what.

    threads: for torch. seed: initialisation and latent noise only, None for the system's entropy; privacy
    noise and batches never depend on it. deadline: time.monotonic() by which all contributors' fitting should
    end when they work one after another in this process; it cuts steps that read no row, never others. vouching:
    None where all contributors are parts of one process, which need not be told apart. later: what is charged with the
    training, because it is released after it.
    """

    contributor: Address
    threads: int = 1
    seed: int | None = None
    deadline: float | None = None
    check_model: CheckModel | None = None
    vouching: KeyVouching | None = None
    progress: StepCallback = silent
    later: ReleasesOf = nothing

    def share_of_time(self, turns_left: int) -> float | None:
        """Seconds for one of so many turns that are left until the deadline; None without one."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - time.monotonic()) / max(turns_left, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """One task in its surroundings; see the field types."""

    task: Task
    plan: TrainingPlan
    state: ContributorState
    order: TrainingState
    worker: Worker
    releases: tuple[Release, ...]
    request: str = ""

    @property
    def me(self) -> PlanParticipant:
        """This node's entry in the plan."""
        return self.plan.participant(self.worker.contributor)

    @property
    def turns_left_in_round(self) -> int:
        """Contributors whose turn is now or later, when they take turns in the order of the plan."""
        return len(self.plan.participants) - self.plan.shard(self.worker.contributor)

    def array(self, name: str) -> Array:
        """An array of the task; TaskFormatError if the coordinator did not send it."""
        array = self.task.arrays.get(name)
        if array is None:
            raise TaskFormatError(f"task {self.task.name} lacks the array {name!r}")
        return array

    def record(self, name: str) -> Release:
        """Write the planned release `name` into the ledger; must come before its noise is drawn."""
        for release in self.releases:
            if release.name == name:
                self.state.ledger.record(
                    release,
                    order=self.plan.order,
                    delta=self.plan.delta,
                    request=self.request,
                    plan=self.releases,
                )
                return release
        raise TaskRefused("not-planned", f"the plan has no release named {name}; nothing was released")

    def recorded(self) -> tuple[Release, ...]:
        """This order's training releases so far, from the ledger."""
        return self.state.ledger.training_releases(self.plan.order)
