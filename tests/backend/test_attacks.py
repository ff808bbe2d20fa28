"""Attacks on a broker by its buyers, over HTTP and on chain; each is named after its number in docs/security.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backend.ports import BrokerWriting
from backend.workflow.generate import Generation
from backend.workflow.match import Matching
from backend.workflow.order_workflow import run_order
from backend.workflow.publication import assemble
from provenance.api.orders import FINAL_STATES
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState
from provenance.crypto.signing import Signer
from provenance.errors import ContentMissingError
from provenance.record.terms import OrderTerms
from provenance.store.unixfs import cid_of
from provenance.values import Digest
from tests.backend.conftest import DELIVERY_KEY, Api, Chain, Json
from tests.backend.test_order_workflow import World, chain_state, work
from tests.backend.test_order_workflow import world as world
from tests.waiting import until

WRAPPED_KEY = "0x" + b"wrapped key".hex()


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
        names = (*publication.contents, cid_of(publication.manifest))
        order = str(generation.order()[0].id)
        served = [
            self.api.call("GET", f"/v1/content/{cid}", by=by).status_code == 200
            for cid in names
            for by in (None, self.buyer)
        ]
        held = [self.api.ports.store.has(cid) for cid in names]
        told = [WRAPPED_KEY.encode() in answer for answer in self.reads(order)]
        return any((*served, *held, *told))


class Refusing:
    """The broker's transactions, of which the chain refuses the publication."""

    def __init__(self, writer: BrokerWriting) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def publish(self, *_arguments: object) -> None:
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
    terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])
    if failure == "deadline":
        chain.skip(terms.deliver_by + 1 - chain.reader.chain_time())
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
    assert WRAPPED_KEY.encode() in manifest.content


def sampled(world: World, api: Api, chain: Chain, order: str, score_micro: int) -> Generation:
    """Brings an order to the moment before its publication."""
    matching, generation = Matching(api.ports, order), Generation(api.ports, order)
    matching.place()
    with world.beside(world.bring_to_match):
        matching.match()
    with world.beside(lambda: work(world, "train", world.train_result)):
        generation.train()
    generation.commit()
    chain.mine(4)
    generation.draw()

    def scores(job: Json) -> Json:
        return world.score_result(job, score_micro)

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
