"""What nobody with good intentions sends is answered with a 4xx problem, quickly and shortly; nothing breaks."""

from __future__ import annotations

import json

import pytest

from provenance.crypto.signing import Signer
from tests.backend.conftest import Api

STRANGER = Signer((78).to_bytes(32, "big"))
ORDER = "0x" + "11" * 32
QUOTE = {"collection": ORDER, "buyer": "0x" + "22" * 20, "rows": 5}
JSON = {"Content-Type": "application/json"}
BIG = 99_999_999_999_999_999_999


@pytest.mark.parametrize(
    ("method", "target", "by"),
    [
        ("GET", f"/v1/tasks/{BIG}/payload", STRANGER),
        ("GET", "/v1/tasks/-1/payload", STRANGER),
        ("GET", f"/v1/tasks/{'9' * 5000}/payload", STRANGER),
        ("POST", f"/v1/tasks/{BIG}/heartbeat", STRANGER),
        ("PUT", f"/v1/tasks/{BIG}/result", STRANGER),
        ("GET", f"/v1/datasets/{BIG}", None),
        ("GET", f"/v1/datasets/{'9' * 5000}/manifest", None),
        ("GET", f"/v1/orders/{ORDER}/events?after={BIG}", None),
        ("GET", f"/v1/orders/{ORDER}%00", None),
        ("GET", "/v1/orders?state=%ff&buyer=%00", None),
        ("GET", "/v1/content/%2e%2e%2f%2e%2e%2fetc", None),
        ("GET", f"/v1/contributors?collection={'x' * 9000}", None),
    ],
)
def test_a_number_or_name_that_nothing_has_is_refused(
    api: Api, method: str, target: str, by: Signer | None
) -> None:
    body: dict[str, object] | bytes | None = {} if method == "POST" else b"x" if method == "PUT" else None
    answer = api.call(method, target, body, by=by)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["code"]
    assert len(answer.content) < 20_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"collection": NaN}',
        b'{"rows": ' + b"9" * 100_000 + b"}",
        b'{"rows": 1e999999}',
        b"\xff\xfe",
        b"null",
        b'"' + b"\\ud800" * 10 + b'"',
        json.dumps(QUOTE | {"conditions": [{"k" * 1_900_000: [0] * 900_000}]}).encode(),
        json.dumps(QUOTE | {f"unknown{i}": 0 for i in range(150_000)}).encode(),
        json.dumps(QUOTE | {"conditions": [0] * 1_000_000}).encode(),
        json.dumps(QUOTE | {"epsilon": "9" * 1_000_000}).encode(),
        json.dumps(QUOTE | {"\x1b]0;x\x07": 1}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_built_to_cost_is_refused_in_few_words(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/v1/quotes", body, headers=JSON)
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.content) < 20_000
    assert "\\u001b" not in answer.text
    assert api.call("GET", "/health").status_code == 200
