"""The interface is made of the protocol's own models, and the one client speaks with the running backend."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Protocol, cast

import pytest

from backend.app import create_app
from backend.coordination.service import JobService
from backend.ports import Ports
from backend.workflow.order_log import OrderLog
from provenance.api import errors
from provenance.api.catalogue import Announcement
from provenance.api.client import RetryPolicy
from provenance.api.coordination import JobPlan, ModelResult, TrainResult
from provenance.api.market import MarketClient
from provenance.api.message import Message, Uint256
from provenance.api.orders import (
    MessageEvent,
    OrderRequest,
    OrderState,
    ProgressEvent,
    QuoteRequest,
    SignedPermit,
    StateEvent,
)
from provenance.api.queue import Progress, WorkState
from provenance.crypto.permit import sign_permit
from provenance.crypto.signing import Signer
from provenance.values import Digest
from tests.backend.conftest import Api, Json, make_collection
from tests.waiting import HANG_SECONDS

MODULES = ("catalogue", "coordination", "errors", "orders", "queue", "tasks")
MODELS = {
    name: model
    for module in MODULES
    for name, model in inspect.getmembers(import_module(f"provenance.api.{module}"), inspect.isclass)
    if issubclass(model, Message) and model is not Message
}
FASTAPIS_OWN = {"HTTPValidationError", "ValidationError", "JsonValue"}
REF = "#/components/schemas/"
BYTES = {
    *(("post", "/v1/tasks"), ("get", "/v1/tasks/{task_id}/payload"), ("put", "/v1/tasks/{task_id}/result")),
    *(("get", "/v1/tasks/{task_id}/result"), ("post", "/v1/content"), ("get", "/v1/content/{cid}")),
    *(("get", "/v1/orders/{order_id}/events"), ("get", "/v1/datasets/{dataset_id}/manifest")),
}
"""Whose request or answer is no JSON object of the protocol."""


@pytest.fixture(scope="module")
def interface() -> Json:
    limits = SimpleNamespace(max_json_bytes=1, max_content_bytes=1)
    return create_app(cast(Ports, SimpleNamespace(settings=limits))).openapi()


def declared(content: Json) -> Json | None:
    """The schema of a JSON body or answer; None where it is none."""
    schema: Json | None = content.get("application/json", {}).get("schema")
    return schema


def test_every_json_answer_and_body_of_the_running_interface_is_a_model_of_the_protocol(
    interface: Json,
) -> None:
    names = set()
    for path, methods in interface["paths"].items():
        for method, operation in methods.items():
            answers = [declared(answer.get("content", {})) for status, answer in operation["responses"].items()
                       if status.startswith("2")]  # fmt: skip
            bodies = [declared(operation["requestBody"]["content"])] if "requestBody" in operation else []
            found: list[Json | None] = [schema for schema in (*answers, *bodies) if schema is not None]
            if (method, path) == ("post", "/v1/collections"):
                found = answers  # its body is the collection's own document, read in provenance.record
            assert found or (method, path) in BYTES, (method, path)
            for schema in found:
                assert schema is not None, (method, path)
                assert set(schema) == {"$ref"}, (method, path, schema)
                names.add(schema["$ref"].removeprefix(REF).removesuffix("-Input").removesuffix("-Output"))
    assert len(names) > 20
    assert names <= MODELS.keys()


def test_every_schema_of_the_interface_is_the_schema_of_its_model(interface: Json) -> None:
    for name, schema in interface["components"]["schemas"].items():
        if name in FASTAPIS_OWN or "enum" in schema:
            continue
        model = MODELS[name.removesuffix("-Input").removesuffix("-Output")]
        own = [model.model_json_schema(mode=mode) for mode in ("validation", "serialization")]
        assert set(schema["properties"]) in [set(each["properties"]) for each in own], name
        assert sorted(schema.get("required", ())) in [sorted(each.get("required", ())) for each in own], name
        assert schema["additionalProperties"] is False, name


class ClientOf(Protocol):
    """Opens the one client for whoever signs, or for nobody."""

    def __call__(self, signer: Signer | None = None) -> MarketClient: ...


@pytest.fixture
def client_of(api: Api) -> Iterator[ClientOf]:
    opened: list[MarketClient] = []

    def make(signer: Signer | None = None) -> MarketClient:
        client = MarketClient(
            str(api.client.base_url), signer=signer, retry=RetryPolicy(give_up_seconds=0),
            timeout_seconds=HANG_SECONDS,
        )  # fmt: skip
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


def place(api: Api, client: MarketClient, buyer: Signer) -> Digest:
    """An order by the one client, as a buyer's program places it."""
    collection = client.collection("people")
    delivery_key = Digest(b"\x5a" * 32)
    quote = client.quote(
        QuoteRequest(
            collection=collection.id, buyer=buyer.address, rows=60, epsilon="2.5", delivery_key=delivery_key,
            max_price_wei=Uint256(10**18),
        )
    )  # fmt: skip
    reader = api.chain.reader
    assert quote.order_id == quote.terms.order_id(reader.domain)
    assert (quote.terms.delivery_key, quote.price_wei) == (delivery_key, quote.terms.price)
    permit = sign_permit(
        buyer,
        reader.token_domain(),
        reader.permit_message(buyer.address, quote.terms.price, quote.terms.match_by),
    )
    order = OrderRequest(
        terms=quote.terms,
        signature=buyer.sign_typed(reader.domain, quote.terms),
        permit=SignedPermit(deadline=Uint256(permit.deadline), v=permit.v, r=permit.r, s=permit.s),
        request=quote.request,
    )
    accepted = client.place(order)
    assert client.place(order) == accepted
    return accepted.order_id


