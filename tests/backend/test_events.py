"""Server-sent events: stored, streamed, resumed by id, ended with the order."""

from __future__ import annotations

import json

import pytest

from backend.workflow.order_log import OrderLog
from provenance.api.orders import OrderState
from provenance.crypto.signing import Signer
from tests.backend.conftest import Api, Json


@pytest.fixture
def order(api: Api, buyer: Signer) -> str:
    return api.order(buyer, api.collection())


def events_of(api: Api, order: str, **headers: str) -> list[tuple[int, str, Json]]:
    """Everything up to the end of the stream."""
    found: list[tuple[int, str, Json]] = []
    current: dict[str, str] = {}
    with api.client.stream("GET", f"/v1/orders/{order}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line == "" and "data" in current:
                found.append((int(current["id"]), current["event"], json.loads(current["data"])))
                current = {}
            elif name in ("id", "event", "data"):
                current[name] = value
    return found


def test_an_unknown_order_has_no_events(api: Api) -> None:
    assert api.call("GET", f"/v1/orders/0x{'33' * 32}/events").status_code == 404


def test_a_stream_ends_with_the_order_and_resumes_after_any_id(
    api: Api, order: str, two_nodes: list[Signer]
) -> None:
    task = api.call(
        "POST", f"/v1/tasks?order={order}&node={two_nodes[0].address}&name=fit", b"x", by=api.broker
    ).json()["id"]
    api.call("POST", "/v1/tasks/lease", {"waitSeconds": 0}, by=two_nodes[0])
    progress = {"round": 2, "rounds": 5, "loss": 0.125, "epsilon": 1.5, "message": "training"}
    beat = {"leaseSeconds": 30, "progress": progress}
    assert api.call("POST", f"/v1/tasks/{task}/heartbeat", beat, by=two_nodes[0]).status_code == 200
    log = OrderLog(api.ports, order)
    log.message("two lines\nof text")
    log.enter(OrderState.OPEN)
    log.enter(OrderState.REJECTED, "for the test")
    whole = events_of(api, order)
    assert [(kind, data) for _, kind, data in whole] == [
        ("state", {"state": "accepted"}),
        (
            "progress",
            {"node": str(two_nodes[0].address), "round": 2, "rounds": 5, "loss": "0.125", "epsilon": "1.5",
             "message": "training"},
        ),
        ("message", {"text": "two lines\nof text"}),
        ("state", {"state": "open"}),
        ("state", {"state": "rejected", "reason": "for the test"}),
    ]  # fmt: skip
    ids = [event[0] for event in whole]
    assert ids == sorted(set(ids))
    for position, number in enumerate(ids):
        assert events_of(api, order, **{"Last-Event-ID": str(number)}) == whole[position + 1 :]


def test_a_stream_shows_what_happens_while_it_is_open(api: Api, order: str) -> None:
    log = OrderLog(api.ports, order)
    with api.client.stream("GET", f"/v1/orders/{order}/events") as response:
        lines = response.iter_lines()
        assert next(line for line in lines if line.startswith("data")) == 'data: {"state":"accepted"}'
        log.enter(OrderState.OPEN)
        assert next(line for line in lines if line.startswith("data")) == 'data: {"state":"open"}'
        log.enter(OrderState.REFUNDED, "the end")
        assert "refunded" in next(line for line in lines if line.startswith("data"))
        assert [line for line in lines if line.startswith("data")] == []


def test_a_final_state_is_never_left_and_ends_the_work(api: Api, order: str, two_nodes: list[Signer]) -> None:
    task = api.call(
        "POST", f"/v1/tasks?order={order}&node={two_nodes[0].address}&name=fit", b"x", by=api.broker
    ).json()["id"]
    log = OrderLog(api.ports, order)
    log.enter(OrderState.REFUNDED, "no longer wanted")
    log.enter(OrderState.OPEN)
    assert api.call("GET", f"/v1/orders/{order}").json()["state"] == "refunded"
    answer = api.call("PUT", f"/v1/tasks/{task}/result", b"late", by=two_nodes[0])
    assert (answer.status_code, answer.json()["code"]) == (409, "lease-lost")
