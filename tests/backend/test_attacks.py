"""Attacks on a broker by its buyers, over HTTP and on chain; each is named after its number in docs/security.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backend.contributors import Records
from backend.errors import OrderFailedError
from backend.indexer.follower import Follower
from backend.ports import BrokerWriting
from backend.tasks.repository import TaskRepository
from backend.workflow.generate import Generation
from backend.workflow.match import Matching
from backend.workflow.order_log import OrderLog
from backend.workflow.order_workflow import run_order
from backend.workflow.publication import assemble
from backend.workflow.settle import Settlement
from provenance.api.orders import FINAL_STATES
from provenance.api.orders import OrderState as BrokerState
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState
from provenance.chain.writer import ChainWriter
from provenance.crypto.permit import NO_PERMIT
from provenance.crypto.signing import Signer
from provenance.errors import ContentMissingError
from provenance.store.unixfs import cid_of
from provenance.values import Digest
from tests.backend.conftest import DELIVERY_KEY, Api, Chain, Json, catch_up
from tests.backend.test_order_workflow import World, chain_state, drawn, matched, work, wrapped_key
from tests.backend.test_order_workflow import world as world
from tests.waiting import until


@dataclass
class Spy:
    """Everything that a buyer can ask the broker for."""

    api: Api
    buyer: Signer

    def reads(self, order: str) -> Iterator[bytes]:
        """Answers to all questions about an order, its tasks and jobs among them."""
        shown = self.api.call("GET", f"/v1/orders/{order}")
        yield shown.content
        # The stream of events ends with the order.
        streams = [f"/v1/orders/{order}/events"] if shown.json()["state"] in FINAL_STATES else []
        for target in (*streams, "/v1/orders", "/v1/datasets", "/"):
            yield self.api.call("GET", target).content
        closed = [f"/v1/tasks?order={order}"]
        closed += [f"/v1/tasks/{number}/{part}" for number in range(1, 9) for part in ("payload", "result")]
        for target in closed:
            answer = self.api.call("GET", target, by=self.buyer)
            assert answer.status_code in (403, 404)
            yield answer.content

    def opens(self, generation: Generation) -> bool:
        """Whether the buyer gets hold of a wrapped key or of a file of the data set."""
        publication = assemble(self.api.ports, generation)
        stored = generation.order()[0]
        order, keys = str(stored.id), [wrapped_key(shard, stored.id) for shard in range(len(stored.matched))]
        names = (*publication.contents, cid_of(publication.manifest), *map(cid_of, keys))
        served = [
            self.api.call("GET", f"/v1/content/{cid}", by=by).status_code == 200
            for cid in names
            for by in (None, self.buyer)
        ]
        held = [self.api.ports.store.has(cid) for cid in names]
        told = [key.hex().encode() in answer or key in answer for answer in self.reads(order) for key in keys]
        return any((*served, *held, *told))


class Refusing:
    """The broker's transactions, of which the chain refuses the publication."""

    def __init__(self, writer: BrokerWriting) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def publish(self, *_arguments: object) -> Any:
        raise RevertError("DatasetRegistry_ScoreTooLow(900000, 950000)")


@pytest.mark.parametrize("failure", ["score", "publication", "deadline"])
def test_m1_an_order_that_fails_after_sampling_gives_no_key_away(
    world: World, api: Api, buyer: Signer, chain: Chain, failure: str
) -> None:
    """Before: 2,000 of 2,000 rows and 3 models for nothing, the manifest's CID stood in the public order."""
    order = api.order(buyer, world.collection, minScore="0.8")
    before = chain.reader.balance(buyer.address)
    generation = sampled(world, api, chain, order, 100_000 if failure == "score" else 900_000)
    spy = Spy(api, buyer)
    assert not spy.opens(generation), "sampled, sealed, uploaded and scored, but not on chain"
    if failure == "deadline":
        chain.skip(chain.reader.deadline(Digest.parse(order)) + 1 - chain.reader.chain_time())
    ports = api.ports if failure != "publication" else replace(api.ports, writer=Refusing(api.ports.writer))
    run_order(ports, order)
    assert chain_state(api, order) is OrderState.REFUNDED
    assert chain.reader.balance(buyer.address) >= before
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert shown["reason"].startswith("publish: ")
    assert shown["manifestCid"] is None
    assert not spy.opens(generation), "refunded, and still nothing to open"
    for cid in generation.score_result().files():
        with pytest.raises(ContentMissingError):
            api.ports.waiting.get(cid)