def test_refusals_come_as_typed_errors_with_the_backend_s_words(
    api: Api, client_of: ClientOf, buyer: Signer, two_nodes: list[Signer]
) -> None:
    client = client_of()
    with pytest.raises(errors.MarketNotFound, match="the market has: none"):
        client.collection("people")
    with pytest.raises(errors.MarketNotFound, match=r"\(not-found\): no order"):
        client.order(Digest(b"\1" * 32))
    with pytest.raises(errors.MarketUnauthenticated, match="Authorization header is missing"):
        client.lease_task(0, 15)
    with pytest.raises(errors.MarketForbidden, match="only the broker"):
        client_of(two_nodes[0]).lease_job(0, 15)
    asked = QuoteRequest(collection=Digest(bytes(32)), buyer=buyer.address, rows=1)
    unread = asked.model_copy(update={"epsilon": "-1"})
    with pytest.raises(errors.MarketRefused, match=r"epsilon: .*expected a decimal of at least 0"):
        client.quote(unread)


def test_buyer_node_and_coordinator_speak_with_the_backend_by_the_one_client(
    api: Api, client_of: ClientOf, buyer: Signer, two_nodes: list[Signer]
) -> None:
    node, broker, anybody = client_of(two_nodes[0]), client_of(api.broker), client_of()
    network = anybody.network()
    assert (network.broker, network.deployment.escrow) == (
        api.broker.address,
        api.chain.reader.deployment.escrow,
    )

    offered = broker.offer(make_collection())
    assert broker.offer(make_collection()) == offered
    assert anybody.collections() == (offered,)
    node.announce(Announcement(collection=offered.id, declared_rows=500, metadata={"software": "test"}))
    assert anybody.collection(str(offered.id)).contributors == 1

    order = place(api, anybody, buyer)
    view = anybody.order(order)
    assert (view.state, view.buyer, view.collection) == (OrderState.ACCEPTED, buyer.address, offered.id)
    assert anybody.orders(buyer=buyer.address, state=OrderState.ACCEPTED) == (view,)
    assert anybody.orders(state=OrderState.SETTLED) == ()

    assert node.lease_task(0, 15) is None
    broker.post_task(order, "round/0003", two_nodes[0].address, "train", b"payload")
    lease = node.lease_task(0, 15)
    assert lease is not None
    assert (lease.order, lease.name, lease.kind, lease.attempt) == (order, "round/0003", "train", 1)
    assert node.task_payload(lease.id) == b"payload"
    node.heartbeat(lease.id, 15, Progress(message="half", round=1, rounds=2, loss=0.125))
    node.heartbeat(lease.id, 15, None)
    (status,) = broker.tasks(order, "round/0003")
    assert (status.state, status.refusal) == (WorkState.LEASED, None)
    node.send_result(lease.id, b"result")
    assert broker.task_result(lease.id) == b"result"
    with pytest.raises(errors.MarketConflict):
        node.send_result(lease.id, b"another")
    broker.post_task(order, "finish", two_nodes[0].address, "train", b"payload")
    lease = node.lease_task(0, 15)
    assert lease is not None
    node.refuse_task(lease.id, "privacy-cap", "over the cap")
    (status,) = broker.tasks(order, "finish")
    assert status.refusal is not None
    assert (status.state, status.refusal.code) == (WorkState.REFUSED, "privacy-cap")
    cid = node.upload(b"sealed rows")
    assert broker.content(cid) == b"sealed rows"
    with pytest.raises(errors.MarketNotFound):
        anybody.content(cid)

    log = OrderLog(api.ports, str(order))
    log.message("soon")
    log.enter(OrderState.REJECTED, "for the test")
    events = list(anybody.events(order))
    assert [event.data for event in events] == [
        StateEvent(state=OrderState.ACCEPTED),
        ProgressEvent(node=two_nodes[0].address, message="half", round=1, rounds=2, loss=0.125),
        MessageEvent(text="soon"),
        StateEvent(state=OrderState.REJECTED, reason="for the test"),
    ]
    assert list(anybody.events(order, after=events[-1].id)) == [], "final, and everything was seen"


