"""A coordination job as values, checked before anybody is asked to work.

The plan comes from the backend; what it says is bound to the chain: the terms hash to the order, collection
and request to the terms, and the participants are those of the match.  A contradiction is `JobRefused`: the
order fails early instead of being refused by every node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from generator.errors import JobRefused, PlanError
from generator.families.settings import AutoregressiveSettings
from generator.federation.coordinator import TrainingOutcome
from generator.federation.plan import PlanParticipant, SettingValue, TrainingPlan
from provenance.api.coordination import JobPlan, LeasedJob, Phase, ShardResult
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import ChainReads, OrderState
from provenance.errors import MalformedError
from provenance.record.collection import Collection, Request, stock_faults
from provenance.record.terms import OrderTerms, Participant
from provenance.table.conditions import Conditions
from provenance.values import Address, Digest

CONDITIONABLE = AutoregressiveSettings.conditionable


@dataclass(frozen=True, slots=True)
class OrderJob:
    """What the coordinator needs of an order, verified. declared_rows are in participant order.

    out: shards that were dropped on chain. excused: those whose evaluation is not waited for. undelivered: those that
    are published by the receipts which stand on chain, without files.
    """

    order: Digest
    phase: Phase
    terms: OrderTerms
    collection: Collection
    participants: tuple[Participant, ...]
    declared_rows: tuple[int, ...]
    conditions: Conditions | None = None
    out: frozenset[int] = frozenset()
    excused: frozenset[int] = frozenset()
    undelivered: tuple[ShardResult, ...] = ()
    stock: OrderJob | None = None
    """Of an order from stock: the order that trained, of which the stored results are read."""

    @property
    def delivered(self) -> tuple[int, ...]:
        """Shards whose files are wanted: those that stand, without the undelivered."""
        by_receipt = {each.shard for each in self.undelivered}
        return tuple(shard for shard in self.standing if shard not in by_receipt)

    @property
    def standing(self) -> tuple[int, ...]:
        """Shards that the order goes on with."""
        return tuple(shard for shard in range(len(self.participants)) if shard not in self.out)

    @property
    def contributors(self) -> tuple[Address, ...]:
        """By shard."""
        return tuple(each.contributor for each in self.participants)

    def training_plan(self) -> TrainingPlan:
        """The plan that every node derives from the same terms; of an order from stock, the training's own."""
        if self.stock is not None:
            return self.stock.training_plan()
        participants = tuple(
            PlanParticipant(each.contributor, declared)
            for each, declared in zip(self.participants, self.declared_rows, strict=True)
        )
        return TrainingPlan(
            order=self.order,
            family=self.collection.family,
            schema=self.collection.schema,
            epsilon_micro=self.terms.epsilon_micro or None,
            delta_e12=self.terms.delta_e12,
            participants=participants,
            settings=order_settings(self.collection, self.conditions),
        )

    def served(self, outcome: TrainingOutcome) -> TrainingOutcome:
        """The outcome of `training_plan` with the models of this order's contributors alone, by its shards."""
        if self.stock is None:
            return outcome
        trained = {model.contributor: model for model in outcome.models}
        models = tuple(replace(trained[each], shard=shard) for shard, each in enumerate(self.contributors))
        return replace(outcome, models=models)


def read_job(job: LeasedJob, chain: ChainReads) -> OrderJob:
    """The job's plan, held against digests and chain.  Raises JobRefused; ChainUnavailableError also when the chain as
    this worker reads it, deeper or from another node than the backend, does not show yet what the plan stands on.
    """
    try:
        plan = JobPlan.of(job.plan, "plan")
    except MalformedError as error:
        raise JobRefused(f"the job's plan cannot be read: {error}") from error
    terms, collection, request = plan.terms, plan.collection, plan.request
    if terms.order_id(chain.deployment.domain) != job.order:
        raise JobRefused(
            f"the job's terms are those of {terms.order_id(chain.deployment.domain)}, not of {job.order}"
        )
    if (collection.digest, request.digest) != (terms.collection, terms.request):
        raise JobRefused("the job's collection or request is not the one that the terms bind")
    state = chain.order(job.order).state
    if state in (OrderState.NONE, OrderState.OPEN):
        raise ChainUnavailableError(
            f"order {job.order} is {state.name} on chain as read here, expected MATCHED; looking again later"
        )
    if state is not OrderState.MATCHED:
        raise JobRefused(f"order {job.order} is {state.name} on chain, expected MATCHED")
    participants = tuple(each.participant for each in plan.participants)
    if chain.participants(job.order) != participants:
        raise JobRefused("the job's participants are not those that the chain names")
    declared = tuple(each.declared_rows for each in plan.participants)
    _check_absent(job.order, plan, chain)
    stock = _stock(job, plan, chain)
    return OrderJob(
        *(
            job.order,
            job.phase,
            terms,
            collection,
            participants,
            declared,
            _conditions(collection, terms, request),
        ),
        out=frozenset(plan.out),
        excused=frozenset(plan.excused),
        undelivered=plan.undelivered,
        stock=stock,
    )


