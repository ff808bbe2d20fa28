"""Messages are read strictly and written as they are agreed: denied cases first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provenance import canonical
from provenance.api.coordination import JobPlan, TrainResult
from provenance.api.orders import EVENTS, ProgressEvent, QuoteRequest, SignedPermit, event_kind
from provenance.api.queue import Heartbeat, Progress, TaskView
from provenance.api.tasks import AcceptAnswer, Envelope, EvaluateTask, StepResult, kind_of
from provenance.crypto.permit import Permit
from provenance.errors import DocumentError
from provenance.values import Address, Digest

DIGEST, ADDRESS, SIGNATURE = "0x" + "11" * 32, str(Address(b"\x22" * 20)), "0x" + "33" * 65
TASK: dict[str, Any] = {
    "id": "7", "order": DIGEST, "node": ADDRESS, "name": "bins", "kind": "train", "state": "done", "attempt": 1,
    "refusal": None, "resultDigest": DIGEST,
}  # fmt: skip
PERMIT: dict[str, Any] = {"deadline": "9", "v": 27, "r": DIGEST, "s": DIGEST}
QUOTE: dict[str, Any] = {"collection": DIGEST, "buyer": ADDRESS, "rows": 5}
ENVELOPE: dict[str, Any] = {
    "format": "tessera-task/2", "order": DIGEST, "name": "round/0003", "node": ADDRESS, "meta": {"k": 1},
}  # fmt: skip


def read(kind: Any, document: object) -> Any:
    return kind.read(json.dumps(document).encode(), "message")


@pytest.mark.parametrize("text", ["--5", "²", "-5", "+5", " 5", "5 ", "05", "0x5", "5.0", "", "9" * 79, "٣"])
@pytest.mark.parametrize(
    ("kind", "document", "member"), [(TaskView, TASK, "id"), (QuoteRequest, QUOTE, "maxPriceWei")]
)
def test_text_that_is_no_unsigned_decimal_integer_is_refused_and_named(
    kind: Any, document: dict[str, Any], member: str, text: str
) -> None:
    with pytest.raises(
        DocumentError, match=rf"message\.{member}: found .*expected an unsigned decimal integer"
    ):
        read(kind, document | {member: text})


@pytest.mark.parametrize("value", [7, 7.0, True, None, [], {}])
def test_number_is_not_taken_where_a_decimal_string_is_agreed(value: object) -> None:
    with pytest.raises(DocumentError, match=r"message\.id: should be a valid string, found"):
        read(TaskView, TASK | {"id": value})


@pytest.mark.parametrize("value", ["1", 1.0, 1.5, True, None, -1, 2**53])
def test_count_is_a_json_integer_that_every_reader_keeps_exact(value: object) -> None:
    with pytest.raises(DocumentError, match=r"message\.attempt: should be"):
        read(TaskView, TASK | {"attempt": value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, r"message\.colour: this member is not known"),
        ({"result_digest": DIGEST}, r"message\.result_digest: this member is not known"),
        ({"state": "lost"}, r"message\.state: should be 'queued', .*found a string"),
        ({"order": "0x11"}, r"message\.order: Digest: found 1 bytes, expected 32"),
        ({"node": ADDRESS.swapcase()}, r"message\.node: "),
        ({"refusal": {"code": "x"}}, r"message\.refusal\.reason: is missing"),
    ],
)
def test_member_that_is_wrong_is_named_with_its_place(change: dict[str, object], words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        read(TaskView, TASK | change)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    task = {name: value for name, value in TASK.items() if name != "node"} | {"x": 1}
    with pytest.raises(
        DocumentError, match=r"message\.node: is missing; message\.x: this member is not known"
    ):
        read(TaskView, task)


def test_error_names_the_kind_of_what_was_found_and_does_not_quote_it() -> None:
    with pytest.raises(DocumentError) as caught:
        read(TaskView, TASK | {"attempt": "a secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"round":' * 300,
        b'{"round": 1} x',
        b"\xff",
        b'{"message": "\\ud800"}',
    ],
)
def test_bytes_that_are_no_such_object_are_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^progress: "):
        Progress.read(data, "progress")


@pytest.mark.parametrize(
    "loss", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', '"inf"', '"0x1"', '"1_0"', "true"]
)
def test_figure_that_is_not_finite_is_no_progress(loss: str) -> None:
    with pytest.raises(DocumentError, match=r"p\.loss: "):
        Progress.read(f'{{"loss": {loss}}}'.encode(), "p")


@pytest.mark.parametrize("value", [0.5, float("nan"), 2**53])
def test_free_object_holds_what_canonical_json_can_say(value: object) -> None:
    with pytest.raises(DocumentError, match=r"message\.meta"):
        read(Envelope, ENVELOPE | {"meta": {"k": value}})


@pytest.mark.parametrize("name", ["Bins", "", "round/3", "a b", "../x", "round/0003\n", "a" * 40])
def test_step_name_outside_the_alphabet_is_refused(name: str) -> None:
    with pytest.raises(DocumentError, match=r"message\.name"):
        read(Envelope, ENVELOPE | {"name": name})


@pytest.mark.parametrize("epsilon", ["-1", "nan", "inf", "1e99", "three", "", "1" * 41])
def test_decimal_of_a_request_is_finite_and_not_negative(epsilon: str) -> None:
    with pytest.raises(DocumentError, match=r"message\.epsilon"):
        read(QuoteRequest, QUOTE | {"epsilon": epsilon})


@pytest.mark.parametrize("deadline", ["-1", -1, 2**64, "1.5", 1.5, True])
def test_deadline_of_a_permit_is_a_number_or_a_decimal_string(deadline: object) -> None:
    with pytest.raises(DocumentError, match=r"message\.deadline"):
        read(SignedPermit, PERMIT | {"deadline": deadline})


def test_plan_of_a_job_is_read_with_its_documents_or_named() -> None:
    with pytest.raises(DocumentError, match=r"plan\.terms: .*missing or unknown fields"):
        JobPlan.of({"terms": {}}, "plan")
    with pytest.raises(DocumentError, match=r"plan\.participants: is missing"):
        JobPlan.of({"terms": {}}, "plan")
    with pytest.raises(DocumentError, match=r"result\.models: should have at least 1 item"):
        TrainResult.of({"models": []}, "result")


def test_message_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read(TaskView, TASK).attempt = 2


def test_message_comes_back_as_it_was_and_holds_values() -> None:
    task = read(TaskView, TASK)
    assert (task.id, task.order, task.node) == (7, Digest.parse(DIGEST), Address.parse(ADDRESS))
    assert task.to_document() == TASK
    assert TaskView.of(task.to_document(), "again") == task
    assert canonical.decode(task.encode()) == TASK
    envelope = read(Envelope, ENVELOPE)
    assert envelope.encode() == canonical.encode(ENVELOPE)


def test_what_is_not_given_stays_out_of_a_request_and_null_inside_a_document_stays() -> None:
    announced = Envelope.of(ENVELOPE | {"meta": {"k": None}}, "e")
    assert b'"meta":{"k":null}' in announced.to_json()
    assert QuoteRequest.of(QUOTE, "q").to_json() == (
        f'{{"collection":"{DIGEST}","buyer":"{ADDRESS}","rows":5,"conditions":[],"purpose":"","indivisible":false}}'.encode()
    )


@pytest.mark.parametrize(
    ("told", "value", "text"), [(0.125, 0.125, "0.125"), ("1e-5", 1e-5, "1e-05"), (3, 3.0, "3.0")]
)
def test_measured_figure_is_a_number_or_its_decimal_text_and_is_stored_as_text(
    told: object, value: float, text: str
) -> None:
    beat = read(Heartbeat, {"progress": {"loss": told}})
    assert beat.progress.loss == value
    event = ProgressEvent(node=Address.parse(ADDRESS), **dict(beat.progress))
    assert canonical.decode(canonical.encode(event.to_document())) == {
        "loss": text,
        "node": ADDRESS,
    }


def test_permit_is_the_escrow_s() -> None:
    expected = Permit(9, 27, Digest.parse(DIGEST), Digest.parse(DIGEST))
    for deadline in ("9", 9):
        assert read(SignedPermit, PERMIT | {"deadline": deadline}).permit() == expected


def test_each_event_has_one_name() -> None:
    for kind, data in (("state", {"state": "open"}), ("progress", {"round": 1}), ("message", {"text": "x"})):
        assert event_kind(EVENTS[kind].of(data, kind)) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("bins", "train"), ("round/0003", "train"), ("finish", "train"), ("accept", "accept")),
        *(("sample", "sample"), ("evaluate", "evaluate")),
    ],
)
def test_kind_follows_from_the_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_losses_are_decimal_text_and_may_have_diverged() -> None:
    step = StepResult.of({"epsilonMicro": 1, "losses": {"a": "nan", "b": "-1.5e-07"}}, "step")
    assert step.to_document() == {"epsilonMicro": 1, "losses": {"a": "nan", "b": "-1.5e-07"}}
    with pytest.raises(DocumentError, match=r"step\.losses\.a"):
        StepResult.of({"epsilonMicro": 1, "losses": {"a": "high"}}, "step")
    with pytest.raises(DocumentError, match=r"task\.sharesBps\[1\]"):
        EvaluateTask.of({"datasetRoot": DIGEST, "shardRoots": [DIGEST], "sharesBps": [1, 10_001]}, "task")
    with pytest.raises(DocumentError, match=r"answer\.maxRows"):
        AcceptAnswer.of({"maxRows": 0, "signature": SIGNATURE}, "answer")


@pytest.mark.parametrize(
    "data",
    [b'{"round": 1, "round": 2}', b'{"round": 1, "r\\u006fund": 2}', b'{"message": "a", "message": "b"}'],
)
def test_member_that_stands_twice_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^progress: the key '(round|message)' stands twice"):
        Progress.read(data, "progress")


def test_member_that_stands_twice_in_a_free_object_is_refused() -> None:
    data = json.dumps(ENVELOPE).replace('{"k": 1}', '{"k": 1, "k": 2}').encode()
    with pytest.raises(DocumentError, match="the key 'k' stands twice"):
        Envelope.read(data, "task")


def test_error_names_the_first_mistakes_and_says_how_many_more_there_are() -> None:
    with pytest.raises(DocumentError) as caught:
        read(QuoteRequest, QUOTE | {f"unknown{i}": 1 for i in range(100_000)})
    assert "unknown3: this member is not known" in str(caught.value)
    assert str(caught.value).endswith("and 99980 more mistakes")
    assert len(str(caught.value)) < 3000


def test_error_shows_neither_control_characters_nor_long_names() -> None:
    with pytest.raises(DocumentError) as caught:
        read(QuoteRequest, QUOTE | {"\x1b]0;k\x07": 1, "k" * 100_000: 1})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