def test_coordinator_leases_reports_and_finishes_a_job(
    api: Api, client_of: ClientOf, buyer: Signer, two_nodes: list[Signer]
) -> None:
    broker = client_of(api.broker)
    broker.offer(make_collection())
    order = place(api, client_of(), buyer)
    stored = OrderLog(api.ports, str(order)).load()
    domain = api.chain.reader.domain
    document = {
        "format": "tessera-job/1", "chainId": domain.chain_id, "escrow": str(domain.verifying_contract),
        "terms": stored.terms.document(), "termsSignature": str(stored.signature),
        "collection": make_collection().document(), "request": stored.request.document(),
        "participants": [
            {"contributor": str(two_nodes[0].address), "rows": 60, "maxRows": 60, "declaredRows": 9,
             "acceptance": "0x" + "11" * 65},
        ],
        "models": None, "seed": None,
    }  # fmt: skip
    plan = JobPlan.of(document, "plan")
    assert broker.lease_job(0, 15) is None
    with api.ports.database.write() as session:
        JobService(session).ensure(str(order), "train", plan, 1)
    job = broker.lease_job(0, 15)
    assert job is not None
    assert (job.order, job.phase, JobPlan.of(job.plan, "plan")) == (order, "train", plan)
    broker.job_progress(job, 15, Progress(round=1, epsilon=0.5))

    model = ModelResult(
        contributor=two_nodes[0].address, shard=0, model_digest=Digest(b"\7" * 32),
        epsilon_micro=10, delta_e12=stored.terms.delta_e12,
    )  # fmt: skip
    other = model.model_copy(update={"contributor": two_nodes[1].address})
    with pytest.raises(errors.MarketRefused, match=r"models\[0\]\.contributor"):
        broker.finish_job(job, TrainResult(models=(other,)))
    broker.finish_job(job, TrainResult(models=(model,)))
    broker.finish_job(job, TrainResult(models=(model,)))
    with pytest.raises(errors.MarketConflict):
        broker.fail_job(job, "too late")
    with api.ports.database.write() as session:
        JobService(session).ensure(str(order), "train", plan.model_copy(update={"out": (0,)}), 2)
    # Of the attempt under the plan that was replaced nothing is taken: neither beats nor a result nor its failure.
    given_up = r"attempt 1 .* was given up"
    with pytest.raises(errors.MarketConflict, match=given_up):
        broker.job_progress(job, 15, None)
    with pytest.raises(errors.MarketConflict, match=given_up):
        broker.finish_job(job, TrainResult(models=(model,)))
    with pytest.raises(errors.MarketConflict, match=given_up):
        broker.fail_job(job, "the dropped contributor did not answer")
    again = broker.lease_job(0, 15)
    assert again is not None
    assert (again.attempt, JobPlan.of(again.plan, "plan").out) == (3, (0,))
    broker.job_progress(again, 15, None)