def test_m1_what_is_recorded_is_released(world: World, api: Api, buyer: Signer, chain: Chain) -> None:
    """The proof that the spy of the test above would see what it looks for."""
    order = api.order(buyer, world.collection, challengeSeconds=0)
    generation = sampled(world, api, chain, order, 900_000)
    chain.skip(1)
    with world.beside(lambda: run_order(api.ports, order)):
        until(lambda: chain_state(api, order) is OrderState.PUBLISHED or None, "the publication")
        chain.skip(5)
    assert Spy(api, buyer).opens(generation)
    manifest = api.call("GET", f"/v1/content/{cid_of(assemble(api.ports, generation).manifest)}")
    for shard, node in enumerate(world.nodes):
        key = wrapped_key(shard, Digest.parse(order))
        assert str(cid_of(key)).encode() in manifest.content
        assert api.call("GET", f"/v1/content/{cid_of(key)}").status_code == 404, "not released yet"
        assert world.release(node, key[:-1]).status_code == 422, "not the key that the content document names"


def test_a3_the_broker_has_no_key_before_the_record_and_waits_for_none_after_it(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: it had every wrapped key with the receipts, and buyer and broker let the order lapse with the rows."""
    order = api.order(buyer, world.collection, challengeSeconds=0)
    generation = sampled(world, api, chain, order, 900_000)
    tasks = f"/v1/tasks?order={order}&name=release"
    assert api.call("GET", tasks, by=api.broker).json()["tasks"] == []
    keys = [cid_of(wrapped_key(shard, Digest.parse(order))) for shard in range(2)]
    files = (*assemble(api.ports, generation).contents, *keys)
    held = [api.ports.waiting.has(cid) or api.ports.store.has(cid) for cid in files]
    assert held == [True] * 5 + [False] * 2, "sealed files, and no key of them"

    settlement = Settlement(api.ports, order, generation)
    settlement.publish()
    settlement.publish()  # killed in between, and done again
    asked = api.call("GET", tasks, by=api.broker).json()["tasks"]
    assert [(each["node"], each["state"]) for each in asked] == [
        (str(n.address), "queued") for n in world.nodes
    ]
    silent, prompt = world.nodes
    assert world.release(prompt).status_code == 201
    assert api.call("GET", f"/v1/content/{keys[1]}").content == wrapped_key(1, Digest.parse(order))
    chain.skip(5)
    settlement.settle()
    assert chain_state(api, order) is OrderState.SETTLED, "a key that is withheld holds up no money"
    assert world.release(silent).status_code == 201, "late, and still wanted"
    assert api.call("GET", f"/v1/content/{keys[0]}").content == wrapped_key(0, Digest.parse(order))


def test_a3_a_content_document_with_its_wrapped_key_is_refused_before_the_record(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)

    def leaks(job: Json) -> Json:
        result = world.score_result(job)
        content = result["shards"][1]["content"]
        del content["wrappedKeyCid"]
        content["wrappedKey"] = "0x" + b"wrapped key".hex()
        answer = world.finish(job, result)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (
            422,
            "shards[1].content.wrappedKey",
        )
        return world.score_result(job)

    sampled(world, api, chain, order, leaks)
    assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the test is over")


def test_m3_a_stranger_that_declares_every_row_gets_the_newcomers_part(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: 997 of 1,000 rows; silent then, it killed the order, kept its stake and got a part of the bond."""
    first = api.order(buyer, world.collection, challengeSeconds=0)
    generation = sampled(world, api, chain, first, 900_000)
    with world.beside(lambda: run_order(api.ports, first)):
        until(lambda: chain_state(api, first) is OrderState.PUBLISHED or None, "the publication")
        chain.skip(5)
    assert chain_state(api, first) is OrderState.SETTLED
    for node in world.nodes:
        assert world.release(node).status_code == 201
    catch_up(Follower(api.ports))
    with api.ports.database.read() as session:
        delivered = Records(session).delivered()
    shares = generation.order()[0].participants()
    # The session's chain may hold settled orders of other tests beside this one.
    assert all(delivered[each.contributor] >= each.rows for each in shares)
    assert {each.contributor for each in shares} == {node.address for node in world.nodes}

    stranger = chain.staked_node()
    assert api.announce(stranger, world.collection, rows=2**53 - 1).status_code == 201
    world.nodes.append(stranger)
    try:
        order = api.order(buyer, world.collection, rows=200)
        matching = Matching(api.ports, order)
        matching.place()

        def accept() -> None:
            for node in world.nodes:
                world.accept(node, max_rows=200)

        with world.beside(accept):
            matching.match()
    finally:
        world.nodes.remove(stranger)
    rows = {each.contributor: each.rows for each in chain.reader.participants(Digest.parse(order))}
    assert rows.pop(stranger.address) == 50, "a quarter of 200"
    assert sum(rows.values()) == 150
    assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the test is over")


def test_m3_who_left_an_order_to_fail_is_not_asked_for_the_next(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    matched(world, api, order)
    for node in world.nodes:
        target = f"/v1/tasks?order={order}&node={node.address}&name=bins&kind=train"
        assert api.call("POST", target, b"a step", by=api.broker).status_code == 201
    answering, silent = world.nodes
    task = world.task(answering)
    assert api.call("PUT", f"/v1/tasks/{task['id']}/result", b"counts", by=answering).status_code == 201
    assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("a node is silent")

    now = api.ports.clock()
    with api.ports.database.read() as session:
        assert Records(session).absent(now - 60) == {silent.address}
        assert Records(session).absent(now + 60) == set(), "not for ever"
    following = api.order(buyer, world.collection)
    matching = Matching(api.ports, following)
    matching.place()

    def fails() -> None:
        with pytest.raises(OrderFailedError, match="1 contributors accepted"):
            matching.match()

    with world.beside(fails):
        world.accept(answering)
        chain.skip(600)
    with api.ports.database.read() as session:
        asked = TaskRepository(session).of_order(following, "accept")
    assert [task.node for task in asked] == [str(answering.address)]
    assert Settlement(api.ports, following, Generation(api.ports, following)).give_back("the test is over")


def test_m3_a_step_that_nobody_answered_is_nobodys_fault(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    matched(world, api, order)
    for node in world.nodes:
        target = f"/v1/tasks?order={order}&node={node.address}&name=bins&kind=train"
        assert api.call("POST", target, b"a step", by=api.broker).status_code == 201
    refusing = world.task(world.nodes[0])
    body = {"code": "conditions-unmet", "reason": "no such rows"}
    assert api.call("POST", f"/v1/tasks/{refusing['id']}/refuse", body, by=world.nodes[0]).status_code == 200
    assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the worker is lost")
    with api.ports.database.read() as session:
        assert Records(session).absent(0) == set()


def test_m7_two_orders_of_one_buyer_are_both_placed(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: both permits had nonce 0, and the second order was rejected for ever."""
    quotes = [api.quote(buyer, world.collection) for _ in range(2)]
    first, second = (api.signed_order(buyer, quote) for quote in quotes)
    assert api.call("POST", "/v1/orders", first).status_code == 202
    refused = api.call("POST", "/v1/orders", second)
    assert (refused.status_code, refused.json()["code"]) == (422, "permit-nonce")
    nonce = api.quote(buyer, world.collection)["permit"]["typedData"]["message"]["nonce"]
    quotes[1]["permit"]["typedData"]["message"]["nonce"] = nonce
    second = api.signed_order(buyer, quotes[1])
    assert api.call("POST", "/v1/orders", second).status_code == 202
    early = Matching(api.ports, quotes[1]["orderId"])
    with world.beside(early.place):
        until(lambda: world.running is not None and not world.running.done(), "the second to wait its turn")
        assert chain_state(api, quotes[1]["orderId"]) is OrderState.NONE
        Matching(api.ports, quotes[0]["orderId"]).place()
    assert [chain_state(api, quote["orderId"]) for quote in quotes] == [OrderState.OPEN] * 2
    for quote in quotes:
        order = quote["orderId"]
        assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the test is over")


def test_m7_an_order_whose_predecessor_was_never_placed_says_so(
    world: World, api: Api, buyer: Signer
) -> None:
    orders = [api.order(buyer, world.collection) for _ in range(2)]
    OrderLog(api.ports, orders[0]).enter(BrokerState.REJECTED, "for the test")
    with pytest.raises(OrderFailedError, match="ask for a new quote"):
        Matching(api.ports, orders[1]).place()


def test_m7_a_buyer_that_approved_the_escrow_needs_no_permit(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    ChainWriter(chain.reader, buyer).approve(chain.reader.deployment.escrow, 2 * 60 * 10**12)
    orders = []
    for _ in range(2):
        body = api.signed_order(buyer, api.quote(buyer, world.collection))
        body["permit"] = NO_PERMIT.document()
        orders.append(api.call("POST", "/v1/orders", body).json()["orderId"])
    for order in reversed(orders):
        Matching(api.ports, order).place()
        assert chain_state(api, order) is OrderState.OPEN
        assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the test is over")


def sampled(
    world: World, api: Api, chain: Chain, order: str, score: int | Callable[[Json], Json]
) -> Generation:
    """Brings an order to the moment before its publication. score: in millionths, or the result for a job."""
    generation = drawn(world, api, chain, order)

    def scores(job: Json) -> Json:
        return world.score_result(job, score) if isinstance(score, int) else score(job)

    with world.beside(lambda: work(world, "score", scores)):
        generation.score()
    assert api.ports.chain.commitment(Digest.parse(order)).seed is not None
    return generation


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"minScore": "1"}, "minimum score: found 1, expected at most 0.9", id="M1-score"),
        pytest.param({"deliverWithinSeconds": 61}, "match deadline: found ", id="M2-deadline"),
        pytest.param({"rows": 3}, "rows: found 3, expected 10 to 10000000", id="M4-rows"),
        pytest.param({"epsilon": "0.01"}, "epsilon: found 0.01, expected at least 0.1", id="M6-epsilon"),
        pytest.param(
            {"challengeSeconds": 91 * 86_400}, "challenge window: found 7862400 seconds", id="M6-window"
        ),
        pytest.param({"deliveryKey": "0x01" + "00" * 31}, "delivery key: found 0x01", id="M6-key"),
        pytest.param({"deliverWithinSeconds": 2**31}, "delivery deadline: found ", id="M6-year"),
    ],
)
def test_m6_what_cannot_be_delivered_is_not_quoted(
    api: Api, buyer: Signer, changes: Json, words: str
) -> None:
    """Before: quoted, paid and matched, then refused by every node; the broker lost a tenth of its bond."""
    body = {
        "collection": api.collection(),
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": DELIVERY_KEY,
    }
    answer = api.call("POST", "/v1/quotes", body | changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "terms-refused")
    assert words in answer.json()["detail"]


def test_m4_an_order_below_the_least_price_is_not_quoted(api: Api, buyer: Signer) -> None:
    """Before: three rows bought training at three nodes."""
    cheap = api.collection(name="cheap", price_per_row_wei=10**9)
    body = {"collection": cheap, "buyer": str(buyer.address), "rows": 60, "deliveryKey": DELIVERY_KEY}
    answer = api.call("POST", "/v1/quotes", body)
    assert answer.json()["detail"].startswith(
        "price: found 0.00000006 tokens, expected at least 0.000001 tokens"
    )


@pytest.mark.parametrize("after", [1, 59])
def test_m2_a_deadline_just_after_the_match_is_refused(api: Api, buyer: Signer, after: int) -> None:
    """Before: 10 tokens of the broker's bond for the buyer, in 22 seconds, until the broker had none."""
    quote = api.quote(buyer, api.collection())
    quote["terms"]["deliverBy"] = str(int(quote["terms"]["matchBy"]) + after)
    answer = api.call("POST", "/v1/orders", api.signed_order(buyer, quote))
    assert (answer.status_code, answer.json()["code"]) == (422, "terms-refused")
    assert "delivery deadline: found " in answer.json()["detail"]
    assert "at least 1 minute later than the match deadline" in answer.json()["detail"]
