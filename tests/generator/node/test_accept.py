"""Which orders a node puts its name to: refusals first, each with the code that travels back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from generator.errors import AwaitingApproval, NotYet, TaskRefused
from generator.families.family import family_of
from generator.node.accept import accept_order
from generator.node.context import Node
from generator.node.train import train_step
from generator.privacy.accountant import GaussianEvent, noise_multiplier_for
from generator.privacy.release import Release
from provenance.chain.ports import DatasetStatus, OrderState, StakeOnChain
from provenance.crypto.signing import Signer, require_signer
from provenance.record.collection import Request
from provenance.record.receipts import Acceptance
from provenance.record.terms import parents_digest
from provenance.table.conditions_bytes import NO_CONDITIONS
from provenance.values import Digest, Signature
from tests.generator.node.world import AUTO, World

ASK = AUTO.replace('default = "auto"', 'default = "ask"')


def refusal(world: World, **how: Any) -> str:
    node = how.pop("node", None) or world.node()
    offer = how.pop("offer", None) or world.offer()
    code = refusal_of(node, offer)
    assert node.orders.folder(world.order()).accepted() is None
    return code


def refusal_of(node: Node, offer: bytes) -> str:
    with pytest.raises(TaskRefused) as caught:
        accept_order(node, offer)
    return caught.value.code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chainId": 1}, "other-market"),
        ({"escrow": "0x" + "ee" * 20}, "other-market"),
        ({"orderId": "0x" + "00" * 32}, "terms-differ"),
        ({"signature": "0x" + "11" * 65}, "not-signed"),
        ({"request": Request("advertising").document()}, "request-differs"),
        ({"request": {}}, "bad-offer"),
        ({"collection": {}}, "bad-offer"),
        ({"signature": 5}, "bad-offer"),
    ],
)
def test_refuses_an_offer_whose_parts_do_not_hold_together(
    world: World, changes: dict[str, object], code: str
) -> None:
    world.open()
    assert refusal(world, offer=world.offer(None, **changes)) == code


@pytest.mark.parametrize(
    "segment",
    [
        {"rows": 500, "where": [{"column": "d", "ranges": [[0, 0]]}]},
        {"rows": 500, "where": [{"column": "c", "ranges": [[0, 9]]}]},
        {"rows": 499, "where": [{"column": "c", "ranges": [[0, 0]]}]},
        {"rows": 500, "where": []},
        {},
    ],
)
def test_refuses_conditions_that_no_rows_of_the_order_can_meet(world: World, segment: Any) -> None:
    world.request = Request("research", (segment,))
    world.open()
    assert refusal(world) == "bad-conditions"


def test_refuses_noise_in_parts_among_contributors_of_whom_it_trusts_too_few(world: World) -> None:
    world.collection = replace(
        world.collection, settings={**world.collection.settings, "noise": "distributed"}
    )
    terms = world.terms(min_contributors=3)
    world.open(terms)
    assert refusal_of(world.node(), world.offer(terms)) == "policy-partners"
    partner = world.signer(1).address
    trusting = AUTO.replace("trusted_partners = []", f'trusted_partners = ["{partner}"]')
    assert accept_order(world.node(policy=trusting), world.offer(terms))


def test_a_price_that_is_too_low_is_refused_without_the_table_s_exact_number_of_rows(world: World) -> None:
    """Settings that an earlier release wrote, or their operator, hold it."""
    world.open()
    node = world.node(policy=AUTO + f'minimum_price_per_row_and_epsilon_wei = "{10**18}"\n')
    counted = replace(node, settings=node.settings.model_copy(update={"declared_rows": 1234}))
    with pytest.raises(TaskRefused, match="of 1,200 declared rows") as refused:
        accept_order(counted, world.offer())
    assert refused.value.code == "policy-price"


def test_refuses_terms_that_another_key_signed(world: World) -> None:
    world.open()
    forged = Signer(bytes([3]) * 32).sign_typed(world.chain.deployment.domain, world.terms())
    assert refusal(world, offer=world.offer(signature=str(forged))) == "not-signed"


def test_refuses_terms_of_another_collection(world: World) -> None:
    terms = world.terms(collection=Digest(bytes([1]) * 32))
    world.open(terms)
    assert refusal(world, offer=world.offer(terms)) == "collection-differs"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request": Digest(bytes([1]) * 32)}, "request-differs"),
        ({"royalty_bps": 1}, "royalty-differs"),
        ({"conditions": Digest(bytes([1]) * 32)}, "conditions-differ"),
        ({"parents": parents_digest([1])}, "parents-differ"),
    ],
)
def test_refuses_terms_that_do_not_follow_from_collection_and_request(
    world: World, changes: dict[str, Any], code: str
) -> None:
    terms = world.terms(**changes)
    world.open(terms)
    assert refusal(world, offer=world.offer(terms)) == code


def test_refuses_terms_without_the_digest_of_the_conditions_that_are_asked(world: World) -> None:
    world.request = Request("research", ({"rows": 500, "where": [{"column": "c", "ranges": [[0, 0]]}]},))
    terms = world.terms(conditions=NO_CONDITIONS)
    world.open(terms)
    assert refusal(world, offer=world.offer(terms)) == "conditions-differ"


@pytest.mark.parametrize("status", [None, DatasetStatus.REVOKED, DatasetStatus.FLAGGED])
def test_refuses_a_collection_whose_parent_is_unknown_or_fell(
    world: World, status: DatasetStatus | None
) -> None:
    world.collection = replace(world.collection, parents=(3, 4), own_real_micro=0)
    world.chain.statuses = {3: DatasetStatus.VALID} | ({} if status is None else {4: status})
    world.open()
    assert refusal(world) == "bad-parents"


def test_accepts_a_collection_whose_parents_stand(world: World) -> None:
    world.collection = replace(world.collection, parents=(3, 4), own_real_micro=0)
    world.chain.statuses = {3: DatasetStatus.VALID, 4: DatasetStatus.VALID}
    world.open()
    assert world.accept(world.node()).order == world.order()


def test_refuses_a_collection_document_that_the_terms_do_not_bind(world: World) -> None:
    world.open()
    other = replace(world.collection, title="Another")
    assert refusal(world, offer=world.offer(collection=other.document())) == "collection-differs"


@pytest.mark.parametrize(
    "state",
    [
        *(OrderState.MATCHED, OrderState.CANCELLED, OrderState.REFUNDED, OrderState.SETTLED),
        OrderState.REVOKED,
    ],
)
def test_refuses_an_order_that_is_not_open_on_chain(world: World, state: OrderState) -> None:
    world.chain.states[world.order()] = state
    assert refusal(world) == "not-open"


def test_refuses_after_the_matching_time_of_the_chain(world: World) -> None:
    world.open()
    world.chain.time_seconds = 2_000
    assert refusal(world) == "too-late"


def test_refuses_a_private_collection_without_a_delivery_key(world: World, open_delivery_key: Digest) -> None:
    terms = world.terms(delivery_key=open_delivery_key)
    world.open(terms)
    assert refusal(world, offer=world.offer(terms)) == "no-delivery-key"


def test_refuses_a_delivery_key_that_nothing_can_be_sealed_to(world: World) -> None:
    terms = world.terms(delivery_key=Digest(b"\x01" + bytes(31)))
    world.open(terms)
    assert refusal(world, offer=world.offer(terms)) == "bad-delivery-key"


def test_refuses_what_the_policy_denies(world: World) -> None:
    world.open()
    policy = AUTO + '[[rule]]\ndecision = "deny"\npurpose = "res*"\n'
    assert refusal(world, node=world.node(policy=policy)) == "policy-denied"


@pytest.mark.parametrize("stake", [StakeOnChain(10**13, 0, 0, 0, True), StakeOnChain(10**18, 0, 0, 0, False)])
def test_refuses_without_the_stake_on_chain(world: World, stake: StakeOnChain) -> None:
    world.open()
    world.chain.stake = stake
    assert refusal(world) == "stake"


def test_refuses_what_exceeds_the_cap(world: World) -> None:
    world.open()
    assert refusal(world, node=world.node(cap=2.5)) == "privacy-cap"


def test_refuses_what_exceeds_the_cap_with_what_was_spent(world: World) -> None:
    world.open()
    node = world.node(cap=4.0)
    event = GaussianEvent(noise_multiplier_for(2.5, 1e-5))
    node.state.ledger.record(Release("bins", event), order=Digest(bytes([8]) * 32), delta=1e-5)
    assert refusal(world, node=node) == "privacy-cap"


def test_refuses_what_exceeds_the_cap_with_what_was_promised(world: World) -> None:
    node = world.node(cap=4.0)
    world.accept(node)
    second = world.terms(salt=Digest(bytes([1]) * 32))
    world.open(second)
    with pytest.raises(TaskRefused) as caught:
        accept_order(node, world.offer(second))
    assert caught.value.code == "privacy-cap"


def test_the_score_of_an_order_in_training_stays_promised(world: World) -> None:
    node = world.node(cap=4.0)
    world.accept(node)
    world.match()
    train_step(node, world.training_task(node))
    # As if the plan had asked less of the training rows than of the held-out ones.
    (node.state.ledger.path).unlink()
    for release in family_of("marginal").releases(world.plan(), node.address):
        cheap = Release(release.name, GaussianEvent(1e3))
        node.state.ledger.record(cheap, order=world.order(), delta=1e-5)
    second = world.terms(salt=Digest(bytes([1]) * 32))
    world.open(second)
    assert refusal_of(node, world.offer(second)) == "privacy-cap"


def test_promise_of_an_order_that_ended_is_free_again(world: World) -> None:
    node = world.node(cap=4.0)
    world.accept(node)
    world.chain.states[world.order()] = OrderState.CANCELLED
    world.accept(node, world.terms(salt=Digest(bytes([1]) * 32)))


def test_waits_while_the_chain_does_not_hold_the_order_yet(world: World) -> None:
    with pytest.raises(NotYet):
        accept_order(world.node(), world.offer())


def test_asks_the_operator_and_follows_the_answer(world: World) -> None:
    order = world.open()
    node = world.node(policy=ASK)
    with pytest.raises(AwaitingApproval):
        accept_order(node, world.offer())
    assert [question.state for question in node.approvals.all()] == ["asked"]
    node.approvals.decide(order, approve=True)
    assert json.loads(accept_order(node, world.offer()))["maxRows"] == 500


def test_operator_who_declines_makes_a_refusal(world: World) -> None:
    order = world.open()
    node = world.node(policy=ASK)
    with pytest.raises(AwaitingApproval):
        accept_order(node, world.offer())
    node.approvals.decide(order, approve=False)
    assert refusal(world, node=node) == "operator-denied"


def test_accepts_with_a_signature_over_order_and_rows(world: World) -> None:
    order = world.open()
    node = world.node()
    answer = json.loads(accept_order(node, world.offer()))
    message = Acceptance(order, node.address, answer["maxRows"])
    require_signer(node.domain, message, Signature.parse(answer["signature"]), node.address)
    accepted = node.orders.folder(order).accepted()
    assert accepted is not None
    assert accepted.terms == world.terms()


def test_answers_again_with_the_stored_bytes_even_after_the_match(world: World) -> None:
    world.open()
    node = world.node()
    first = accept_order(node, world.offer())
    world.match()
    world.chain.time_seconds = 9_999
    assert accept_order(node, world.offer()) == first


def test_delivers_no_more_rows_than_its_policy_says(world: World) -> None:
    world.open()
    answer = json.loads(accept_order(world.node(policy=AUTO + "maximum_rows = 500\n"), world.offer()))
    assert answer["maxRows"] == 500


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"min_score_micro": 10**6}, "policy-score"),
        ({"deliver_by": 2_001}, "policy-delivery"),
        ({"rows": 3, "price": 3 * 10**16}, "policy-rows"),
        ({"price": 10**12}, "policy-price"),
        ({"bond": 0}, "policy-bond"),
    ],
    ids=["M1-score", "M2-deadline", "M4-rows", "M4-price", "A3-bond"],
)
def test_terms_that_only_harm_are_refused_before_any_privacy_is_spent(
    world: World, changes: dict[str, Any], code: str
) -> None:
    terms = world.terms(**changes)
    world.open(terms)
    node = world.node()
    assert refusal_of(node, world.offer(terms)) == code
    assert list(node.state.ledger.entries()) == []


def test_m4_a_day_of_cheap_orders_ends_at_the_policy(world: World) -> None:
    """Before: each order of three rows cost three nodes a whole training and epsilon 3, its buyer nothing."""
    policy = AUTO + "maximum_orders_per_day = 2\n"
    node = world.node(policy=policy, cap=100.0)
    orders = [world.terms(salt=Digest(bytes([number]) * 32)) for number in range(5)]
    for terms in orders[:2]:
        world.accept(node, terms)
    world.open(orders[2])
    assert refusal_of(node, world.offer(orders[2])) == "policy-rate"
    # One that was cancelled before the match cost nothing: nobody can use up the day with such.
    world.chain.states[world.order(orders[0])] = OrderState.CANCELLED
    world.accept(node, orders[3])
    world.chain.time_seconds += 86_400
    later = replace(
        orders[4], match_by=world.chain.time_seconds + 600, deliver_by=world.chain.time_seconds + 2_000
    )
    world.accept(node, later)


def test_m6_an_epsilon_that_the_family_cannot_keep_is_refused_before_the_match(world: World) -> None:
    """Before: matched, then refused by every node in its first task."""
    world.collection = replace(world.collection, family="fedgan", settings={})
    terms = world.terms(epsilon_micro=10_000)
    world.open(terms)
    assert refusal_of(world.node(), world.offer(terms)) == "bad-plan"
