"""The one HTTP client: a market that restarts is waited for, a refusal is final.

Rules. Connection errors, 408, 425, 429 and 5xx are repeated with growing pauses, `Retry-After` respected, until the
policy gives up; any other answer outside 2xx is raised at once with the market's own words. So every request must be
harmless to repeat; each endpoint of the interface is idempotent by its key (task name, content identifier, order).
With a signer every attempt is signed anew, for a nonce is used once. An answer over its limit is not read to its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay

from provenance.api.errors import MarketAnswerInvalid, MarketStopped, MarketUnreachable, Problem, refused
from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer
from provenance.errors import DocumentError

REPEATED = frozenset({408, 425, 429, 500, 502, 503, 504})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
JSON = "application/json"
MOST_JSON_BYTES = 64 << 20
MOST_CONTENT_BYTES = 1 << 30
SILENCE_SECONDS = 30.0
"""A stream that says nothing for so long, not even that it lives, is opened anew."""
_GROWTH = 1.5
_LONGEST_WISH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses grow by half from `first` to `most` seconds; after `give_up` seconds the error is raised. 0: one try."""

    first_pause_seconds: float = 0.2
    most_pause_seconds: float = 5.0
    give_up_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request. most_bytes: the largest answer that is read."""

    method: str
    path: str
    body: bytes = b""
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    timeout_seconds: float | None = None
    most_bytes: int = MOST_JSON_BYTES

    @property
    def name(self) -> str:
        """For errors."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, read whole."""

    status: int
    content: bytes


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """A server-sent event as it came."""

    id: int
    kind: str
    data: str


class _AttemptFailedError(Exception):
    """An attempt that failed in a way that may pass. retry_after_seconds: the pause that the other side asked for."""

    def __init__(self, words: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(words)
        self.retry_after_seconds = retry_after_seconds


class HttpClient:
    """One market, and one identity at it when there is a signer. Thread-safe: a heartbeat thread may share it."""

    def __init__(
        self,
        base_url: str,
        *,
        signer: Signer | None = None,
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 30.0,
        stop: threading.Event | None = None,
        note: Callable[[str], None] = lambda _text: None,
        leaving: Callable[[str, str, bytes], None] = lambda _method, _target, _body: None,
    ) -> None:
        """stop: ends waiting between attempts. note: told of each failed attempt. leaving: called with method, target
        and body before the bytes are sent; an exception of it keeps them here.
        """
        self.base_url = base_url.rstrip("/")
        self.signer = signer
        self.retry = retry or RetryPolicy()
        self.timeout_seconds = timeout_seconds
        self._stop = stop or threading.Event()
        self._note = note
        self._leaving = leaving
        # A proxy of the environment serves the outside world; a market on this machine is spoken to directly.
        trust = (urlsplit(base_url).hostname or "") not in LOOPBACK
        self._http = httpx.Client(trust_env=trust, limits=httpx.Limits(keepalive_expiry=20))

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call) -> Answer:
        """The answer to `call`. Raises MarketUnreachable, MarketRefused, MarketAnswerInvalid or MarketStopped."""
        retrying = Retrying(
            retry=retry_if_exception_type(_AttemptFailedError),
            wait=self._pause,
            stop=stop_before_delay(self.retry.give_up_seconds),
            sleep=self._sleep,
            before_sleep=self._tell,
            retry_error_callback=lambda state: self._give_up(call.name, _failure(state)),
        )
        answer: Answer = retrying(self._attempt, call)
        return answer

    def stream(self, path: str, after: int, is_over: Callable[[], bool]) -> Iterator[StreamEvent]:
        """Server-sent events of `path` after id `after`; reconnects by itself and misses none.

        is_over: asked when the stream ends by itself; it ends here too when that says so.
        """
        began = time.monotonic()
        while True:
            try:
                for event in self._events(path, after):
                    began = time.monotonic()
                    if not event.data:
                        continue  # `retry:` alone: httpx-sse hands it on, the standard does not call it an event
                    after = _event_id(event, path)
                    yield StreamEvent(after, event.event, event.data)
                if is_over():
                    return
            except httpx.ReadTimeout:
                continue  # a silent stretch: nothing was lost
            except httpx.TransportError as error:
                failure = _AttemptFailedError(f"{type(error).__name__}: {error}")
                self._wait_or_give_up(path, began, failure)
            except _AttemptFailedError as failure:
                self._wait_or_give_up(path, began, failure)
            self._sleep(self.retry.first_pause_seconds)

    def _wait_or_give_up(self, path: str, began: float, failure: _AttemptFailedError) -> None:
        if time.monotonic() - began >= self.retry.give_up_seconds:
            self._give_up(f"GET {path}", failure)
        self._note(f"the stream of events broke off ({failure}); it is opened again")
        self._sleep(failure.retry_after_seconds)

    def _events(self, path: str, after: int) -> Iterator[ServerSentEvent]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(self.timeout_seconds, read=SILENCE_SECONDS)
        call = Call("GET", path)
        with self._http.stream("GET", self.base_url + path, headers=headers, timeout=timeout) as response:
            if not response.is_success:
                raise _failed(call, response, _read(call, response))
            try:
                yield from EventSource(response).iter_sse()
            except SSEError as error:
                raise MarketAnswerInvalid(f"GET {path}: expected a stream of events; {error}") from error

    def _attempt(self, call: Call) -> Answer:
        url = self.base_url + call.path + (f"?{urlencode(call.query)}" if call.query else "")
        request = self._http.build_request(
            call.method,
            url,
            content=call.body,
            headers={"Content-Type": call.content_type} if call.body else {},
            timeout=call.timeout_seconds or self.timeout_seconds,
        )
        target = request.url.raw_path.decode("ascii")
        self._leaving(call.method, target, call.body)
        if self.signer is not None:
            header = sign_request(self.signer, call.method, target, call.body, int(time.time()))
            request.headers["Authorization"] = header
        try:
            response = self._http.send(request, stream=True)
            try:
                content = _read(call, response)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise _AttemptFailedError(f"{type(error).__name__}: {error}") from error
        if not response.is_success:
            raise _failed(call, response, content)
        return Answer(response.status_code, content)

    def _pause(self, state: RetryCallState) -> float:
        grown = self.retry.first_pause_seconds * _GROWTH ** min(state.attempt_number - 1, 100)
        return max(min(grown, self.retry.most_pause_seconds), _failure(state).retry_after_seconds)

    def _tell(self, state: RetryCallState) -> None:
        self._note(
            f"the market does not answer ({_failure(state)}); next attempt in {state.upcoming_sleep:.1f} s"
        )

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise MarketStopped(f"stopped while waiting for the market at {self.base_url}")

    def _give_up(self, name: str, failure: _AttemptFailedError) -> Answer:
        limit = self.retry.give_up_seconds
        waited = f"no usable answer within {limit:g} s; the last was " if limit else ""
        raise MarketUnreachable(
            f"{name} at {self.base_url}: {waited}{failure}. Is the backend running, and is the address right? "
            "Nothing is lost: orders live on the chain, try again"
        ) from failure