def _conditions(collection: Collection, terms: OrderTerms, request: Request) -> Conditions | None:
    try:
        return request.asked(collection.schema, terms.rows)
    except MalformedError as error:
        raise JobRefused(f"the job's request cannot be served: {error}") from error


def _stock(job: LeasedJob, plan: JobPlan, chain: ChainReads) -> OrderJob | None:
    """The order that trained, held against its digest, the chain and the rules of stock; None where models are made to
    order."""
    named, shown = plan.request.training, plan.training
    if named is None and shown is None:
        return None
    if named is None or shown is None:
        raise JobRefused(
            f"the buyer's request names training {named}, the job shows {(shown and 'one') or 'none'}"
        )
    found = shown.terms.order_id(chain.deployment.domain)
    if found != named:
        raise JobRefused(f"the job shows the training of order {found}, the buyer's request names {named}")
    if shown.request.digest != shown.terms.request:
        raise JobRefused(f"the job's request of training {named} is not the one that its terms bind")
    to_order = shown.request.training is None
    faults = stock_faults(plan.terms, plan.collection, shown.terms, made_to_order=to_order)
    if faults:
        raise JobRefused(f"training {named} cannot serve this order: {'; '.join(map(_fault, faults))}")
    participants = tuple(each.participant for each in shown.participants)
    if chain.participants(named) != participants:
        raise JobRefused(f"the job's participants of training {named} are not those that the chain names")
    if strangers := {each.contributor for each in plan.participants} - {
        each.contributor for each in participants
    }:
        raise JobRefused(
            f"{_words(sorted(strangers))} did not train for order {named}: no model of theirs is there"
        )
    declared = tuple(each.declared_rows for each in shown.participants)
    conditions = _conditions(plan.collection, shown.terms, shown.request)
    return OrderJob(named, job.phase, shown.terms, plan.collection, participants, declared, conditions)


def _fault(fault: tuple[str, str, str]) -> str:
    member, found, expected = fault
    return f"{member}: found {found}, expected {expected}"


def _check_absent(order: Digest, plan: JobPlan, chain: ChainReads) -> None:
    """Dropped and undelivered shards of the plan, held against the chain: JobRefused for what contradicts it,
    ChainUnavailableError for what it does not show here yet."""
    shards = len(plan.participants)
    if beyond := [k for k in (*plan.out, *(told.shard for told in plan.undelivered)) if k >= shards]:
        raise JobRefused(f"the job goes on without shards {beyond}; the order has {shards}")
    out = chain.shards(order).out
    if unseen := sorted(set(plan.out) - out):
        raise ChainUnavailableError(
            f"the job goes on without shards {unseen}, which are not dropped on chain as read here; looking again "
            "later"
        )
    if out - set(plan.out):
        raise JobRefused(
            f"the job goes on without shards {list(plan.out)}, the chain dropped {sorted(out)}: expected all of them"
        )
    for told in plan.undelivered:
        shown = chain.answered_receipt(order, told.shard)
        if shown is None:
            raise ChainUnavailableError(
                f"no receipt of shard {told.shard}, which the job takes as undelivered, is on chain as read here; "
                "looking again later"
            )
        receipt = shown.receipt
        found = (receipt.shard_root, receipt.epsilon_micro, receipt.delta_e12, receipt.content_digest)
        claimed = (told.shard_root, told.epsilon_micro, told.delta_e12, told.content_digest)
        if claimed != found:
            raise JobRefused(
                f"the job takes shard {told.shard} as undelivered with root, epsilon, delta and content "
                f"{_words(claimed)}; the chain holds {_words(found)}"
            )


def _words(parts: Iterable[object]) -> str:
    return ", ".join(map(str, parts))


def order_settings(collection: Collection, conditions: Conditions | None) -> dict[str, SettingValue]:
    """Settings of the training plan: the collection's, and what the request's conditions add.

    Coordinator and nodes compute them alike, so neither can steer the training. Family "autoregressive" is trained
    for one order, so it draws the columns first that this order's rows are asked for by; other families meet
    conditions by attempts. Raises PlanError for settings that no family knows.
    """
    settings = _plain(collection.settings)
    if conditions is None or collection.family != "autoregressive":
        return settings
    stated = {name: value for name, value in settings.items() if name == CONDITIONABLE.name}
    names = AutoregressiveSettings.parse(stated).conditionable
    asked = {column for segment in conditions.segments for column in segment.allowed}
    more = [collection.schema.column_names[column] for column in sorted(asked)]
    return {**settings, CONDITIONABLE.name: CONDITIONABLE.encode(list(dict.fromkeys([*names, *more])))}


def _plain(settings: Mapping[str, int | str | bool]) -> dict[str, SettingValue]:
    """A collection's settings as a training plan holds them: integers and text only."""
    if switches := [name for name, value in settings.items() if isinstance(value, bool)]:
        raise PlanError(
            f"settings {', '.join(switches)} are true or false; families know integers and text only"
        )
    return dict(settings)
