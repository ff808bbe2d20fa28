"""The one HTTP client: a market that restarts is waited for, a refusal is final.

Rules. Connection errors, 408, 425, 429 and 5xx are repeated with growing pauses, `Retry-After` respected, until the
policy gives up; any other answer outside 2xx is raised at once with the market's own words. So every request must be
harmless to repeat; each endpoint of the interface is idempotent by its key (task name, content identifier, order).
With a signer every attempt is signed anew, for a nonce is used once. An answer over its limit is not read to its
end, one that trickles is broken off, and none is decompressed: a few bytes could become all memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay

from provenance.api.errors import (
    MarketAddressError,
    MarketAnswerInvalid,
    MarketStopped,
    MarketUnreachable,
    Problem,
    refused,
)
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
STREAM_SECONDS = 120.0
"""A stream is opened anew after so long in any case, and whoever watches is asked whether it is over."""
MOST_EVENT_BYTES = 1 << 20
SLOWEST_BYTES_A_SECOND = 16_384
"""An answer has its timeout, and beyond it as long as its bytes take at this speed."""
_MOST_WORDS = 4000
_MOST_PROBLEM_BYTES = 1 << 20
_GROWTH = 1.5
_LONGEST_RETRY_AFTER_SECONDS = 60.0


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
        host = _host(base_url)
        # A proxy of the environment serves the outside world; a market on this machine is spoken to directly.
        trust = host not in LOOPBACK
        self._http = httpx.Client(
            trust_env=trust, limits=httpx.Limits(keepalive_expiry=20), headers={"Accept-Encoding": "identity"}
        )

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
        failing_since: float | None = None
        while True:
            try:
                with self._opened(path, after) as source:
                    failing_since = None
                    for event in source:
                        if not event.data:
                            continue  # `retry:` alone: httpx-sse hands it on, the standard does not call it an event
                        after = _event_id(event, after, path)
                        yield StreamEvent(after, event.event, event.data)
            except httpx.ReadTimeout:
                pass  # a silent stretch: nothing was lost
            except (httpx.TransportError, _AttemptFailedError) as error:
                failing_since = time.monotonic() if failing_since is None else failing_since
                self._wait_or_give_up(path, failing_since, _failed_attempt(error))
                continue
            if is_over():
                return
            self._sleep(self.retry.first_pause_seconds)

    def _wait_or_give_up(self, path: str, failing_since: float, failure: _AttemptFailedError) -> None:
        if time.monotonic() - failing_since >= self.retry.give_up_seconds:
            self._give_up(f"GET {path}", failure)
        self._note(f"the stream of events broke off ({failure}); it is opened again")
        self._sleep(max(failure.retry_after_seconds, self.retry.first_pause_seconds))

    @contextmanager
    def _opened(self, path: str, after: int) -> Iterator[Iterator[ServerSentEvent]]:
        """The events of one connection. An answer that never begins is a failure, a silence after that is none."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(self.timeout_seconds, read=SILENCE_SECONDS)
        call = Call("GET", path)
        request = self._http.build_request("GET", self.base_url + path, headers=headers, timeout=timeout)
        try:
            response = self._http.send(request, stream=True)
        except httpx.ReadTimeout as error:
            raise _failed_attempt(error) from error
        with closing(response):
            if not response.is_success:
                raise _failed(call, response, self.timeout_seconds)
            yield _events_of(call, response)

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
            with closing(self._http.send(request, stream=True)) as response:
                if not response.is_success:
                    raise _failed(call, response, self.timeout_seconds)
                return Answer(
                    response.status_code, _read(call, response, call.timeout_seconds or self.timeout_seconds)
                )
        except httpx.TransportError as error:
            raise _failed_attempt(error) from error

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


def _failed_attempt(error: httpx.TransportError | _AttemptFailedError) -> _AttemptFailedError:
    if isinstance(error, _AttemptFailedError):
        return error
    return _AttemptFailedError(f"{type(error).__name__}: {error}")


def _host(base_url: str) -> str:
    """The host of a market's address. Raises MarketAddressError."""
    advice = "expected http://HOST[:PORT] or https://HOST[:PORT]"
    try:
        parts = urlsplit(base_url)
        url, _ = httpx.URL(base_url), parts.port
    except (httpx.InvalidURL, ValueError) as error:
        raise MarketAddressError(
            f"the market's address {base_url!r:.80} cannot be read ({error}); {advice}"
        ) from error
    if url.scheme not in ("http", "https") or not url.host or parts.query or parts.fragment:
        raise MarketAddressError(f"the market's address is {base_url!r:.80}, {advice}")
    if url.userinfo:
        # It would go out in every request and stand in every error.
        raise MarketAddressError(f"the market's address has a user name or password in it; {advice}")
    return url.host


