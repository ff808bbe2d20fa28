"""Whether to put this node's name to an order: everything is checked against chain, documents and own rules first.

Order of checks: right chain and escrow; the terms are the ones asked about and signed by the buyer; escrow
holds them as Open and there is time left; collection and request are what the terms bind; a private
collection has a delivery key; the operator's policy; the stake; that a plan for it can be made; that the privacy
ledger goes on from what was published of it; the privacy cap with everything promised so far.  An order from stock
needs neither plan nor cap: its models are there (`generator.node.stock`).  The ledger's head is signed with its
shard as with any other's.  Then the acceptance is signed and stored, then sent.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Mapping

from generator.errors import AwaitingApproval, GeneratorError, NotYet, PlanError, TaskRefused
from generator.families.family import family_of
from generator.families.secure_aggregation import require_no_exact_counts, trusted_contributors
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.market.jobs import order_settings
from generator.node.approvals import APPROVED, DENIED
from generator.node.context import Node
from generator.node.evaluate import score_release
from generator.node.orders import Accepted
from generator.node.policy import Decision, Proposal
from generator.node.recorded_heads import require_newest_ledger
from generator.node.stock import check_stock
from generator.privacy.release import Release
from provenance.api.tasks import AcceptAnswer, AcceptOffer
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import DatasetStatus, OrderState
from provenance.crypto.seal import require_usable
from provenance.crypto.signing import require_signer
from provenance.errors import ProvenanceError, SealError
from provenance.record.collection import Collection, Request, bindings, sums_alone
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms
from provenance.units import E12, format_fixed
from provenance.values import Address, Digest, Signature

_DIFFERS: Mapping[str, str] = {
    "collection": "collection-differs",
    "request": "request-differs",
    "royaltyBps": "royalty-differs",
    "conditions": "conditions-differ",
    "parents": "parents-differ",
    "schemaDigest": "schema-differs",
    "sizeClass": "size-class-differs",
    "specVersion": "specification-differs",
    "ownRealMicro": "real-rows-differ",
}
_DAY_SECONDS = 86_400
_MONTH_SECONDS = 30 * _DAY_SECONDS


def accept_order(node: Node, payload: bytes) -> bytes:
    """The answer to an "accept" task: JSON `{"maxRows", "signature"}`.

    Raises TaskRefused (final), AwaitingApproval and NotYet (asked again later).
    """
    terms, signature, request = read_offer(node, payload)
    order = terms.order_id(node.domain)
    folder = node.orders.folder(order)
    accepted = folder.accepted()
    if accepted is None:
        accepted = _decide(node, order, terms, signature, request)
        folder.accept(accepted, node.chain.chain_time())
    return AcceptAnswer(max_rows=accepted.max_rows, signature=accepted.acceptance).encode()


def read_offer(node: Node, payload: bytes) -> tuple[OrderTerms, Signature, Request]:
    """The offer's parts, each bound by digest or signature; TaskRefused names what does not hold."""
    try:
        offer = AcceptOffer.read(payload, "accept task")
    except ProvenanceError as error:
        raise TaskRefused("bad-offer", str(error)) from error
    terms, collection, request, signature = offer.terms, offer.collection, offer.request, offer.signature
    if (offer.chain_id, offer.escrow) != (node.domain.chain_id, node.domain.verifying_contract):
        raise TaskRefused(
            "other-market",
            f"the offer is for escrow {offer.escrow} on chain {offer.chain_id}, not this node's market",
        )
    if terms.order_id(node.domain) != offer.order_id:
        raise TaskRefused(
            "terms-differ", f"these terms have the digest {terms.order_id(node.domain)}, not {offer.order_id}"
        )
    if collection.digest != node.collection.digest:
        raise TaskRefused(
            "collection-differs",
            f"the offer shows collection {collection.digest}, this node serves {node.collection.digest}",
        )
    _check_documents(terms, collection, request)
    try:
        require_signer(node.domain, terms, signature, terms.buyer)
    except ProvenanceError as error:
        raise TaskRefused("not-signed", f"the terms do not carry the buyer's signature: {error}") from error
    return terms, signature, request


def _check_documents(terms: OrderTerms, collection: Collection, request: Request) -> None:
    try:
        bound = bindings(terms, collection, request)
    except ProvenanceError as error:
        raise TaskRefused("bad-conditions", str(error)) from error
    for binding in bound:
        if not binding.holds:
            raise TaskRefused(
                _DIFFERS[binding.member],
                f"the terms bind {binding.member} {binding.found}, collection and request give {binding.expected}",
            )


