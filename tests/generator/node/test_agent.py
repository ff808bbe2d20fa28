"""The loop: what is refused travels with its code, what is stored is resent, what may succeed later stays leased."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import threading
from typing import Any, cast

import pytest

from generator.errors import (
    AwaitingApproval,
    BudgetExceeded,
    FitError,
    NotYet,
    SettingsError,
    StateError,
    StopRequested,
    TaskFormatError,
    TaskRefused,
    TransportError,
)
from generator.node import agent as agent_module
from generator.node.agent import Agent
from generator.node.context import TRIED_AGAIN, Node
from generator.node.outbox_log import OutboxLog
from generator.node.registration import announcement
from generator.node.untrained import training
from provenance.api.catalogue import Announcement
from provenance.api.errors import MarketConflict, MarketStopped
from provenance.api.market import MarketClient
from provenance.api.message import Uint256
from provenance.api.queue import LeasedTask, Progress
from provenance.chain.errors import ChainUnavailableError
from provenance.errors import MalformedError, UnavailableError
from tests.generator.node.world import World


class Client:
    """The node's side of a market with one task after another."""

    def __init__(self, world: World) -> None:
        self.order = world.order()
        self.leases: list[LeasedTask] = []
        self.payloads: dict[int, bytes] = {}
        self.results: list[tuple[int, bytes]] = []
        self.refusals: list[tuple[int, str, str]] = []
        self.announced: list[Announcement] = []
        self.conflict = False

    def add(self, kind: str, payload: bytes = b"payload", name: str | None = None) -> None:
        number = len(self.payloads) + 1
        self.payloads[number] = payload
        self.leases.append(
            LeasedTask(id=Uint256(number), order=self.order, name=name or kind, kind=kind, attempt=1)
        )

    def announce(self, announcement: Announcement) -> None:
        self.announced.append(announcement)

    def lease_task(self, wait_seconds: int, lease_seconds: int) -> LeasedTask | None:
        return self.leases.pop(0) if self.leases else None

    def task_payload(self, task_id: int) -> bytes:
        return self.payloads[task_id]

    def heartbeat(self, task_id: int, lease_seconds: int, progress: Progress | None) -> None:
        pass

    def send_result(self, task_id: int, data: bytes) -> None:
        if self.conflict:
            raise MarketConflict("PUT", 409, "lease-lost", "cancelled")
        self.results.append((task_id, data))

    def refuse_task(self, task_id: int, code: str, reason: str) -> None:
        if self.conflict:
            raise MarketConflict("POST", 409, "lease-lost", "cancelled")
        self.refusals.append((task_id, code, reason))


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


def agent(world: World, client: Client, stop: threading.Event | None = None) -> Agent:
    node = world.node()
    return Agent(node, cast(MarketClient, client), OutboxLog(node.folder), stop or threading.Event())


def handled_by(monkeypatch: pytest.MonkeyPatch, kind: str, outcome: Any) -> None:
    def handler(_node: Node, _payload: bytes) -> bytes:
        if isinstance(outcome, Exception):
            raise outcome
        answer: bytes = outcome(_node) if callable(outcome) else outcome
        return answer

    monkeypatch.setitem(agent_module.HANDLERS, kind, handler)


