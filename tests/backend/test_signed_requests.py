"""Who may do what: every denied case is a problem document with its code."""

from __future__ import annotations

import httpx
import pytest

from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer
from tests.backend.conftest import Api, Chain

STRANGER = Signer((77).to_bytes(32, "big"))
ORDER = "0x" + "11" * 32


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_refuses_an_unsigned_request(api: Api) -> None:
    assert code(api.call("POST", "/v1/collections", {})) == (401, "unauthenticated")


def test_refuses_a_replayed_request(api: Api) -> None:
    data = b'{"waitSeconds":0}'
    header = sign_request(STRANGER, "POST", "/v1/tasks/lease", data, int(api.ports.clock()))
    headers = {"Authorization": header, "Content-Type": "application/json"}
    assert api.call("POST", "/v1/tasks/lease", data, headers=headers).status_code == 204
    assert code(api.call("POST", "/v1/tasks/lease", data, headers=headers)) == (401, "unauthenticated")


def test_refuses_a_stale_request(api: Api) -> None:
    header = sign_request(STRANGER, "POST", "/v1/tasks/lease", b"{}", int(api.ports.clock()) - 300)
    headers = {"Authorization": header, "Content-Type": "application/json"}
    assert code(api.call("POST", "/v1/tasks/lease", b"{}", headers=headers)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/v1/tasks/lease", b"{}"),
        ("POST", "/v1/tasks/lease?x=1", b"{}"),
        ("POST", "/v1/tasks/lease", b'{"waitSeconds":0}'),
    ],
)
def test_refuses_a_signature_over_another_request(api: Api, method: str, target: str, body: bytes) -> None:
    header = sign_request(STRANGER, method, target, body, int(api.ports.clock()))
    headers = {"Authorization": header, "Content-Type": "application/json"}
    assert code(api.call("POST", "/v1/tasks/lease", b"{}", headers=headers)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/collections", {}),
        ("POST", f"/v1/tasks?order={ORDER}&node=0x{'22' * 20}&name=fit&kind=train", b"x"),
        ("GET", f"/v1/tasks?order={ORDER}", None),
        ("GET", "/v1/tasks/1/result", None),
        ("POST", "/v1/tasks/1/reject", {"reason": "false"}),
        ("POST", "/v1/coordination/lease", {"waitSeconds": 0}),
        ("POST", f"/v1/coordination/{ORDER}/train/1/progress", {}),
        ("POST", f"/v1/coordination/{ORDER}/train/1/failure", {"reason": "because"}),
    ],
)
def test_only_the_broker_may(
    api: Api, method: str, target: str, body: bytes | dict[str, object] | None
) -> None:
    assert code(api.call(method, target, body, by=STRANGER)) == (403, "forbidden")


def test_a_node_without_stake_cannot_announce(api: Api) -> None:
    assert code(api.announce(STRANGER, api.collection())) == (403, "node-without-stake")


def test_a_stranger_cannot_fill_the_store(api: Api) -> None:
    assert code(api.call("POST", "/v1/content", b"bytes", by=STRANGER)) == (403, "forbidden")


def test_refuses_unknown_places_and_methods_as_problems(api: Api) -> None:
    assert code(api.call("GET", "/v1/nothing")) == (404, "not-found")
    assert code(api.call("DELETE", "/v1/orders")) == (405, "method-not-allowed")


def test_refuses_a_body_over_the_limit_before_reading_it(api: Api) -> None:
    big = b" " * (api.ports.settings.max_json_bytes + 1)
    assert code(api.call("POST", "/v1/quotes", big)) == (413, "too-large")


def test_refuses_a_body_without_a_length(api: Api) -> None:
    answer = api.client.post("/v1/quotes", content=iter([b"{}"]))
    assert answer.status_code == 411


def test_an_announced_node_is_listed_and_a_second_announcement_renews(
    api: Api, two_nodes: list[Signer]
) -> None:
    collection = api.collection()
    assert api.announce(two_nodes[0], collection, 10).status_code == 201
    assert api.announce(two_nodes[0], collection, 20).status_code == 200
    listed = api.call("GET", f"/v1/contributors?collection={collection}").json()["contributors"]
    assert [(each["contributor"], each["declaredRows"]) for each in listed] == [
        (str(two_nodes[0].address), 20)
    ]
    assert api.call("GET", f"/v1/collections/{collection}").json()["contributors"] == 1


def test_a_collection_name_stands_for_one_document(api: Api) -> None:
    first = api.collection()
    assert api.collection() == first
    document = api.call("GET", f"/v1/collections/{first}").json()["document"] | {"title": "Other"}
    assert code(api.call("POST", "/v1/collections", document, by=api.broker)) == (409, "conflict")


@pytest.mark.parametrize("document", [b"no json", b"[]", b'{"format":"tessera-collection/2"}'])
def test_a_malformed_collection_is_refused(api: Api, document: bytes) -> None:
    assert code(api.call("POST", "/v1/collections", document, by=api.broker)) == (422, "invalid-request")


def test_network_names_chain_contracts_and_broker(api: Api, chain: Chain) -> None:
    network = api.call("GET", "/v1/network").json()
    deployment = chain.reader.deployment
    assert network["chainId"] == deployment.chain_id
    assert network["deployment"]["escrow"] == str(deployment.escrow)
    assert network["broker"] == str(api.broker.address)
    assert network["stakeWei"] == str(api.ports.settings.stake_wei)
    assert api.call("GET", "/health").json()["status"] == "ok"
