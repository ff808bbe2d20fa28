"""Signed HTTP client of the market: a restarting backend is normal, a refusal is final.

Rules: every request is signed anew for each attempt (a nonce is used once); connection errors, 429 and 5xx
are repeated with growing pauses until the retry policy gives up; any other 4xx is raised at once as a typed
error with the market's own words.  Nothing here retries a request whose repetition could change the outcome:
each endpoint of the API is idempotent by its key (task name, content identifier, order).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import httpx

from generator.market.errors import MarketAnswerInvalid, MarketStopped, MarketUnreachable, refused
from generator.market.messages import CollectionInfo, Job, NetworkInfo, Progress, TaskLease, TaskStatus
from generator.market.wire import Fields, JsonObject
from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer
from provenance.values import Address, Cid, Digest

REPEATED = frozenset({408, 425, 429, 500, 502, 503, 504})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses grow by half from `first` to `most` seconds; after `give_up` seconds the error is raised."""

    first_pause_seconds: float = 0.2
    most_pause_seconds: float = 5.0
    give_up_seconds: float = 120.0


class MarketClient:
    """One identity (`signer`) at one market.  Thread-safe: a heartbeat thread may share it."""

    def __init__(
        self,
        base_url: str,
        signer: Signer,
        *,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 30.0,
        stop: threading.Event | None = None,
        note: Callable[[str], None] = lambda _text: None,
        leaving: Callable[[str, str, bytes], None] = lambda _method, _target, _body: None,
    ) -> None:
        """stop: ends waiting between attempts. note: told of each failed attempt.

        leaving: called with method, target and body before the bytes are sent; an exception of it keeps them here.
        """
        self._base = base_url.rstrip("/")
        self._signer = signer
        self._retry = retry or RetryPolicy()
        self._timeout = timeout_seconds
        self._stop = stop or threading.Event()
        self._note = note
        self._leaving = leaving
        # A proxy of the environment serves the outside world; a market on this machine is spoken to directly.
        trust = (urlsplit(base_url).hostname or "") not in LOOPBACK
        self._http = httpx.Client(trust_env=trust, limits=httpx.Limits(keepalive_expiry=20))

    @property
    def address(self) -> Address:
        return self._signer.address

    def close(self) -> None:
        self._http.close()

    # -- what anybody may read ---------------------------------------------------------------------------

    def network(self) -> NetworkInfo:
        return NetworkInfo.read(self._json("GET", "/v1/network"))

    def collection(self, collection_id: str) -> CollectionInfo:
        return CollectionInfo.read(self._json("GET", f"/v1/collections/{quote(collection_id, safe='')}"))

    def find_collection(self, wanted: str) -> CollectionInfo:
        """A collection by id, or by the name in its document; MarketAnswerInvalid lists what there is."""
        if wanted.startswith("0x"):
            return self.collection(wanted)
        listed = [
            CollectionInfo.read(each) for each in self._json("GET", "/v1/collections").objects("collections")
        ]
        found = [each for each in listed if each.document.get("name") == wanted]
        if len(found) != 1:
            names = ", ".join(str(each.document.get("name")) for each in listed) or "none"
            raise MarketAnswerInvalid(
                f"{len(found)} collections are called {wanted!r}; the market has: {names}"
            )
        return found[0]

    def orders(self, state: str) -> list[Fields]:
        """Public view of orders in one state, as the market lists them."""
        return self._json("GET", "/v1/orders", query={"state": state}).objects("orders")

    def content(self, cid: Cid) -> bytes:
        """The bytes as served: the caller compares them with the CID."""
        return self._call("GET", f"/v1/content/{cid}", timeout=120.0).content

    # -- a node ------------------------------------------------------------------------------------------

    def announce(self, document: JsonObject) -> None:
        self._json("POST", "/v1/contributors", document)

    def lease_task(self, wait_seconds: int, lease_seconds: int) -> TaskLease | None:
        """The next task of this node; waits at the market at most `wait_seconds`; None when there is none."""
        body: JsonObject = {"waitSeconds": wait_seconds, "leaseSeconds": lease_seconds}
        response = self._call("POST", "/v1/tasks/lease", _encode(body), timeout=wait_seconds + self._timeout)
        if response.status_code == 204:
            return None
        return TaskLease.read(Fields.parse(response.content, "lease").object("task"))

    def task_payload(self, task_id: int) -> bytes:
        return self._call("GET", f"/v1/tasks/{task_id}/payload", timeout=120.0).content

    def heartbeat(self, task_id: int, lease_seconds: int, progress: Progress | None) -> None:
        """Renews the lease; MarketConflict when it was lost."""
        body: JsonObject = {"leaseSeconds": lease_seconds}
        if progress is not None:
            body["progress"] = progress.document()
        self._call("POST", f"/v1/tasks/{task_id}/heartbeat", _encode(body))

    def send_result(self, task_id: int, data: bytes) -> None:
        self._call("PUT", f"/v1/tasks/{task_id}/result", data, kind=OCTETS, timeout=120.0)

    def refuse_task(self, task_id: int, code: str, reason: str) -> None:
        self._call("POST", f"/v1/tasks/{task_id}/refuse", _encode({"code": code, "reason": reason}))

    def upload(self, data: bytes) -> Cid:
        """Stores content; the CID is the market's claim, which the caller compares with its own."""
        response = self._call("POST", "/v1/content", data, kind=OCTETS, timeout=120.0)
        return Cid(Fields.parse(response.content, "content").text("cid"))

    # -- the broker --------------------------------------------------------------------------------------

    def post_task(self, order: Digest, name: str, node: Address, kind: str, body: bytes) -> None:
        """Idempotent: the same bytes under the same (order, node, name) are accepted again, others refused."""
        query = {"order": str(order), "node": str(node), "name": name, "kind": kind}
        self._call("POST", "/v1/tasks", body, query=query, kind=OCTETS, timeout=120.0)

    def tasks(self, order: Digest, name: str) -> list[TaskStatus]:
        answer = self._json("GET", "/v1/tasks", query={"order": str(order), "name": name})
        return [TaskStatus.read(item) for item in answer.objects("tasks")]

    def task_result(self, task_id: int) -> bytes:
        return self._call("GET", f"/v1/tasks/{task_id}/result", timeout=120.0).content

    def lease_job(self, wait_seconds: int, lease_seconds: int) -> Job | None:
        body: JsonObject = {"waitSeconds": wait_seconds, "leaseSeconds": lease_seconds}
        timeout = wait_seconds + self._timeout
        response = self._call("POST", "/v1/coordination/lease", _encode(body), timeout=timeout)
        if response.status_code == 204:
            return None
        return Job.read(Fields.parse(response.content, "lease").object("job"))

    def job_progress(self, order: Digest, phase: str, lease_seconds: int, progress: Progress | None) -> None:
        """Renews the lease and, with `progress`, tells the buyer; MarketConflict when the lease was lost."""
        body: JsonObject = {"leaseSeconds": lease_seconds}
        if progress is not None:
            body |= progress.document()
        self._call("POST", f"/v1/coordination/{order}/{phase}/progress", _encode(body))

    def finish_job(self, order: Digest, phase: str, result: JsonObject) -> None:
        self._call("PUT", f"/v1/coordination/{order}/{phase}/result", _encode(result))

    def fail_job(self, order: Digest, phase: str, reason: str) -> None:
        self._call("POST", f"/v1/coordination/{order}/{phase}/failure", _encode({"reason": reason}))

    # -- one request -------------------------------------------------------------------------------------

    def _json(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Fields:
        data = b"" if body is None else _encode(body)
        return Fields.parse(self._call(method, path, data, query=query).content, f"{method} {path}")

    def _call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
        timeout: float | None = None,
    ) -> httpx.Response:
        url = self._base + path + (f"?{urlencode(query)}" if query else "")
        give_up = time.monotonic() + self._retry.give_up_seconds
        pause = self._retry.first_pause_seconds
        while True:
            wait = pause
            try:
                response = self._send(method, url, body, kind, timeout or self._timeout)
            except httpx.TransportError as error:
                failure = f"{type(error).__name__}: {error}"
            else:
                if response.status_code < 400:
                    return response
                if response.status_code not in REPEATED:
                    raise refused(f"{method} {path}", response.status_code, *_problem(response))
                failure = f"status {response.status_code}: {_problem(response)[1]}"
                wait = max(pause, _retry_after(response))
            if time.monotonic() + wait > give_up:
                raise MarketUnreachable(
                    f"{method} {self._base}{path}: no usable answer within "
                    f"{self._retry.give_up_seconds:g} s; the last was {failure}"
                )
            self._note(f"the market does not answer ({failure}); next attempt in {wait:.1f} s")
            if self._stop.wait(wait):
                raise MarketStopped(f"{method} {path}: stopped while waiting for the market")
            pause = min(pause * 1.5, self._retry.most_pause_seconds)

    def _send(self, method: str, url: str, body: bytes, kind: str, timeout: float) -> httpx.Response:
        headers = {"Content-Type": kind} if body else {}
        request = self._http.build_request(method, url, content=body, headers=headers, timeout=timeout)
        target = request.url.raw_path.decode("ascii")
        self._leaving(method, target, body)
        request.headers["Authorization"] = sign_request(self._signer, method, target, body, int(time.time()))
        return self._http.send(request)


OCTETS = "application/octet-stream"


def _encode(document: JsonObject) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def _problem(response: httpx.Response) -> tuple[str, str]:
    """(code, detail) of a problem+json body; whatever else came, shortened, when it is none."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "http", response.text[:300] or response.reason_phrase
    code = str(body.get("code") or body.get("type") or "about:blank").rsplit(":", 1)[-1]
    return code, str(body.get("detail") or body.get("title") or response.reason_phrase)


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), 60.0) if value.isdigit() else 0.0
