"""The market's endpoints, one method each, for buyers, nodes and the coordinator (docs/spec/http.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from provenance import canonical
from provenance.api.catalogue import (
    Announcement,
    CollectionList,
    CollectionView,
    ContentStored,
    ContributorList,
    ContributorView,
    DatasetView,
    NetworkView,
    OfferList,
    OfferState,
    OfferView,
    StandingModelList,
    StandingModelView,
)
from provenance.api.client import MOST_CONTENT_BYTES, Call, HttpClient, StreamEvent
from provenance.api.coordination import (
    JobFailure,
    JobLease,
    JobProgress,
    LeasedJob,
    ScoreResult,
    TrainResult,
)
from provenance.api.errors import MarketAnswerInvalid, MarketNotFound
from provenance.api.message import OCTETS, Message
from provenance.api.orders import (
    EVENTS,
    FINAL_STATES,
    OrderAccepted,
    OrderEvent,
    OrderList,
    OrderRequest,
    OrderState,
    OrderView,
    QuoteRequest,
    QuoteView,
    SaltsView,
    StateEvent,
)
from provenance.api.queue import (
    Heartbeat,
    LeasedTask,
    LeaseRequest,
    Progress,
    Refusal,
    Rejection,
    TaskKind,
    TaskLease,
    TaskList,
    TaskView,
)
from provenance.errors import DocumentError
from provenance.record.collection import Collection
from provenance.values import Address, Cid, Digest

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_BYTES_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an order. Ids grow; a stream resumes after any of them."""

    id: int
    data: OrderEvent

    @property
    def state(self) -> OrderState | None:
        """The state that the order entered; None for another kind of event."""
        return self.data.state if isinstance(self.data, StateEvent) else None