def proposal_of(node: Node, terms: OrderTerms, request: Request) -> Proposal:
    """What the policy looks at."""
    now, order = node.chain.chain_time(), terms.order_id(node.domain)
    month = [
        (node.orders.folder(other).accepted_at(), 0 if held.request.training else held.terms.epsilon_micro)
        for other, held in node.orders.accepted()
        if other != order
        and node.orders.folder(other).accepted_at() > now - _MONTH_SECONDS
        and _cost(node, other)
    ]
    today = [epsilon for at, epsilon in month if at > now - _DAY_SECONDS]
    return Proposal(
        node.collection.name,
        request.purpose,
        terms,
        now,
        declared_rows=node.settings.public_rows,
        orders_today=len(today),
        epsilon_today_micro=sum(today),
        epsilon_month_micro=sum(epsilon for _, epsilon in month),
        unit=node.chain.deployment.unit,
        from_stock=request.training is not None,
    )


def _cost(node: Node, order: Digest) -> bool:
    """Whether an accepted order cost this node something, or still may: not what ended before it was matched."""
    if node.chain.order(order).state not in (OrderState.CANCELLED, OrderState.REFUNDED):
        return True
    return any(entry.order == order for entry in node.state.ledger.entries())


def require_partners(
    node: Node, others: Several[Address] | None, contributors: int, epsilon_micro: int
) -> None:
    """TaskRefused where sums alone are seen and too few of the contributors are trusted. others:
    None before the match.
    """
    if not sums_alone(node.collection.settings):
        return
    verdict = node.policy().judge_partners(others, trusted_contributors(contributors, epsilon_micro))
    if verdict is not None:
        raise TaskRefused(verdict.code, verdict.reason)


def check_budget(node: Node, order: Digest, terms: OrderTerms, request: Request) -> None:
    """BudgetExceeded if the cap cannot bear this order beside all that is charged or promised. An order from stock
    asks for nothing."""
    if node.state.ledger.cap.epsilon is None or request.training is not None:
        return
    wanted = [(other, _promise(node, other, held)) for other, held in _living(node) if other != order]
    node.state.ledger.check_all([*wanted, (order, _planned(_plan(node, order, terms, request), node))])


def _decide(node: Node, order: Digest, terms: OrderTerms, signature: Signature, request: Request) -> Accepted:
    node.state.ledger.note_limits(f"policy of {node.address}", node.policy().all_privacy_words())
    _check_chain(node, order, terms)
    if node.collection.is_private and terms.is_open:
        raise TaskRefused("no-delivery-key", "the collection is private and the terms name no delivery key")
    _check_delivery_key(terms)
    if request.training is None:
        check_exact_counts(node, order, terms, request)
    _ask_policy(node, order, proposal_of(node, terms, request))
    if request.training is None:
        require_partners(node, None, terms.min_contributors, terms.epsilon_micro)
    stake, unit = node.chain.stake_of(node.address), node.chain.deployment.unit
    policy = node.policy()
    least = node.chain.limits().min_stake
    affordable = terms.rows_for(min(stake.free, policy.maximum_stake_wei), least) if stake.registered else 0
    if not affordable:
        raise TaskRefused(
            "stake",
            f"{unit.shown(terms.stake_of(1, least))} are to be reserved at the least, {unit.shown(stake.free)} are "
            "free: deposit more stake",
        )
    _check_parents(node)
    if request.training is not None:
        check_stock(node, terms, request, request.training)
    else:
        _check_delta(node, terms)
        _check_plan(node, order, terms, request)
    require_newest_ledger(node)
    if request.training is None:
        check_budget(node, order, terms, request)
        node.state.ledger.bind(order, str(node.address))
    # Its part of the stake is by its rows: it offers as many as its stake bears.
    max_rows = min(terms.rows, policy.maximum_rows, affordable)
    acceptance = node.signer.sign_typed(node.domain, Acceptance(order, node.address, max_rows))
    return Accepted(terms, signature, request, max_rows, acceptance)


def _check_chain(node: Node, order: Digest, terms: OrderTerms) -> None:
    state = node.chain.order(order).state
    if state is OrderState.NONE:
        raise NotYet(f"escrow does not hold order {order} yet")
    if state is not OrderState.OPEN:
        raise TaskRefused("not-open", f"order {order} is {state.name} on chain, only Open ones are accepted")
    now = node.chain.chain_time()
    if now >= terms.match_by:
        raise TaskRefused("too-late", f"chain time is {now}, the order had to be matched by {terms.match_by}")


