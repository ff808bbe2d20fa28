"""Training steps: answered only for an order that the chain holds as Matched with this node among its participants,
and only for the plan that follows from the terms this node accepted.  The training itself is the federation's.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.errors import PlanError, TaskFormatError, TaskRefused
from generator.families.family import family_of
from generator.families.secure_aggregation import require_no_exact_counts
from generator.federation.node import handle_bytes
from generator.federation.plan import TrainingPlan
from generator.federation.step import StepProgress, Worker
from generator.federation.task import Task, meta_of
from generator.market.jobs import order_settings
from generator.node.accept import require_partners
from generator.node.context import Node
from generator.node.evaluate import score_release
from generator.node.model_checks import check_conditions, check_size
from generator.node.orders import Accepted
from generator.node.recorded_heads import require_newest_ledger
from generator.node.untrained import training
from provenance.api.queue import Progress
from provenance.api.tasks import TrainTask
from provenance.crypto.signing import require_signer
from provenance.errors import ProvenanceError
from provenance.record.receipts import AggregationKey
from provenance.values import Address, Digest, Signature


def train_step(node: Node, payload: bytes) -> bytes:
    """The stored bytes of the step's result.  Raises TaskRefused, NotYet, StateError."""
    task = Task.decode(payload)
    check_plan(node, task)
    accepted = node.accepted(task.order)
    if node.state.order(task.order).plan() is None:
        require_newest_ledger(node)

    def report(local: StepProgress) -> None:
        loss = next(iter(local.losses.values()), None)
        node.progress(Progress.measured(f"{local.step}: {local.done} of {local.total}", loss=loss))

    def check(model: bytes) -> None:
        check_size(node, model)
        check_conditions(node, accepted, model)

    worker = Worker(
        node.address,
        threads=node.settings.threads,
        check_model=check,
        vouching=Vouching(node),
        progress=report,
        later=lambda plan: (score_release(plan),),
    )
    family, request = family_of(node.collection.family), str(accepted.terms.request)
    with training(node, task.order):
        return handle_bytes(payload, node.state, worker, family, request=request)


@dataclass(frozen=True, slots=True)
class Vouching:
    """Keys of secure sums, signed with the accounts that the chain names for the order."""

    node: Node

    def sign(self, order: Digest, public_key: Digest) -> str:
        """Deterministic, so signing again gives the same bytes."""
        return str(self.node.signer.sign_typed(self.node.domain, AggregationKey(order, public_key)))

    def check(self, contributor: Address, order: Digest, public_key: Digest, signature: str) -> None:
        """TaskRefused for a key that its contributor did not sign."""
        try:
            signed = Signature.parse(signature)
            require_signer(self.node.domain, AggregationKey(order, public_key), signed, contributor)
        except ProvenanceError as error:
            raise TaskRefused(
                "bad-keys", f"the sum key shown for {contributor} is not signed by it: {error}"
            ) from error


def check_plan(node: Node, task: Task) -> None:
    """TaskRefused unless the plan says what terms, collection and chain say."""
    accepted = node.accepted(task.order)
    if accepted.request.training is not None:
        raise TaskRefused(
            "from-stock",
            f"order {task.order} is sold from the models of order {accepted.request.training}: nothing is trained, and "
            "nothing of the table is released for it",
        )
    participants = node.matched_participants(task.order)
    try:
        plan = TrainingPlan.of(meta_of(TrainTask, task).plan)
    except (PlanError, TaskFormatError) as error:
        raise TaskRefused("bad-plan", str(error)) from error
    _compare(node, plan, accepted)
    planned = tuple(participant.contributor for participant in plan.participants)
    if planned != tuple(participant.contributor for participant in participants):
        raise TaskRefused(
            "participants-differ", "the plan's participants are not those that the chain names, in order"
        )
    require_no_exact_counts(plan)
    require_partners(node, planned, len(planned), plan.epsilon_micro or 0)
    declared = plan.participant(node.address).declared_rows
    announced = node.settings.public_rows  # earlier releases announced what the settings hold
    if declared not in (announced, node.settings.declared_rows):
        raise TaskRefused(
            "rows-differ",
            f"the plan says that this node declared {declared} rows, it declared {announced}",
        )


def _compare(node: Node, plan: TrainingPlan, accepted: Accepted) -> None:
    terms, collection = accepted.terms, node.collection
    asked = accepted.request.asked(collection.schema, terms.rows)
    agreed = (
        ("family", plan.family, collection.family),
        ("schema", str(plan.schema.digest), str(collection.schema.digest)),
        ("settings", dict(plan.settings), order_settings(collection, asked)),
        ("privacy", plan.epsilon_micro or 0, terms.epsilon_micro),
        ("delta", plan.delta_e12 if plan.epsilon_micro else terms.delta_e12, terms.delta_e12),
    )
    for name, planned_value, expected in agreed:
        if planned_value != expected:
            raise TaskRefused(
                "plan-differs", f"the plan's {name} is {planned_value}, the accepted terms say {expected}"
            )