class MarketClient(HttpClient):
    """One market. What a node or the broker does needs a signer; reading and ordering do not."""

    def __enter__(self) -> MarketClient:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # -- what anybody may read -------------------------------------------------------------------------------

    def network(self) -> NetworkView:
        return self._read(NetworkView, Call("GET", "/v1/network"))

    def collections(self) -> tuple[CollectionView, ...]:
        return self._read(CollectionList, Call("GET", "/v1/collections")).collections

    def collection(self, name_or_id: str) -> CollectionView:
        """A collection by its id (0x…) or by the name in its document. MarketNotFound lists what there is."""
        if name_or_id.startswith("0x"):
            call = Call("GET", f"/v1/collections/{quote(name_or_id, safe='')}")
            found = self._read(CollectionView, call)
            return _same(found, call, found.id, Digest.parse(name_or_id))
        listed = self.collections()
        for entry in listed:
            if entry.name == name_or_id:
                return entry
        names = ", ".join(sorted(entry.name for entry in listed)) or "none"
        detail = f"no collection is called {name_or_id!r}; the market has: {names}"
        raise MarketNotFound("GET /v1/collections", 404, "not-found", detail)

    def contributors(self, collection: Digest) -> tuple[ContributorView, ...]:
        """Who announced a table for a collection."""
        call = Call("GET", "/v1/contributors", query={"collection": str(collection)})
        return self._read(ContributorList, call).contributors

    def models(self, collection: Digest) -> tuple[StandingModelView, ...]:
        """What later orders of a collection can be sold from, the newest training first."""
        call = Call("GET", "/v1/models", query={"collection": str(collection)})
        found = self._read(StandingModelList, call).models
        for each in found:
            _same(each, call, each.collection, collection)
        return found

    def order(self, order: Digest) -> OrderView:
        call = Call("GET", f"/v1/orders/{order}")
        found = self._read(OrderView, call)
        return _same(found, call, found.order_id, order)

    def salts(self, order: Digest) -> SaltsView:
        """What nodes told for the seed; the caller compares them with what was committed to."""
        return self._read(SaltsView, Call("GET", f"/v1/orders/{order}/salts"))

    def orders(
        self, *, buyer: Address | None = None, state: OrderState | None = None
    ) -> tuple[OrderView, ...]:
        """As the market lists them, newest first."""
        query = _named(buyer=buyer, state=state)
        return self._read(OrderList, Call("GET", "/v1/orders", query=query)).orders

    def events(
        self, order: Digest, *, after: int = 0, is_over: Callable[[], bool] = lambda: False
    ) -> Iterator[Event]:
        """The order's events after id `after` until it is final; reconnects by itself and misses none.

        is_over: asked now and then, however much or little the market says: the watcher may know better.
        """
        path = f"/v1/orders/{order}/events"
        for sent in self.stream(path, after, lambda: is_over() or self.order(order).state in FINAL_STATES):
            event = Event(sent.id, _event(sent, path))
            yield event
            if event.state in FINAL_STATES:
                return

    def dataset(self, dataset_id: int) -> DatasetView:
        call = Call("GET", f"/v1/datasets/{dataset_id}")
        found = self._read(DatasetView, call)
        return _same(found, call, found.id, dataset_id)

    def offers(
        self,
        *,
        buyer: Address | None = None,
        seller: Address | None = None,
        state: OfferState | None = None,
    ) -> tuple[OfferView, ...]:
        """Data sets offered for resale, those whose offer has ended included; newest first."""
        query = _named(buyer=buyer, seller=seller, state=state)
        return self._read(OfferList, Call("GET", "/v1/offers", query=query)).offers

    def content(self, cid: Cid) -> bytes:
        """The bytes as served: the caller compares them with the CID."""
        return self._bytes(f"/v1/content/{cid}")

    # -- a buyer ---------------------------------------------------------------------------------------------

    def quote(self, wanted: QuoteRequest) -> QuoteView:
        return self._read(QuoteView, Call("POST", "/v1/quotes", wanted.to_json()))

    def place(self, order: OrderRequest) -> OrderAccepted:
        return self._read(OrderAccepted, Call("POST", "/v1/orders", order.to_json()))

    # -- a node ----------------------------------------------------------------------------------------------

    def announce(self, announcement: Announcement) -> None:
        self.send(Call("POST", "/v1/contributors", announcement.to_json()))

    def retire_model(self, training: Digest) -> None:
        """This node does not sell its model of the training any more. Idempotent."""
        self.send(Call("POST", f"/v1/models/{training}/retire"))

    def lease_task(self, wait_seconds: int, lease_seconds: int) -> LeasedTask | None:
        """The next task of this node; waits at the market at most `wait_seconds`; None when there is none."""
        lease = self._lease(TaskLease, "/v1/tasks/lease", wait_seconds, lease_seconds)
        return None if lease is None else lease.task

    def task_payload(self, task_id: int) -> bytes:
        return self._bytes(f"/v1/tasks/{task_id}/payload")

    def heartbeat(self, task_id: int, lease_seconds: int, progress: Progress | None) -> None:
        """Renews the lease; MarketConflict when it was lost."""
        beat = Heartbeat(lease_seconds=lease_seconds, progress=progress)
        self.send(Call("POST", f"/v1/tasks/{task_id}/heartbeat", beat.to_json()))

    def send_result(self, task_id: int, data: bytes) -> None:
        self._put_bytes("PUT", f"/v1/tasks/{task_id}/result", data)

    def refuse_task(self, task_id: int, code: str, reason: str) -> None:
        refusal = Refusal(code=code, reason=reason)
        self.send(Call("POST", f"/v1/tasks/{task_id}/refuse", refusal.to_json()))

    def upload(self, data: bytes) -> Cid:
        """Stores content; the CID is the market's claim, which the caller compares with its own."""
        return _parsed(ContentStored, self._put_bytes("POST", "/v1/content", data), "POST /v1/content").cid

    # -- the broker ------------------------------------------------------------------------------------------

    def offer(self, collection: Collection) -> CollectionView:
        """Offers a collection; the same document again changes nothing."""
        call = Call("POST", "/v1/collections", canonical.encode(collection.document()))
        return self._read(CollectionView, call)

    def post_task(self, order: Digest, name: str, node: Address, kind: TaskKind, body: bytes) -> None:
        """Idempotent: the same bytes under the same (order, node, name) are accepted again, others refused."""
        query = {"order": str(order), "node": str(node), "name": name, "kind": kind}
        self._put_bytes("POST", "/v1/tasks", body, query)

    def tasks(self, order: Digest, name: str) -> tuple[TaskView, ...]:
        query = {"order": str(order), "name": name}
        call = Call("GET", "/v1/tasks", query=query)
        found = self._read(TaskList, call).tasks
        for task in found:
            _same(task, call, (task.order, task.name), (order, name))
        return found

    def reject_result(self, task_id: int, reason: str) -> None:
        """A result that does not hold counts as a refusal. Idempotent; MarketConflict where there is none."""
        rejection = Rejection(reason=reason)
        self.send(Call("POST", f"/v1/tasks/{task_id}/reject", rejection.to_json()))

    def task_result(self, task_id: int) -> bytes:
        return self._bytes(f"/v1/tasks/{task_id}/result")

    def lease_job(self, wait_seconds: int, lease_seconds: int) -> LeasedJob | None:
        lease = self._lease(JobLease, "/v1/coordination/lease", wait_seconds, lease_seconds)
        return None if lease is None else lease.job

    def job_progress(self, job: LeasedJob, lease_seconds: int, progress: Progress | None) -> None:
        """Renews the lease and, with `progress`, tells the buyer; MarketConflict when the lease was lost."""
        told = {} if progress is None else dict(progress)
        beat = JobProgress(lease_seconds=lease_seconds, **told)
        self.send(Call("POST", f"{_path(job)}/progress", beat.to_json()))

    def finish_job(self, job: LeasedJob, result: TrainResult | ScoreResult) -> None:
        self.send(Call("PUT", f"{_path(job)}/result", result.encode()))

    def fail_job(self, job: LeasedJob, reason: str) -> None:
        failure = JobFailure(reason=reason)
        self.send(Call("POST", f"{_path(job)}/failure", failure.to_json()))

    # -- how -------------------------------------------------------------------------------------------------

    def _read(self, kind: type[M], call: Call) -> M:
        return _parsed(kind, self.send(call).content, call.name)

    def _lease(self, kind: type[M], path: str, wait_seconds: int, lease_seconds: int) -> M | None:
        body = LeaseRequest(wait_seconds=wait_seconds, lease_seconds=lease_seconds).to_json()
        call = Call("POST", path, body, timeout_seconds=wait_seconds + self.timeout_seconds)
        answer = self.send(call)
        return None if answer.status == 204 else _parsed(kind, answer.content, call.name)

    def _bytes(self, path: str) -> bytes:
        call = Call("GET", path, timeout_seconds=_BYTES_SECONDS, most_bytes=MOST_CONTENT_BYTES)
        return self.send(call).content

    def _put_bytes(self, method: str, path: str, data: bytes, query: dict[str, str] | None = None) -> bytes:
        call = Call(method, path, data, query or {}, OCTETS, _BYTES_SECONDS)
        return self.send(call).content


def _path(job: LeasedJob) -> str:
    return f"/v1/coordination/{job.order}/{job.phase}/{job.attempt}"


def _named(**wanted: object) -> dict[str, str]:
    """The query of what was named."""
    return {name: str(value) for name, value in wanted.items() if value is not None}


def _same(found: T, call: Call, answered: object, asked: object) -> T:
    """An answer is about what was asked."""
    if answered != asked:
        raise MarketAnswerInvalid(f"{call.name}: the market answered about {answered}, asked was {asked}")
    return found


def _parsed(kind: type[M], data: bytes, where: str) -> M:
    try:
        return kind.read(data, where)
    except DocumentError as error:
        raise MarketAnswerInvalid(
            f"{error}. The market speaks another version of the interface than this client: bring both to one"
        ) from error


def _event(sent: StreamEvent, path: str) -> OrderEvent:
    where = f"event {sent.id} of {path}"
    kind = EVENTS.get(sent.kind)
    if kind is None:
        raise MarketAnswerInvalid(
            f"{where}: found the event {sent.kind!r:.40}, expected one of {', '.join(EVENTS)}"
        )
    return _parsed(kind, sent.data.encode(), where)
