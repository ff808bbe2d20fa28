"""The node's loop: be registered, announce, lease a task, do it, send the stored answer, again.

Nothing here decides; deciding is in accept, train, sample and evaluate.  What this module guarantees: an
answer is on disk before it is sent and is sent from there; a kill at any instant loses a lease, never a
result; whatever ends a task without an answer is either final (a refusal with code and reason) or tried again
when the lease has run out.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from generator.errors import (
    AwaitingApproval,
    BudgetExceeded,
    GeneratorError,
    LedgerRestored,
    NotYet,
    SettingsError,
    StateError,
    StopRequested,
    TaskFormatError,
    TaskRefused,
)
from generator.federation.task import Result
from generator.market.heartbeat import Heartbeat
from generator.node.accept import accept_order
from generator.node.commit import commit_model, reveal_salt
from generator.node.context import Node
from generator.node.evaluate import evaluate_dataset
from generator.node.outbox_log import OutboxLog
from generator.node.registration import announcement
from generator.node.release import release_key
from generator.node.sample import sample_shard
from generator.node.train import train_step
from provenance.api.errors import MarketConflict, MarketStopped
from provenance.api.market import MarketClient
from provenance.api.queue import LeasedTask, Progress
from provenance.api.tasks import SAMPLE
from provenance.errors import MarketError, ProvenanceError, UnavailableError
from provenance.units import MICRO, format_fixed

log = logging.getLogger(__name__)

Handler = Callable[[Node, bytes], bytes]
HANDLERS: dict[str, Handler] = {
    "accept": accept_order,
    "train": train_step,
    "commit": commit_model,
    "reveal": reveal_salt,
    "sample": sample_shard,
    "evaluate": evaluate_dataset,
    "release": release_key,
}
_RETRY_SECONDS = 0.5
_REFUSAL_CHARACTERS = 1800


def warm_up(family: str) -> None:
    """Imports the family's training code before the node offers itself: torch takes seconds on a small machine."""
    importlib.import_module(f"generator.families.{family}_node")


