"""The market's REST interface as a buyer uses it (docs/spec/http.md).

Every call here may be repeated without harm, so a backend that restarts costs a pause and nothing else; a
refusal (4xx) is final and keeps the market's own words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from generator.market.wire import Fields

from tessera.errors import ServiceDownError, ServiceRefusedError

REPEATED = frozenset({429, 500, 502, 503, 504})
FINAL_STATES = frozenset({"settled", "refunded", "revoked", "cancelled", "rejected"})
FAILED_STATES = frozenset({"refunded", "revoked", "cancelled", "rejected"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_STREAM_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event of an order."""

    id: int
    kind: str
    data: Fields


class BuyerApi:
    """One market. `patience_seconds`: how long an unanswering backend is waited for."""

    def __init__(
        self, base_url: str, *, patience_seconds: float = 0.0, timeout_seconds: float = 30.0
    ) -> None:
        self._base = base_url.rstrip("/")
        self.patience_seconds = patience_seconds
        # A proxy of the environment serves the outside world; a market on this machine is spoken to directly.
        trust = (urlsplit(base_url).hostname or "") not in _LOOPBACK
        self._http = httpx.Client(timeout=timeout_seconds, trust_env=trust)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> BuyerApi:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def network(self) -> Fields:
        return self._json("GET", "/v1/network")

    def collection(self, name_or_id: str) -> Fields:
        """A collection by its id (0x…) or by its name."""
        if name_or_id.startswith("0x"):
            return self._json("GET", f"/v1/collections/{name_or_id}")
        known = self._json("GET", "/v1/collections").objects("collections")
        for entry in known:
            if entry.object("document").text("name") == name_or_id:
                return entry
        names = ", ".join(entry.object("document").text("name") for entry in known) or "none"
        raise ServiceRefusedError(
            f"no collection named {name_or_id!r} at {self._base}; there: {names}",
            status=httpx.codes.NOT_FOUND,
        )

    def quote(self, body: Mapping[str, object]) -> Fields:
        return self._json("POST", "/v1/quotes", body)

    def place(self, body: Mapping[str, object]) -> Fields:
        return self._json("POST", "/v1/orders", body)

    def order(self, order_id: str) -> Fields:
        return self._json("GET", f"/v1/orders/{order_id}")

    def orders(self, *, buyer: str | None = None, state: str | None = None) -> list[Fields]:
        wanted = {"buyer": buyer, "state": state}
        query = {name: value for name, value in wanted.items() if value is not None}
        return self._json("GET", "/v1/orders", query=query).objects("orders")

    def dataset(self, dataset_id: int) -> Fields:
        return self._json("GET", f"/v1/datasets/{dataset_id}")

    def content(self, cid: str) -> bytes:
        """Bytes as served; the caller checks them against the CID."""
        return self._call("GET", f"/v1/content/{cid}").content

    def events(self, order_id: str, *, after: int = 0) -> Iterator[Event]:
        """The order's events after id `after` until it is final; reconnects by itself and misses none."""
        give_up = time.monotonic() + self.patience_seconds
        while True:
            try:
                for event in self._stream(order_id, after):
                    after = event.id
                    yield event
                    give_up = time.monotonic() + self.patience_seconds
                if self.order(order_id).text("state") in FINAL_STATES:
                    return
            except httpx.ReadTimeout:
                continue  # a silent stretch: the connection is made anew, nothing was lost
            except httpx.TransportError as error:
                if time.monotonic() > give_up:
                    raise self._down("the event stream", error) from error
            time.sleep(0.3)

    def _stream(self, order_id: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(self._http.timeout.connect, read=_STREAM_SILENCE_SECONDS)
        url = f"{self._base}/v1/orders/{order_id}/events"
        with self._http.stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code >= httpx.codes.BAD_REQUEST:
                response.read()
                raise _refusal(response, "the event stream")
            yield from parse_events(response.iter_lines(), order_id)

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Fields:
        return Fields.parse(self._call(method, path, body, query).content, f"{method} {path}")

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        give_up = time.monotonic() + self.patience_seconds
        pause = 0.2
        while True:
            failure: Exception
            try:
                response = self._http.request(method, self._base + path, json=body, params=query)
            except httpx.TransportError as error:
                failure = self._down(f"{method} {path}", error)
            else:
                if response.status_code < httpx.codes.BAD_REQUEST:
                    return response
                failure = _refusal(response, f"{method} {path}")
                if response.status_code not in REPEATED:
                    raise failure
            if time.monotonic() + pause > give_up:
                raise failure
            time.sleep(pause)
            pause = min(pause * 1.5, 3.0)

    def _down(self, what: str, error: Exception) -> ServiceDownError:
        return ServiceDownError(
            f"{what}: nobody answers at {self._base} ({type(error).__name__}: {error}); is the backend running, and "
            "is the address right? Nothing is lost: orders live on the chain, try again"
        )


def parse_events(lines: Iterator[str], where: str) -> Iterator[Event]:
    """Server-sent events from lines without their ends; comments (keep-alives) are passed over."""
    number, kind, data = 0, "message", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(
                    number, kind, Fields.parse("\n".join(data).encode(), f"event {number} of {where}")
                )
            kind, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdigit():
            number = int(value)
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _refusal(response: httpx.Response, what: str) -> ServiceRefusedError:
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
    errors = problem.get("errors")
    if isinstance(errors, list):
        named = [
            f"{error.get('field')}: {error.get('message')}" for error in errors if isinstance(error, dict)
        ]
        detail = "; ".join([detail, *named])
    code = problem.get("code", "http")
    return ServiceRefusedError(
        f"{what}: refused with {response.status_code} ({code}): {detail}", status=response.status_code
    )
