"""The client against a real HTTP server on loopback that says what the test wrote down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from generator.market.client import MarketClient, RetryPolicy
from generator.market.errors import (
    MarketAnswerInvalid,
    MarketConflict,
    MarketForbidden,
    MarketNotFound,
    MarketRefused,
    MarketStopped,
    MarketUnauthenticated,
    MarketUnreachable,
)
from generator.market.messages import Progress
from provenance.crypto.request_auth import verify_request
from provenance.crypto.signing import Signer
from provenance.values import Digest
from tests.waiting import HANG_SECONDS

SIGNER = Signer(bytes([7]) * 32)
ORDER = Digest(bytes([5]) * 32)
PATIENT = RetryPolicy(first_pause_seconds=1, most_pause_seconds=2, give_up_seconds=30)


class Clock(threading.Event):
    """Stop event and clock of a client: its pauses pass in no time, and no other time passes at all."""

    now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now += timeout
        return self.is_set()

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


class Script:
    """Answers in turn, the last one for ever; requests as (method, target, body, authorization)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, bytes, str]] = []

    def say(self, status: int, body: object = None, **headers: str) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.answers.append((status, headers, data))

    def problem(self, status: int, code: str, detail: str) -> None:
        self.say(
            status, {"type": f"urn:tessera:problem:{code}", "code": code, "detail": detail, "status": status}
        )


@contextmanager
def serve(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.requests.append((self.command, self.path, body, self.headers["Authorization"]))
            status, headers, data = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("generator.market.client.time", made)
    return made


@pytest.fixture
def client(script: Script, clock: Clock) -> Iterator[MarketClient]:
    with serve(script) as url:
        made = MarketClient(url, SIGNER, retry=PATIENT, stop=clock, timeout_seconds=HANG_SECONDS)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, MarketUnauthenticated),
        (403, MarketForbidden),
        (404, MarketNotFound),
        (409, MarketConflict),
        (413, MarketRefused),
        (422, MarketRefused),
    ],
)
def test_refusal_is_typed_carries_the_markets_words_and_is_not_repeated(
    client: MarketClient, script: Script, status: int, kind: type[MarketRefused]
) -> None:
    script.problem(status, "node-without-stake", "deposit 5 wei")
    with pytest.raises(MarketRefused) as caught:
        client.announce({"collection": "0x00", "declaredRows": 5})
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.detail) == (
        status, "node-without-stake", "deposit 5 wei",
    )  # fmt: skip
    assert len(script.requests) == 1


def test_refusal_that_is_no_problem_document_is_still_typed(client: MarketClient, script: Script) -> None:
    script.say(400, "what?")
    with pytest.raises(MarketRefused, match="what"):
        client.network()


def test_answer_without_a_needed_field_is_named(client: MarketClient, script: Script) -> None:
    script.say(200, {"task": {"id": 3, "order": str(ORDER), "kind": "train"}})
    with pytest.raises(MarketAnswerInvalid, match=r"lease\.task\.name: expected text, found nothing"):
        client.lease_task(0, 15)


def test_answer_that_is_no_json_is_named(client: MarketClient, script: Script) -> None:
    script.answers.append((200, {}, b"<html>"))
    with pytest.raises(MarketAnswerInvalid, match="expected JSON"):
        client.network()


def test_answer_nested_without_end_is_refused(client: MarketClient, script: Script) -> None:
    script.answers.append((200, {}, b"[" * 200_000))
    with pytest.raises(MarketAnswerInvalid, match="expected JSON"):
        client.network()


def test_nobody_listening_ends_in_unreachable_after_the_policy_gives_up(clock: Clock, dead_port: int) -> None:
    notes: list[str] = []
    client = MarketClient(
        f"http://127.0.0.1:{dead_port}", SIGNER, retry=PATIENT, stop=clock, note=notes.append
    )
    with pytest.raises(MarketUnreachable, match=r"no usable answer within 30 s"):
        client.network()
    assert clock.now == 28.5, "another pause of 2 s would be beyond what the policy waits"
    assert len(notes) == 15, "pauses of 1, 1.5 and then 2 s"
    client.close()


def test_only_server_errors_end_in_unreachable(client: MarketClient, script: Script) -> None:
    script.problem(503, "chain-unavailable", "the chain is away")
    with pytest.raises(MarketUnreachable, match="the chain is away"):
        client.task_payload(1)
    assert len(script.requests) == 16


def test_stop_ends_the_waiting_between_attempts(script: Script) -> None:
    stop = threading.Event()
    stop.set()
    script.say(500)
    with serve(script) as url:
        client = MarketClient(url, SIGNER, retry=RetryPolicy(30.0, 30.0, 1000.0), stop=stop)
        with pytest.raises(MarketStopped):
            client.network()
        client.close()


def test_exception_of_the_leaving_hook_keeps_the_bytes_here(script: Script) -> None:
    def never(_method: str, _target: str, body: bytes) -> None:
        if body:
            raise PermissionError("not this")

    script.say(200, {})
    with serve(script) as url:
        client = MarketClient(url, SIGNER, retry=PATIENT, leaving=never)
        with pytest.raises(PermissionError):
            client.send_result(1, b"secret")
        client.close()
    assert script.requests == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_busy_or_restarting_market_is_asked_again_with_a_fresh_signature(
    client: MarketClient, script: Script, status: int
) -> None:
    script.say(status)
    script.say(status)
    script.say(200, {"leasedUntil": 1})
    client.heartbeat(4, 15, Progress("half", loss=0.5))
    assert len(script.requests) == 3
    headers = {authorization for *_, authorization in script.requests}
    assert len(headers) == 3  # a nonce is accepted once


def test_retry_after_is_waited_for(client: MarketClient, script: Script, clock: Clock) -> None:
    script.say(429, Retry_After="20")
    script.say(429, Retry_After="20")
    script.say(200, {"leasedUntil": 1})
    with pytest.raises(MarketUnreachable):  # forty seconds are longer than this policy waits at all
        client.heartbeat(4, 15, None)
    assert (len(script.requests), clock.now) == (2, 20)


def test_request_is_signed_over_method_target_and_body(client: MarketClient, script: Script) -> None:
    script.say(201, {"id": 1})
    client.post_task(ORDER, "round/0003", SIGNER.address, "train", b"bytes")
    method, target, body, authorization = script.requests[0]
    assert target.startswith("/v1/tasks?order=0x05")
    verified = verify_request(authorization, method, target, body, int(time.time()))
    assert verified.address == SIGNER.address


def test_no_task_is_none_and_a_task_is_a_lease(client: MarketClient, script: Script) -> None:
    script.say(204)
    script.say(200, {"task": {"id": 3, "order": str(ORDER), "name": "bins", "kind": "train", "attempt": 2}})
    assert client.lease_task(0, 15) is None
    lease = client.lease_task(0, 15)
    assert lease is not None
    assert (lease.id, lease.order, lease.name, lease.kind, lease.attempt) == (3, ORDER, "bins", "train", 2)


def test_collection_is_found_by_name_and_a_wrong_name_lists_what_there_is(
    client: MarketClient, script: Script
) -> None:
    script.say(200, {"collections": [{"id": "0x01", "document": {"name": "adult"}}]})
    assert client.find_collection("adult").id == "0x01"
    with pytest.raises(MarketAnswerInvalid, match="the market has: adult"):
        client.find_collection("bank")


def test_progress_without_a_finite_loss_is_sent_without_it() -> None:
    assert Progress("x", round=1, loss=float("nan")).document() == {"message": "x", "round": 1}