class Agent:
    """One node at one market.  `show` gets every progress, for a terminal."""

    def __init__(
        self,
        node: Node,
        client: MarketClient,
        outbox: OutboxLog,
        stop: threading.Event,
        show: Callable[[str, Progress], None] = lambda _task, _progress: None,
    ) -> None:
        self._node = node
        self._client = client
        self._outbox = outbox
        self._stop = stop
        self._show = show
        self.idle = False
        self.doing = "starting"
        self.done = 0

    def run(self) -> None:
        """Works until `stop` is set.  Raises StateError when an operator must look at the node's folder."""
        self.announce()
        while not self._stop.is_set():
            try:
                self.step()
            except (MarketStopped, StopRequested):
                break
            except UnavailableError as error:
                log.warning("%s", error)
                self._stop.wait(_RETRY_SECONDS)
            except MarketError as error:
                # Not final for the node: a market that lost its tables may know it again after an announcement.
                log.error("%s", error)
                self._stop.wait(5.0)
        log.info("left; whatever was begun continues at the next start")

    def report(self) -> dict[str, str | int | bool]:
        """For the health page: nothing of the table."""
        return {"status": "ok", "node": str(self._node.address), "doing": self.doing, "done": self.done}

    def announce(self) -> None:
        """Offers the table for the collection; repeated at each start, the newest figures hold."""
        settings = self._node.settings
        self._client.announce(announcement(settings))
        log.info(
            "announced %d declared rows for %s",
            settings.public_rows,
            self._node.collection.name,
        )

    def step(self) -> bool:
        """Leases and does one task; False when there was none."""
        settings = self._node.settings
        self.idle, self.doing = True, "waiting for tasks"
        lease = self._client.lease_task(settings.poll_seconds, settings.lease_seconds)
        self.idle = False
        if lease is None:
            return False
        self.doing = f"{lease.name} of order {str(lease.order)[:12]}"
        with self._outbox.about(str(lease.order), lease.name):
            self._do(lease)
        return True

    def _do(self, lease: LeasedTask) -> None:
        log.info("task %s of order %s (lease %d)", lease.name, str(lease.order)[:12], lease.attempt)
        began = time.monotonic()
        payload = self._client.task_payload(lease.id)
        lease_seconds = self._node.settings.lease_seconds
        with Heartbeat(
            lambda news: self._client.heartbeat(lease.id, lease_seconds, news), lease_seconds
        ) as beat:
            node = replace(self._node, progress=lambda progress: self._progress(lease, beat, progress))
            answer = self._answer(node, lease, payload)
        if answer is None:
            return
        self._send(lease, answer)
        self.done += 1
        log.info("task %s done in %.1f s, %d bytes sent", lease.name, time.monotonic() - began, len(answer))

    def _answer(self, node: Node, lease: LeasedTask, payload: bytes) -> bytes | None:
        """The stored answer; None when the task must wait (`context.TRIED_AGAIN`) or was refused (all else)."""
        try:
            return self._patiently(node, lease, payload)
        except TaskRefused as refusal:
            if isinstance(refusal, BudgetExceeded | LedgerRestored):
                log.warning("%s", refusal.figures)  # which the market is not told
            self._refuse(lease, refusal.code, refusal.reason)
        except (AwaitingApproval, NotYet) as reason:
            log.info("not now: %s", reason)
        except (StateError, StopRequested, MarketStopped, UnavailableError):
            raise
        except SettingsError as error:
            # An operator in the middle of an edit. A refusal is for good, and may end an order that is matched.
            log.error("task %s waits for settings that can be used: %s", lease.name, error)
        except OSError as error:
            # A full disk, too many open files: what is stored is whole, and the task may succeed when there is room.
            log.error("task %s waits: %s (%s)", lease.name, error.strerror, type(error).__name__)
        except TaskFormatError as error:
            self._refuse(lease, "bad-task", str(error))
        except (GeneratorError, ProvenanceError) as error:
            log.error("task %s failed: %s", lease.name, error)
            self._refuse(lease, "failed", f"{type(error).__name__}: the node's log has the details")
        except Exception as error:  # noqa: BLE001 - the edge of a long-running process: the buyer must not wait in vain
            # Places only: the message of a foreign exception might quote a value of the table.
            places = "".join(traceback.format_tb(error.__traceback__))
            log.error("task %s broke with %s at\n%s", lease.name, type(error).__name__, places)
            self._refuse(lease, "internal-error", f"{type(error).__name__}: the node's log has the place")
        return None

    def _patiently(self, node: Node, lease: LeasedTask, payload: bytes) -> bytes:
        """The chain may be a block behind: tried again for as long as one lease, or as the reason is worth."""
        handler = HANDLERS.get(lease.kind)
        if handler is None:
            raise TaskRefused("unknown-kind", f"this version knows no {lease.kind!r} tasks; update the node")
        began, most = time.monotonic(), self._node.settings.lease_seconds
        while True:
            try:
                return handler(node, payload)
            except NotYet as reason:
                waited, patience = time.monotonic() - began, min(most, reason.patience_seconds)
                if waited > patience or self._stop.wait(_RETRY_SECONDS):
                    raise

    def _send(self, lease: LeasedTask, answer: bytes) -> None:
        with self._outbox.about(str(lease.order), lease.name, _epsilon_of(answer)):
            try:
                self._client.send_result(lease.id, answer)
            except MarketConflict as error:
                log.warning(
                    "the market does not want the result of %s any more: %s", lease.name, error.detail
                )
                return
        if lease.kind == SAMPLE:
            self._node.orders.folder(lease.order).note_shard_sent(True)

    def _refuse(self, lease: LeasedTask, code: str, reason: str) -> None:
        log.warning("refusing %s of order %s - %s: %s", lease.name, str(lease.order)[:12], code, reason)
        try:
            self._client.refuse_task(lease.id, code, reason[:_REFUSAL_CHARACTERS])
        except MarketConflict as error:
            log.warning("the refusal came too late: %s", error.detail)

    def _progress(self, lease: LeasedTask, beat: Heartbeat, progress: Progress) -> None:
        if self._stop.is_set():
            raise StopRequested("asked to stop inside a task; its state is on disk")
        beat.report(progress)
        self._show(lease.name, progress)


def _epsilon_of(answer: bytes) -> str:
    """What the release in a result counts, as the result itself says; empty for answers without one."""
    try:
        epsilon = Result.decode(answer).meta.get("epsilonMicro")
    except TaskFormatError:
        return ""
    return format_fixed(epsilon, MICRO) if isinstance(epsilon, int) and epsilon else ""