def _check_delta(node: Node, terms: OrderTerms) -> None:
    """A delta of one in as many rows as the table has would allow to publish a row of it as it is."""
    if terms.epsilon_micro and terms.delta_e12 * node.settings.public_rows > 10**E12:
        raise TaskRefused(
            "delta-too-large",
            f"the order asks for delta {format_fixed(terms.delta_e12, E12)}, expected at most one in the "
            f"{node.settings.public_rows:,} rows that this node declares",
        )


def check_exact_counts(node: Node, order: Digest, terms: OrderTerms, request: Request) -> None:
    """With the fewest contributors that the order may run with: more mask no less."""
    try:
        require_no_exact_counts(_plan(node, order, terms, request))
    except PlanError as error:
        raise TaskRefused("bad-plan", f"no training keeps these terms: {error}") from error


def _check_plan(node: Node, order: Digest, terms: OrderTerms, request: Request) -> None:
    """The training plan as far as it is known before the match: what no family can run is refused while the buyer
    can still have its money back and nobody has spent anything.
    """
    try:
        plan = _plan(node, order, terms, request)
        family_of(plan.family).check(plan)
        family_of(plan.family).releases(plan, node.address)
    except GeneratorError as error:
        raise TaskRefused("bad-plan", f"no training keeps these terms: {error}") from error


def _plan(node: Node, order: Digest, terms: OrderTerms, request: Request) -> TrainingPlan:
    """Whoever else comes, these are as many as there must be."""
    collection, declared = node.collection, node.settings.public_rows
    others = (Address(number.to_bytes(20, "big")) for number in range(1, terms.min_contributors))
    return TrainingPlan(
        order=order,
        family=collection.family,
        schema=collection.schema,
        epsilon_micro=terms.epsilon_micro or None,
        delta_e12=terms.delta_e12,
        participants=tuple(PlanParticipant(each, declared) for each in (node.address, *others)),
        settings=order_settings(collection, request.asked(collection.schema, terms.rows)),
    )


def _check_parents(node: Node) -> None:
    """Training for a data set whose parent fell would spend privacy on an order that cannot be published."""
    for parent in node.collection.parents:
        try:
            record = node.chain.dataset(parent)
        except UnknownDatasetError as error:
            raise TaskRefused("bad-parents", f"parent {parent} is not recorded: {error}") from error
        if record.status != DatasetStatus.VALID:
            raise TaskRefused(
                "bad-parents", f"parent {parent} has status {record.status}, it is not valid any more"
            )


def _check_delivery_key(terms: OrderTerms) -> None:
    """A key that nothing can be sealed to would end the order after its privacy was spent, and unpaid."""
    if terms.is_open:
        return
    try:
        require_usable(terms.delivery_key)
    except SealError as error:
        raise TaskRefused("bad-delivery-key", str(error)) from error


def _ask_policy(node: Node, order: Digest, proposal: Proposal) -> None:
    verdict = node.policy().judge(proposal)
    if verdict.decision is Decision.DENY:
        raise TaskRefused(verdict.code, verdict.reason)
    if verdict.decision is Decision.ASK:
        answer = node.approvals.state(order)
        if answer == DENIED:
            raise TaskRefused("operator-denied", "the node's operator declined this order")
        if answer != APPROVED:
            node.approvals.ask(order, proposal)
            raise AwaitingApproval(f"order {order} waits for `tessera node approve {str(order)[:12]}`")


def _living(node: Node) -> list[tuple[Digest, Accepted]]:
    """Accepted orders that may still ask for releases."""
    alive = (OrderState.OPEN, OrderState.MATCHED)
    return [(order, held) for order, held in node.orders.accepted() if node.chain.order(order).state in alive]


def _promise(node: Node, order: Digest, accepted: Accepted) -> list[Release]:
    """Releases of an accepted order that the ledger has not charged yet; none of one from stock."""
    if accepted.request.training is not None:
        return []
    plan = node.state.order(order).plan() or _plan(node, order, accepted.terms, accepted.request)
    charged = {
        release.name
        for charge in node.state.ledger.charged()
        if charge.order == order
        for release in charge.releases
    }
    return [release for release in _planned(plan, node) if release.name not in charged]


def _planned(plan: TrainingPlan, node: Node) -> list[Release]:
    return [*family_of(plan.family).releases(plan, node.address), score_release(plan)]
