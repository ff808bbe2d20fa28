"""Training steps: answered only for an order that the chain holds as Matched with this node among its participants,
and only for the plan that follows from the terms this node accepted.  The training itself is the federation's.
"""

from __future__ import annotations

import secrets
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
from generator.node.context import Node, shard_of
from generator.node.evaluate import score_release
from generator.node.orders import Accepted
from generator.node.recorded_heads import require_newest_ledger
from generator.node.sample import shard_conditions
from generator.node.untrained import training
from provenance.api.queue import Progress
from provenance.api.tasks import TrainTask
from provenance.crypto.signing import require_signer
from provenance.errors import ConditionError, ConditionUnmetError, ProvenanceError
from provenance.exact import SPEC_VERSION
from provenance.exact.allowed import AllowedCodes
from provenance.exact.conditional import prefix_size_of
from provenance.exact.model import decode_model, model_size
from provenance.exact.sampler import sampler_for
from provenance.exact.size_class import ATTEMPTS
from provenance.record.receipts import AggregationKey
from provenance.table.conditions import Conditions
from provenance.values import Address, Digest, Signature

TRIAL_ROWS = 4096
MOST_RISK = 1e-3
"""Largest chance at which a node commits that a row of its shard fails all attempts."""


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


def check_size(node: Node, model: bytes) -> None:
    """TaskRefused for a model that breaks the size class that the collection promises."""
    beyond = model_size(decode_model(model), len(model)).beyond()
    if beyond and node.collection.size_class == "fraud-provable":
        raise TaskRefused(
            "too-large",
            f"the collection promises models whose every row the chain can judge, this one has {beyond}: offer a "
            'collection of sizeClass "recomputed", or with settings for a smaller net',
        )


def check_plan(node: Node, task: Task) -> None:
    """TaskRefused unless the plan says what terms, collection and chain say."""
    accepted = node.accepted(task.order)
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


def check_conditions(node: Node, accepted: Accepted, model: bytes) -> None:
    """TaskRefused ("conditions-unmet") for a model that would probably leave a row of the order unmade.

    After the seed is drawn the node owes its rows, and silence costs its stake: what it cannot deliver it must refuse
    before. It tries rows of a stream under a seed of its own; how many attempts they took tells how likely one of the
    order's rows is to fail 64 times. Conditions on columns that are drawn first take one attempt and never fail.
    """
    participants = node.matched_participants(accepted.terms.order_id(node.domain))
    shard = shard_of(participants, node.address)
    conditions = shard_conditions(node, accepted, participants, shard)
    if conditions is None:
        return
    rows = participants[shard].rows
    if node.collection.size_class == "fraud-provable":
        check_prefix(conditions.conditions, model)
    try:
        sampler = sampler_for(SPEC_VERSION)(
            model, Digest(secrets.token_bytes(32)), shard, conditions=conditions
        )
        sampler.values(0, min(rows, TRIAL_ROWS), threads=node.settings.threads)
    except (ConditionError, ConditionUnmetError) as error:
        raise TaskRefused("conditions-unmet", str(error)) from error
    tally = sampler.tally
    assert tally is not None, "a sampler under conditions counts"
    met = tally.rows / tally.attempts
    risk = rows * (1 - met) ** ATTEMPTS
    if risk > MOST_RISK:
        raise TaskRefused(
            "conditions-unmet",
            f"{met:.1%} of the attempts meet the order's conditions, so that one of {rows} rows fails all "
            f"{ATTEMPTS} with a chance of {min(risk, 1):.1%}; expected at most {MOST_RISK:.1%}: ask for less rare "
            'values, or for a collection of family "autoregressive", which draws such columns first',
        )


def check_prefix(conditions: Conditions, model: bytes) -> None:
    """TaskRefused ("too-large") for conditions under which a row's first steps are more work than the chain can judge:
    whoever signs such rows would lose its stake."""
    decoded = decode_model(model)
    for number, segment in enumerate(conditions.segments):
        allowed = {
            column: AllowedCodes(decoded.codebook, column, each) for column, each in segment.allowed.items()
        }
        beyond = prefix_size_of(decoded, allowed).beyond()
        if beyond:
            raise TaskRefused(
                "too-large",
                f"rows with {conditions.describe(number)} take {beyond}, too much for the chain to judge: "
                'condition fewer columns, or ask for a collection of sizeClass "recomputed"',
            )