def test_refusal_goes_back_with_its_code(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled_by(monkeypatch, "train", TaskRefused("privacy-cap", "over the cap"))
    client.add("train")
    agent(world, client).step()
    assert client.refusals == [(1, "privacy-cap", "over the cap")]
    assert client.results == []


def test_task_of_an_unknown_kind_is_refused(world: World, client: Client) -> None:
    client.add("paint")
    agent(world, client).step()
    assert client.refusals[0][1] == "unknown-kind"


def test_task_that_is_no_task_is_refused(world: World, client: Client) -> None:
    client.add("sample", b"garbage")
    agent(world, client).step()
    assert client.refusals[0][1] == "bad-task"


def test_unexpected_error_tells_neither_market_nor_log_what_it_said(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handled_by(monkeypatch, "train", RuntimeError("row 17 holds patient 4711"))
    client.add("train")
    with caplog.at_level(logging.DEBUG):
        agent(world, client).step()
    assert client.refusals[0][1:] == ("internal-error", "RuntimeError: the node's log has the place")
    assert "4711" not in caplog.text
    assert "test_agent.py" in caplog.text


def test_damaged_folder_stops_the_node_instead_of_refusing(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled_by(monkeypatch, "train", StateError("ledger line 3 is damaged"))
    client.add("train")
    with pytest.raises(StateError):
        agent(world, client).run()
    assert client.refusals == []


def test_question_to_the_operator_leaves_the_task_with_the_market(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled_by(monkeypatch, "accept", AwaitingApproval("waits"))
    client.add("accept")
    assert agent(world, client).step()
    assert client.refusals == []
    assert client.results == []


@pytest.mark.parametrize(
    "error",
    [
        SettingsError("policy.toml is not TOML"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
)
def test_what_an_operator_can_mend_leaves_the_task_with_the_market(
    world: World,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    handled_by(monkeypatch, "train", error)
    client.add("train")
    with caplog.at_level(logging.ERROR):
        assert agent(world, client).step()
    assert (client.results, client.refusals) == ([], [])
    assert "task train waits" in caplog.text


def test_chain_that_lags_is_waited_for_inside_the_lease(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter([NotYet("one"), NotYet("two"), None])

    def outcome(_node: Node) -> bytes:
        error = next(tries)
        if error is not None:
            raise error
        return b"done"

    monkeypatch.setattr(agent_module, "_RETRY_SECONDS", 0.01)
    handled_by(monkeypatch, "train", outcome)
    client.add("train")
    agent(world, client).step()
    assert client.results == [(1, b"done")]


def test_result_that_nobody_wants_any_more_ends_nothing(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled_by(monkeypatch, "train", b"done")
    client.conflict = True
    client.add("train")
    assert agent(world, client).step()


def test_stop_inside_a_task_leaves_at_the_next_progress_report(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def outcome(node: Node) -> bytes:
        stop.set()
        node.progress(Progress(message="half"))
        return b"never"

    handled_by(monkeypatch, "train", outcome)
    client.add("train")
    with pytest.raises(StopRequested):
        agent(world, client, stop).step()
    assert client.refusals == []
    assert client.results == []


def test_same_task_leased_again_sends_the_same_stored_bytes(world: World, client: Client) -> None:
    world.open()
    for _ in range(2):
        client.add("accept", world.offer())
        agent(world, client).step()
    (_, first), (_, second) = client.results
    assert first == second
    assert json.loads(first)["maxRows"] == 500


def test_announces_the_declared_rows_and_never_the_tables(world: World, client: Client) -> None:
    agent(world, client).announce()
    (announced,) = client.announced
    assert announced.declared_rows == 1200
    assert announced.collection == world.collection.digest


def test_announces_two_digits_of_rows_that_older_settings_hold_exactly(world: World) -> None:
    settings = world.node().settings.model_copy(update={"declared_rows": 1_237})
    assert announcement(settings).declared_rows == 1_200


def test_task_without_work_is_false_and_the_node_is_idle_while_it_waits(world: World, client: Client) -> None:
    running = agent(world, client)
    assert running.step() is False
    assert running.report()["doing"] == "waiting for tasks"


@pytest.mark.parametrize(
    "error",
    [
        AwaitingApproval("ask"), MarketStopped("leaving"), NotYet("no match"), OSError(errno.ENOSPC, "disk full"),
        SettingsError("half edited"), StateError("in use"), StopRequested("stop"), ChainUnavailableError("down"),
        BudgetExceeded("over the cap"), FitError("failed"), MarketConflict("PUT", 409, "conflict", "no"),
        MalformedError("bad"), TaskFormatError("bad"), TaskRefused("no", "no"), TransportError("gone"),
        RuntimeError("bug"), MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_training_step_is_under_way_exactly_until_it_is_refused(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A step that counts as under way for good would keep the node from answering when its commitment is demanded."""

    def breaks(node: Node, _payload: bytes) -> bytes:
        with training(node, client.order):
            raise error

    monkeypatch.setattr(NotYet, "patience_seconds", 0.0)
    monkeypatch.setitem(agent_module.HANDLERS, "train", breaks)
    client.add("train")
    working = agent(world, client)
    with contextlib.suppress(StateError, StopRequested, MarketStopped, UnavailableError):
        working.step()
    is_training = world.node().orders.folder(client.order).is_training()
    assert is_training != bool(client.refusals)
    assert is_training == isinstance(error, TRIED_AGAIN)


def test_a_shard_counts_as_sent_once_the_market_took_it(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled_by(monkeypatch, "sample", b"the shard")
    handled_by(monkeypatch, "commit", b"the model")
    folder, working = world.node().orders.folder(client.order), agent(world, client)
    for kind, client.conflict, is_sent in (
        ("commit", False, False), ("sample", True, False), ("sample", False, True)
    ):  # fmt: skip
        client.add(kind)
        working.step()
        assert folder.is_shard_sent() == is_sent