def _read(call: Call, response: httpx.Response, patience_seconds: float) -> bytes:
    """The body of an answer, unless it is larger than the call allows, or comes slower than anybody's line."""
    _refuse_encoded(call, response)
    told = response.headers.get("Content-Length", "")
    size = int(told) if told.isascii() and told.isdigit() else 0
    content = _begin(response, call.most_bytes + 1, patience_seconds) if size <= call.most_bytes else b""
    size = max(size, len(content))
    if size > call.most_bytes:
        raise MarketAnswerInvalid(
            f"{call.name}: the answer has {size} bytes or more, expected at most {call.most_bytes}"
        )
    return content


def _begin(response: httpx.Response, most_bytes: int, patience_seconds: float) -> bytes:
    """The body, or its beginning of about `most_bytes`. Raises _AttemptFailedError for one that trickles."""
    parts: list[bytes] = []
    size, began = 0, time.monotonic()
    for part in response.iter_raw():
        parts.append(part)
        size += len(part)
        if size >= most_bytes:
            break
        if time.monotonic() - began > patience_seconds + size / SLOWEST_BYTES_A_SECOND:
            raise _AttemptFailedError(
                f"the answer trickles: {size} bytes in {time.monotonic() - began:.0f} s"
            )
    return b"".join(parts)


def _refuse_encoded(call: Call, response: httpx.Response) -> None:
    found = response.headers.get("Content-Encoding", "identity")
    if found.strip().lower() != "identity":
        raise MarketAnswerInvalid(
            f"{call.name}: found the content encoding {found!r:.40}, expected none: it was not asked for"
        )


def _events_of(call: Call, response: httpx.Response) -> Iterator[ServerSentEvent]:
    _refuse_encoded(call, response)
    pieces = _Pieces(call, response)
    try:
        for event in EventSource(httpx.Response(200, headers=response.headers, stream=pieces)).iter_sse():
            pieces.since_event = 0
            yield event
    except SSEError as error:
        raise MarketAnswerInvalid(f"{call.name}: expected a stream of events; {error}") from error


class _Pieces(httpx.SyncByteStream):
    """The bytes of a stream for STREAM_SECONDS, at most MOST_EVENT_BYTES between two events."""

    def __init__(self, call: Call, response: httpx.Response) -> None:
        self._call, self._response = call, response
        self._until = time.monotonic() + STREAM_SECONDS
        self.since_event = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._response.iter_raw():
            self.since_event += len(piece)
            if self.since_event > MOST_EVENT_BYTES:
                raise MarketAnswerInvalid(
                    f"{self._call.name}: {self.since_event} bytes without an event, expected at most {MOST_EVENT_BYTES}"
                )
            yield piece
            if time.monotonic() > self._until:
                return


def _failed(call: Call, response: httpx.Response, patience_seconds: float) -> Exception:
    """The error of an answer outside 2xx: repeated, or final."""
    status = response.status_code
    code, detail = _problem(response, _begin(response, _MOST_PROBLEM_BYTES, patience_seconds))
    if status in REPEATED:
        return _AttemptFailedError(f"status {status} ({code}): {detail}", _retry_after(response))
    return refused(call.name, status, code, detail)


def _problem(response: httpx.Response, content: bytes) -> tuple[str, str]:
    """(code, detail) of a problem document; of anything else the beginning as text."""
    try:
        problem = Problem.read(content, "problem")
    except DocumentError:
        text = (
            "" if "Content-Encoding" in response.headers else content[:300].decode("utf-8", "replace").strip()
        )
        return "http", text or response.reason_phrase or "no words"
    named = [f"{each.field}: {each.message}" for each in problem.errors or ()]
    words = "; ".join([problem.detail, *(each for each in named if each not in problem.detail)])
    return problem.code[:40], words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}..."


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_RETRY_AFTER_SECONDS) if value.isascii() and value.isdigit() else 0.0


def _event_id(event: ServerSentEvent, after: int, path: str) -> int:
    if not (event.id.isascii() and event.id.isdigit() and len(event.id) < 20):
        raise MarketAnswerInvalid(f"GET {path}: found the event id {event.id!r:.40}, expected a number")
    if int(event.id) <= after:
        raise MarketAnswerInvalid(
            f"GET {path}: found the event id {event.id} after {after}, expected a larger one"
        )
    return int(event.id)
