"""The client's own words against the interface that the running backend declares: neither may drift alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from backend.app import create_app
from generator.market.client import MarketClient
from generator.market.errors import MarketError
from generator.market.messages import Progress
from provenance.crypto.signing import Signer
from provenance.values import Cid, Digest

SIGNER = Signer(bytes([7]) * 32)
ORDER = Digest(bytes([5]) * 32)
CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
PROGRESS = Progress("half", 1, 2, 0.5, 1.0)


@pytest.fixture(scope="module")
def interface() -> dict[str, Any]:
    limits = SimpleNamespace(max_json_bytes=1, max_content_bytes=1)
    document: dict[str, Any] = create_app(SimpleNamespace(settings=limits)).openapi()  # type: ignore[arg-type]
    return document


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []

    def send(_client: httpx.Client, request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=b"{}", request=request)

    monkeypatch.setattr(httpx.Client, "send", send)
    return requests


CALLS: dict[str, Callable[[MarketClient], object]] = {
    "network": lambda client: client.network(),
    "collection": lambda client: client.collection(str(ORDER)),
    "find_collection": lambda client: client.find_collection("adult"),
    "orders": lambda client: client.orders("open"),
    "content": lambda client: client.content(CID),
    "announce": lambda client: client.announce({"collection": "", "declaredRows": 1, "metadata": {}}),
    "lease_task": lambda client: client.lease_task(10, 15),
    "task_payload": lambda client: client.task_payload(3),
    "heartbeat": lambda client: client.heartbeat(3, 15, PROGRESS),
    "send_result": lambda client: client.send_result(3, b"x"),
    "refuse_task": lambda client: client.refuse_task(3, "code", "reason"),
    "upload": lambda client: client.upload(b"x"),
    "post_task": lambda client: client.post_task(ORDER, "bins", SIGNER.address, "train", b"x"),
    "tasks": lambda client: client.tasks(ORDER, "bins"),
    "task_result": lambda client: client.task_result(3),
    "lease_job": lambda client: client.lease_job(10, 15),
    "job_progress": lambda client: client.job_progress(ORDER, "train", 15, PROGRESS),
    "finish_train": lambda client: client.finish_job(ORDER, "train", {"models": []}),
    "finish_score": lambda client: client.finish_job(ORDER, "score", SCORE),
    "fail_job": lambda client: client.fail_job(ORDER, "train", "reason"),
}
SCORE: dict[str, object] = dict.fromkeys(
    ("datasetRoot", "shards", "sharesBps", "score", "evaluations", "privacy", "brokerSaw"), 0
)


def operation(interface: dict[str, Any], request: httpx.Request) -> dict[str, Any]:
    """The declared operation of a request; a fixed path wins over one with a parameter in its place."""
    path = urlsplit(str(request.url)).path
    found = [
        methods[request.method.lower()]
        for template, methods in sorted(interface["paths"].items(), key=lambda each: each[0].count("{"))
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and request.method.lower() in methods
    ]
    assert found, f"the backend has no {request.method} {path}"
    declared: dict[str, Any] = found[0]
    return declared


def resolve(interface: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its reference, or the one that is not null, followed."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return resolve(interface, option)
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return resolve(interface, interface["components"]["schemas"][name])
    return schema


@pytest.mark.parametrize("name", CALLS)
def test_call_goes_to_a_declared_operation_with_the_members_it_knows(
    interface: dict[str, Any], sent: list[httpx.Request], name: str
) -> None:
    client = MarketClient("http://127.0.0.1:9", SIGNER)
    try:
        CALLS[name](client)
    except MarketError:
        pass  # the empty answer; only what was sent matters here
    finally:
        client.close()
    (request,) = sent
    declared = operation(interface, request)
    query = {key for key, _ in parse_qsl(urlsplit(str(request.url)).query)}
    known = {each["name"] for each in declared.get("parameters", ()) if each["in"] == "query"}
    assert query <= known
    if request.headers.get("Content-Type") == "application/json":
        schema = declared["requestBody"]["content"]["application/json"]["schema"]
        check_members(interface, resolve(interface, schema), json.loads(request.content))


def check_members(interface: dict[str, Any], schema: dict[str, Any], body: dict[str, Any]) -> None:
    """Every member is known, every required one is there; one level of nesting (progress) as well."""
    assert body.keys() <= schema["properties"].keys()
    assert set(schema.get("required", ())) <= body.keys()
    for key, value in body.items():
        inner = resolve(interface, schema["properties"][key])
        if isinstance(value, dict) and "properties" in inner:
            check_members(interface, inner, value)


@pytest.mark.parametrize(
    ("schema", "members"),
    [
        ("LeasedTask", {"id", "order", "name", "kind", "attempt"}),
        ("TaskOut", {"id", "name", "node", "state", "refusal"}),
        ("RefusalOut", {"code", "reason"}),
        ("LeasedJob", {"order", "phase", "plan"}),
    ],
)
def test_answers_have_the_members_that_the_client_reads(
    interface: dict[str, Any], schema: str, members: set[str]
) -> None:
    assert members <= interface["components"]["schemas"][schema]["properties"].keys()
