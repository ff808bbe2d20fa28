"""The client against a real HTTP server: what is final, what is asked again, and what is not believed."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from provenance.api import client as client_module
from provenance.api.catalogue import Announcement
from provenance.api.client import RetryPolicy
from provenance.api.coordination import LeasedJob, ModelResult, TrainResult
from provenance.api.errors import (
    MarketAddressError,
    MarketAnswerInvalid,
    MarketConflict,
    MarketForbidden,
    MarketNotFound,
    MarketRefused,
    MarketStopped,
    MarketUnauthenticated,
    MarketUnreachable,
)
from provenance.api.market import MarketClient
from provenance.api.orders import MessageEvent, OrderState, ProgressEvent, StateEvent
from provenance.api.queue import Progress
from provenance.crypto.request_auth import verify_request
from provenance.crypto.signing import Signer
from provenance.errors import UnavailableError
from provenance.values import Cid, Digest
from tests.waiting import HANG_SECONDS

SIGNER = Signer(bytes([7]) * 32)
PATIENT = RetryPolicy(first_pause_seconds=1, most_pause_seconds=2, give_up_seconds=30)
ORDER = Digest(bytes([5]) * 32)
CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
ADDRESS = "0x" + "11" * 20
ROLES = (
    *("token", "registry", "escrow", "commitment", "datasets", "rewards", "verifier", "challenges"),
    *("demands", "sales", "royalties", "modelStore"),
)
NETWORK: dict[str, Any] = {
    "chainId": 31337,
    "deployment": dict.fromkeys(ROLES, ADDRESS) | {"block": 1},
    "broker": ADDRESS,
    "chainTime": 1000,
    "blockNumber": 7,
    "specVersion": 1,
    "stakeWei": "1000000000000000000",
    "brokerFeeBps": 500,
}
OFFER: dict[str, Any] = {
    "state": "listed",
    "seller": "0x" + "11" * 20,
    "priceWei": str(2**95),
    "buyer": None,
    "deadline": None,
    "block": 7,
    "transaction": "0x" + "77" * 32,
    "dataset": 3,
    "datasetStatus": "valid",
    "collection": None,
    "rows": 12_000,
}
LEASE = {"task": {"id": "3", "order": str(ORDER), "name": "bins", "kind": "train", "attempt": 2}}
ORDER_VIEW: dict[str, Any] = {
    "orderId": str(ORDER), "state": "open", "chainState": None, "reason": None, "buyer": ADDRESS,
    "collection": str(ORDER), "terms": {}, "signature": "0x", "request": {}, "participants": [], "datasetId": None,
    "manifestCid": None, "transactions": [], "demands": [], "createdAt": 1,
}  # fmt: skip
DATASET_VIEW: dict[str, Any] = {
    **dict.fromkeys(("order", "manifestDigest", "datasetRoot", "seed", "scoreDigest", "transaction"), str(ORDER)),
    **dict.fromkeys(("rows", "epsilonMicro", "deltaE12", "depth", "specVersion", "realFractionMicro", "block"), 1),
    "parents": [], "sharesBps": [], "shards": [], "evaluations": [],
    "id": 7, "identifier": "x", "collection": None, "manifestCid": str(CID), "status": "valid", "sale": None,
}  # fmt: skip
Script = Any


@contextlib.contextmanager
def trickling(head: bytes, piece: bytes) -> Iterator[str]:
    """A market that answers everything with `head` and then a `piece` now and then, for ever."""
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(head)
            while not ended.wait(0.05):
                connection.sendall(piece)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, MarketRefused),
        (400, MarketRefused),
        (401, MarketUnauthenticated),
        (403, MarketForbidden),
        (404, MarketNotFound),
        (409, MarketConflict),
        (410, MarketConflict),
        (413, MarketRefused),
        (422, MarketRefused),
        (501, MarketRefused),
    ],
)
def test_refusal_is_typed_carries_the_market_s_words_and_is_not_repeated(
    client: MarketClient, script: Script, status: int, kind: type[MarketRefused]
) -> None:
    script.problem(status, "node-without-stake", "deposit 5 wei")
    with pytest.raises(MarketRefused, match="deposit 5 wei") as caught:
        client.announce(Announcement(collection=ORDER, declared_rows=5))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "node-without-stake")
    assert caught.value.detail == "deposit 5 wei"
    assert len(script.requests) == 1


@pytest.mark.parametrize("body", [b"what?", b'"what?"', b'{"what?": 1}', b""])
def test_refusal_that_is_no_problem_document_is_still_typed(
    client: MarketClient, script: Script, body: bytes
) -> None:
    script.say(400, body)
    with pytest.raises(MarketRefused, match=r"400 \(http\): (.*what|Bad Request)"):
        client.network()


def test_refusal_names_the_members_that_are_wrong(client: MarketClient, script: Script) -> None:
    wrong = [
        {"field": "colour", "message": "this member is not known"},
        {"field": "rows", "message": "is missing"},
    ]
    script.say(422, {"type": "x", "title": "x", "status": 422, "code": "invalid-request",
                     "detail": "rows: is missing", "errors": wrong})  # fmt: skip
    with pytest.raises(MarketRefused, match=r": rows: is missing; colour: this member is not known$"):
        client.network()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chainId": "31337"}, r"network\.chainId: should be a valid integer, found a string"),
        ({"chainId": True}, r"chainId: should be a valid integer, found a boolean"),
        ({"chainId": 1.0}, r"chainId: should be a valid integer, found a number"),
        ({"chainId": float("nan")}, r"chainId: should be a valid integer"),
        ({"stakeWei": 5}, r"stakeWei: should be a valid string, found an integer"),
        ({"stakeWei": "--5"}, r"stakeWei: found '--5', expected an unsigned decimal integer"),
        ({"stakeWei": "²"}, r"stakeWei: found '²', expected an unsigned decimal integer"),
        ({"broker": "0x12"}, r"broker: Address: found 1 bytes, expected 20"),
        ({"broker": None}, r"broker: should be a valid string, found null"),
        ({"chain_id": 1}, r"chain_id: this member is not known"),
        ({"colour": "red"}, r"colour: this member is not known"),
        ({"deployment": []}, r"deployment: should be an object, found an array"),
    ],
)
def test_answer_with_a_member_of_another_kind_is_refused_and_named(
    client: MarketClient, script: Script, change: dict[str, object], words: str
) -> None:
    script.say(200, NETWORK | change)
    with pytest.raises(MarketAnswerInvalid, match=words):
        client.network()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"priceWei": 12}, r"offers\[0\]\.priceWei: should be a valid string, found an integer"),
        ({"priceWei": "1.5"}, r"priceWei: found '1\.5', expected an unsigned decimal integer"),
        ({"state": "open"}, r"state: should be 'listed', 'sold'"),
        ({"deadline": "5"}, r"deadline: should be a valid integer, found a string"),
        ({"colour": "red"}, r"colour: this member is not known"),
    ],
)
def test_an_offer_is_read_strictly(
    client: MarketClient, script: Script, change: dict[str, object], words: str
) -> None:
    script.say(200, {"offers": [OFFER | change]})
    with pytest.raises(MarketAnswerInvalid, match=words):
        client.offers()
    script.answers.clear()
    script.say(200, {"offers": [OFFER]})
    assert client.offers()[0].to_document() == OFFER


def test_answer_without_a_needed_member_is_named(client: MarketClient, script: Script) -> None:
    script.say(200, {"task": {"id": "3", "order": str(ORDER), "kind": "train", "attempt": 1}})
    with pytest.raises(
        MarketAnswerInvalid, match=r"POST /v1/tasks/lease\.task\.name: is missing.*bring both"
    ):
        client.lease_task(0, 15)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 200_000, b'{"chainId": NaN}', b"{} {}", b"\xff"])
def test_answer_that_is_no_json_is_named(client: MarketClient, script: Script, body: bytes) -> None:
    script.say(200, body)
    with pytest.raises(MarketAnswerInvalid, match=r"expected JSON|is missing"):
        client.network()


def test_answer_that_says_it_is_huge_is_not_read(client: MarketClient, script: Script) -> None:
    script.say(200, b"{", Content_Length=str(client_module.MOST_JSON_BYTES + 1))
    with pytest.raises(MarketAnswerInvalid, match="expected at most 67108864"):
        client.network()


def test_answer_that_grows_past_the_limit_is_not_read_to_its_end(
    client: MarketClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = replace(client_module.Call("GET", "/v1/network"), most_bytes=1000)
    script.say(200, bytes(5_000_000), Content_Length="")
    with pytest.raises(MarketAnswerInvalid, match="expected at most 1000"):
        client.send(call)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(gzip.compress(bytes(50_000_000))), "gzip, gzip"),
        (gzip.compress(json.dumps(NETWORK).encode()), "gzip"),
        (b"no gzip", "gzip"),
        (b"x", "br"),
    ],
)
def test_answer_that_is_compressed_is_refused_and_not_opened(
    client: MarketClient, script: Script, body: bytes, encoding: str
) -> None:
    script.say(200, body, Content_Encoding=encoding)
    with pytest.raises(MarketAnswerInvalid, match="found the content encoding"):
        client.network()
    assert script.requests[0][3]["Accept-Encoding"] == "identity"
    script.answers.clear()
    script.say(200, body, Content_Encoding=encoding, Content_Type="text/event-stream")
    with pytest.raises(MarketAnswerInvalid, match="found the content encoding"):
        list(client.events(ORDER))


def test_refusal_is_typed_whatever_its_body_is(client: MarketClient, script: Script) -> None:
    script.say(404, b"x" * 50_000_000, Content_Encoding="gzip")
    with pytest.raises(MarketNotFound, match="Not Found"):
        client.network()
    script.answers.clear()
    script.problem(404, "c" * 5000, "d" * 500_000)
    with pytest.raises(MarketNotFound) as caught:
        client.network()
    assert len(str(caught.value)) < 5000


def test_answer_that_trickles_is_broken_off(script: Script) -> None:
    with trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ") as url:
        client = MarketClient(url, retry=RetryPolicy(give_up_seconds=0), timeout_seconds=0.5)
        with client, pytest.raises(MarketUnreachable, match="the answer trickles"):
            client.network()


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8600",
        "ftp://host",
        "http://",
        "http://[::1",
        "http://host:99999",
        "http://host:port",
        "http://\x1b",
        "http://host/?query",
        "http://name:secret@host",
    ],
)
def test_address_that_is_none_is_refused_before_anything_is_sent_and_shows_no_password(address: str) -> None:
    with pytest.raises(MarketAddressError, match="expected http://HOST") as caught:
        MarketClient(address)
    assert "secret" not in str(caught.value)


def test_nobody_listening_ends_in_unreachable_after_the_policy_gives_up(clock: Any, dead_port: int) -> None:
    url, notes = f"http://127.0.0.1:{dead_port}", list[str]()
    with (
        MarketClient(url, retry=PATIENT, stop=clock, note=notes.append) as client,
        pytest.raises(
            MarketUnreachable, match=rf"GET /v1/network at {url}: no usable answer within 30 s.*try again"
        ) as caught,
    ):
        client.network()
    assert isinstance(caught.value, UnavailableError)
    assert clock.now == 28.5, "another pause of 2 s would be beyond what the policy waits"
    assert len(notes) == 15


def test_client_without_retries_asks_once(script: Script) -> None:
    script.problem(503, "chain-unavailable", "the chain is away")
    with (
        script.served() as url,
        MarketClient(url, retry=RetryPolicy(give_up_seconds=0)) as client,
        pytest.raises(
            MarketUnreachable, match=r"status 503 \(chain-unavailable\): the chain is away\. Is the"
        ),
    ):
        client.network()
    assert len(script.requests) == 1


def test_only_server_errors_end_in_unreachable_with_the_last_words(
    client: MarketClient, script: Script
) -> None:
    script.problem(503, "chain-unavailable", "the chain is away")
    with pytest.raises(MarketUnreachable, match="the chain is away"):
        client.task_payload(1)
    assert len(script.requests) > 2


def test_stop_ends_the_waiting_between_attempts(script: Script) -> None:
    stop = threading.Event()
    stop.set()
    script.say(500)
    policy = RetryPolicy(30.0, 30.0, 1000.0)
    with (
        script.served() as url,
        MarketClient(url, retry=policy, stop=stop) as client,
        pytest.raises(MarketStopped),
    ):
        client.network()
    assert len(script.requests) == 1


def test_exception_of_the_leaving_hook_keeps_the_bytes_here(script: Script) -> None:
    def never(_method: str, _target: str, body: bytes) -> None:
        if body:
            raise PermissionError("not this")

    script.say(200, {})
    with (
        script.served() as url,
        MarketClient(url, signer=SIGNER, retry=PATIENT, leaving=never) as client,
        pytest.raises(PermissionError),
    ):
        client.send_result(1, b"secret")
    assert script.requests == []


def test_leaving_hook_sees_what_is_sent_at_every_attempt(script: Script) -> None:
    seen: list[tuple[str, str, bytes]] = []
    script.say(503)
    script.say(200, NETWORK)
    with (
        script.served() as url,
        MarketClient(
            url, signer=SIGNER, retry=PATIENT, leaving=lambda *message: seen.append(message)
        ) as client,
    ):
        client.send_result(1, b"bytes")
    assert seen == [("PUT", "/v1/tasks/1/result", b"bytes")] * 2
    assert [request[:3] for request in script.requests] == seen


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_busy_or_restarting_market_is_asked_again_with_a_fresh_signature(
    client: MarketClient, script: Script, status: int
) -> None:
    script.say(status)
    script.say(status)
    script.say(200, {"leasedUntil": 1})
    client.heartbeat(4, 15, Progress(message="half", loss=0.5))
    assert len({headers["Authorization"] for *_, headers in script.requests}) == 3  # a nonce is accepted once


def test_connection_that_breaks_inside_an_answer_is_made_again(client: MarketClient, script: Script) -> None:
    script.say(200, b'{"chain', Content_Length="9000")
    script.say(200, NETWORK)
    assert client.network().chain_id == 31337


def test_pause_that_the_market_asks_for_is_waited_for(
    client: MarketClient, script: Script, clock: Any
) -> None:
    script.problem(429, "busy", "later", Retry_After="20")
    script.say(200, NETWORK)
    client.network()
    assert (len(script.requests), clock.now) == (2, 20)


def test_pause_longer_than_the_policy_waits_at_all_ends_at_once(
    client: MarketClient, script: Script, clock: Any
) -> None:
    script.say(429, Retry_After="31")
    with pytest.raises(MarketUnreachable):
        client.heartbeat(4, 15, None)
    assert (len(script.requests), clock.now) == (1, 0)


@pytest.mark.parametrize("retry_after", ["²", "-1", "soon", "1e9", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_pause_that_is_no_number_of_seconds_is_passed_over(
    client: MarketClient, script: Script, retry_after: str
) -> None:
    script.say(503, Retry_After=retry_after)
    script.say(200, NETWORK)
    assert client.network().broker_fee_bps == 500


def test_request_is_signed_over_method_target_and_body(client: MarketClient, script: Script) -> None:
    script.say(201, {"id": 1})
    client.post_task(ORDER, "round/0003", SIGNER.address, "train", b"bytes")
    method, target, body, headers = script.requests[0]
    assert target.startswith("/v1/tasks?order=0x05")
    assert "name=round%2F0003" in target
    verified = verify_request(headers["Authorization"], method, target, body, int(time.time()))
    assert verified.address == SIGNER.address


def test_client_without_a_signer_names_nobody(script: Script) -> None:
    script.say(200, NETWORK)
    with script.served() as url, MarketClient(url, timeout_seconds=HANG_SECONDS) as client:
        assert client.network().stake_wei == 10**18
    assert "Authorization" not in script.requests[0][3]


def test_bodies_are_compact_camel_case_json_without_what_was_not_given(
    client: MarketClient, script: Script
) -> None:
    script.say(200, {"leasedUntil": 1})
    client.heartbeat(4, 15, Progress.measured("half", round=1, loss=float("nan"), epsilon=0.5))
    job = LeasedJob(order=ORDER, phase="train", attempt=2, plan={})
    client.job_progress(job, 15, Progress(round=2))
    model = ModelResult(
        contributor=SIGNER.address, shard=0, model_digest=ORDER,
        epsilon_micro=1, delta_e12=2,
    )  # fmt: skip
    client.finish_job(job, TrainResult(models=(model,)))
    assert script.requests[0][2] == (
        b'{"leaseSeconds":15,"progress":{"round":1,"epsilon":"0.5","message":"half"}}'
    )
    assert script.requests[1][2] == b'{"round":2,"leaseSeconds":15}'
    assert script.requests[2][1] == f"/v1/coordination/{ORDER}/train/2/result"
    assert script.requests[2][2].startswith(b'{"models":[{"contributor":"0x')


def test_no_task_is_none_and_a_task_is_a_lease(client: MarketClient, script: Script) -> None:
    script.say(204)
    script.say(200, LEASE)
    assert client.lease_task(0, 15) is None
    lease = client.lease_task(0, 15)
    assert lease is not None
    assert (lease.id, lease.order, lease.name, lease.kind, lease.attempt) == (3, ORDER, "bins", "train", 2)


def test_lease_of_a_kind_that_a_newer_market_knows_can_be_read_and_so_refused(
    client: MarketClient, script: Script
) -> None:
    script.say(200, {"task": LEASE["task"] | {"kind": "paint"}})
    lease = client.lease_task(0, 15)
    assert lease is not None
    assert lease.kind == "paint"


def test_collection_is_found_by_name_and_a_wrong_name_lists_what_there_is(
    client: MarketClient, script: Script
) -> None:
    entries = [
        {"id": "0x" + f"{number:02}" * 32, "contributors": 1, "document": {"name": name}}
        for number, name in enumerate(["adult", "bank"])
    ]
    script.say(200, {"collections": entries})
    assert client.collection("bank").id == Digest(b"\1" * 32)
    with pytest.raises(MarketNotFound, match="the market has: adult, bank"):
        client.collection("cars")


@pytest.mark.parametrize("asked", ["order", "collection", "dataset", "tasks"])
def test_answer_about_something_else_is_refused(client: MarketClient, script: Script, asked: str) -> None:
    other, name = str(Digest(bytes([6]) * 32)), "bins"
    task = {
        "id": "3",
        "order": other,
        "node": ADDRESS,
        "name": name,
        "kind": "train",
        "state": "done",
        "attempt": 1,
    }
    answers: dict[str, tuple[Any, Callable[[], object]]] = {
        "order": (ORDER_VIEW | {"orderId": other}, lambda: client.order(ORDER)),
        "collection": (
            {"id": other, "contributors": 1, "document": {}},
            lambda: client.collection(str(ORDER)),
        ),
        "dataset": (DATASET_VIEW | {"id": 8}, lambda: client.dataset(7)),
        "tasks": (
            {"tasks": [task | {"refusal": None, "resultDigest": None}]},
            lambda: client.tasks(ORDER, name),
        ),
    }
    answer, ask = answers[asked]
    script.say(200, answer)
    with pytest.raises(MarketAnswerInvalid, match="the market answered about"):
        ask()


def test_content_comes_as_served_whatever_it_is(client: MarketClient, script: Script) -> None:
    script.say(200, b"\x00{not json")
    assert client.content(CID) == b"\x00{not json"


# -- events ------------------------------------------------------------------------------------------------------


def test_events_are_read_over_comments_and_several_data_lines(client: MarketClient, script: Script) -> None:
    node = str(SIGNER.address)
    script.events(
        *("retry: 1000", "", ": still here", ""),
        *("id: 4", "event: state", 'data: {"state":', 'data: "open"}', ""),
        *("id: 5", "event: message", 'data: {"text": "hello"}', ""),
        *("id: 6", "event: progress", f'data: {{"node":"{node}","round":2,"loss":"0.125"}}', ""),
        *("id: 9", "event: state", 'data: {"state":"refunded","reason":"late"}', ""),
    )
    events = list(client.events(ORDER))
    assert [event.id for event in events] == [4, 5, 6, 9]
    assert [event.data for event in events] == [
        StateEvent(state=OrderState.OPEN),
        MessageEvent(text="hello"),
        ProgressEvent(node=SIGNER.address, round=2, loss=0.125),
        StateEvent(state=OrderState.REFUNDED, reason="late"),
    ]


def test_stream_that_breaks_off_continues_after_the_last_id(client: MarketClient, script: Script) -> None:
    script.events("id: 1", "event: state", 'data: {"state":"open"}', "", Content_Length="900")
    script.problem(503, "chain-unavailable", "away")
    script.events("id: 7", "event: state", 'data: {"state":"settled"}', "")
    events = list(client.events(ORDER))
    assert [event.id for event in events] == [1, 7]
    assert [headers["Last-Event-ID"] for *_, headers in script.requests] == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            ("id: 1", "event: state", 'data: {"state":"sideways"}', ""),
            r"event 1 of .*\.state: should be 'accepted'",
        ),
        (("id: 1", "event: state", "data: {", ""), "event 1 of .*expected JSON"),
        (("id: 1", "event: dance", "data: {}", ""), "found the event 'dance', expected one of state"),
        (("event: message", 'data: {"text":"x"}', ""), "found the event id '', expected a number"),
        (("id: ²", "event: message", 'data: {"text":"x"}', ""), "found the event id '²', expected a number"),
    ],
)
def test_event_that_nobody_can_read_is_named(
    client: MarketClient, script: Script, lines: tuple[str, ...], words: str
) -> None:
    script.events(*lines)
    with pytest.raises(MarketAnswerInvalid, match=words):
        list(client.events(ORDER))


@pytest.mark.parametrize("again", ["id: 4", ""])
def test_event_that_comes_again_is_refused(client: MarketClient, script: Script, again: str) -> None:
    event = ("event: message", 'data: {"text":"x"}', "")
    script.events("id: 4", *event, *([again] if again else []), *event)
    with pytest.raises(MarketAnswerInvalid, match="found the event id 4 after 4"):
        list(client.events(ORDER))


@pytest.mark.parametrize("endless", [b"data: ", b": comment\n"])
def test_stream_without_an_event_is_not_kept_in_memory(
    client: MarketClient, script: Script, endless: bytes
) -> None:
    script.say(200, endless * 1_000_000, Content_Type="text/event-stream", Content_Length="")
    with pytest.raises(MarketAnswerInvalid, match="bytes without an event"):
        list(client.events(ORDER))


def test_stream_of_comments_is_opened_anew_and_the_watcher_asked_whether_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "STREAM_SECONDS", 0.3)
    answers = [True, False]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with trickling(head, b": here\n\n") as url, MarketClient(url) as client:
        assert not list(client.stream("/v1/events", 0, answers.pop))
    assert not answers


def test_market_that_never_begins_a_stream_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_SECONDS", 0.2)
    with trickling(b"", b"") as url:
        client = MarketClient(url, retry=RetryPolicy(give_up_seconds=0))
        with client, pytest.raises(MarketUnreachable, match="ReadTimeout"):
            list(client.events(ORDER))


def test_stream_that_is_no_stream_is_named(client: MarketClient, script: Script) -> None:
    script.say(200, NETWORK, Content_Type="application/json")
    with pytest.raises(MarketAnswerInvalid, match="expected a stream of events"):
        list(client.events(ORDER))


def test_unknown_order_has_no_stream(client: MarketClient, script: Script) -> None:
    script.problem(404, "not-found", "no order")
    with pytest.raises(MarketNotFound, match="no order"):
        list(client.events(ORDER))
    assert len(script.requests) == 1


def test_stream_that_never_opens_ends_in_unreachable(client: MarketClient, script: Script) -> None:
    script.say(503)
    with pytest.raises(MarketUnreachable, match="status 503"):
        list(client.events(ORDER))
