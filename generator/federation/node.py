"""The contributor's answer to a training task.

`handle` decides in this order: is the task for this node; was it answered before (then the stored bytes are
sent again); is the plan the one the order began with; can the table afford the whole plan; only then does
the family touch rows. Whether the order itself is acceptable (chain, policy, price) was decided before, by
the node process, which also hands in the family that it trains with.
"""

from __future__ import annotations

from typing import Protocol

from generator.errors import MarginalError, PlanError, PrivacyError, TaskFormatError, TaskRefused
from generator.federation.plan import TrainingPlan
from generator.federation.state import ContributorState
from generator.federation.step import Step, Worker
from generator.federation.task import Result, Task, meta_of
from generator.privacy.release import Release
from provenance.api.tasks import TrainTask
from provenance.values import Address


class ContributorFamily(Protocol):
    """The part of a family that a contributor needs."""

    name: str

    def check(self, plan: TrainingPlan) -> None:
        """PlanError if the plan's settings or budget do not suit the family."""
        ...

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:
        """Every release of this contributor's training, in order; decided by the plan alone."""
        ...

    def handle(self, step: Step) -> Result:
        """The answer to one step."""
        ...


def handle_bytes(
    data: bytes, state: ContributorState, worker: Worker, family: ContributorFamily, *, request: str = ""
) -> bytes:
    """Answer an encoded task with the bytes of its result, stored before they are returned.

    family: the one this node trains with. request: digest of the buyer's request, noted in the privacy ledger.
    Raises TaskRefused (send its code and reason back), TaskFormatError, StateError.
    """
    task = Task.decode(data)
    if task.node != worker.contributor:
        raise TaskRefused("wrong-node", f"the task is for {task.node}, this node is {worker.contributor}")
    with state.exclusive():
        training = state.order(task.order)
        stored = training.stored_result(task)
        if stored is not None:
            state.ledger.given(task.order, task.name)
            return stored
        state.ledger.require_not_given(task.order, task.name)
        plan = _plan_of(task, state, worker, family)
        state.ledger.bind(task.order, str(worker.contributor))
        releases = (*family.releases(plan, worker.contributor), *worker.later(plan))
        state.ledger.check(releases, plan.order)
        training.keep_plan(plan)
        step = Step(task, plan, state, training, worker, releases, request)
        try:
            result = family.handle(step)
        except (TaskFormatError, MarginalError, PlanError, PrivacyError) as error:
            raise TaskRefused("bad-task", str(error)) from error
        answer = training.store_result(task, result)
        state.ledger.given(task.order, task.name)
        return answer


def handle(
    task: Task, state: ContributorState, worker: Worker, family: ContributorFamily, *, request: str = ""
) -> Result:
    """As `handle_bytes`, for a task and a result as values."""
    return Result.decode(handle_bytes(task.encode(), state, worker, family, request=request))


def _plan_of(task: Task, state: ContributorState, worker: Worker, family: ContributorFamily) -> TrainingPlan:
    """The task's plan, if it is one this node can serve; TaskRefused otherwise. Reads no row."""
    try:
        plan = TrainingPlan.of(meta_of(TrainTask, task).plan)
        plan.participant(worker.contributor)
        if plan.family != family.name:
            raise PlanError(f"the plan is for family {plan.family!r}, this node trains {family.name!r}")
        family.check(plan)
    except (PlanError, TaskFormatError) as error:
        raise TaskRefused("bad-plan", str(error)) from error
    if plan.order != task.order:
        raise TaskRefused("bad-plan", f"the task belongs to order {task.order}, its plan to {plan.order}")
    if plan.schema.digest != state.schema.digest:
        raise TaskRefused(
            "schema-mismatch",
            f"the plan's schema is {plan.schema.digest}, this table's is {state.schema.digest}",
        )
    return plan