def _failure(state: RetryCallState) -> _AttemptFailedError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, _AttemptFailedError)
    return failure


def _read(call: Call, response: httpx.Response) -> bytes:
    """The body, unless it is larger than the call allows."""
    told = response.headers.get("Content-Length", "")
    parts, size = [], int(told) if told.isascii() and told.isdigit() else 0
    if size <= call.most_bytes:
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > call.most_bytes:
                break
    if size > call.most_bytes:
        raise MarketAnswerInvalid(
            f"{call.name}: the answer has {size} bytes or more, expected at most {call.most_bytes}"
        )
    return b"".join(parts)


def _failed(call: Call, response: httpx.Response, content: bytes) -> Exception:
    """The error of an answer outside 2xx: repeated, or final."""
    status = response.status_code
    code, detail = _problem(response, content)
    if status in REPEATED:
        return _AttemptFailedError(f"status {status} ({code}): {detail}", _retry_after(response))
    return refused(call.name, status, code, detail)


def _problem(response: httpx.Response, content: bytes) -> tuple[str, str]:
    """(code, detail) of a problem document; of anything else the beginning as text."""
    try:
        problem = Problem.read(content, "problem")
    except DocumentError:
        text = content[:300].decode("utf-8", "replace").strip()
        return "http", text or response.reason_phrase or "no words"
    named = [f"{each.field}: {each.message}" for each in problem.errors or ()]
    return problem.code, "; ".join(
        [problem.detail, *(words for words in named if words not in problem.detail)]
    )


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_WISH_SECONDS) if value.isascii() and value.isdigit() else 0.0


def _event_id(event: ServerSentEvent, path: str) -> int:
    if not (event.id.isascii() and event.id.isdigit() and len(event.id) < 20):
        raise MarketAnswerInvalid(f"GET {path}: found the event id {event.id!r:.40}, expected a number")
    return int(event.id)
