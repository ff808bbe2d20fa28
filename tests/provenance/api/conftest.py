"""A market on loopback that says what the test wrote down."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import cast

import pytest

from provenance.api.client import RetryPolicy
from provenance.api.market import MarketClient
from provenance.crypto.signing import Signer
from tests.waiting import HANG_SECONDS

SIGNER = Signer(bytes([7]) * 32)
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


class Server(ThreadingHTTPServer):
    """A client may leave in the middle of an answer; any other error of the server is shown."""

    daemon_threads = True

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Script:
    """Answers in turn, the last one for ever; requests as (method, target, body, headers)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, bytes, dict[str, str]]] = []

    def say(self, status: int, body: object = None, **headers: str) -> None:
        """JSON, or with bytes exactly these. `Content_Length` replaces the true one; an empty header is left out."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.answers.append((status, headers, data))

    def problem(self, status: int, code: str, detail: str, **headers: str) -> None:
        problem = {"type": f"urn:tessera:problem:{code}", "title": "No", "code": code, "detail": detail}
        self.say(status, problem | {"status": status}, **headers)

    def events(self, *lines: str, **headers: str) -> None:
        body = "".join(line + "\n" for line in lines).encode()
        self.say(200, body, Content_Type="text/event-stream", **headers)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address, as long as the context lasts."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.requests.append((self.command, self.path, body, dict(self.headers)))
                status, headers, data = (
                    script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
                )
                headers = {"Content_Length": str(len(data))} | headers if status != 204 else headers
                self.send_response(status)
                for name, value in headers.items():
                    if value:
                        self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = headers.get("Content_Length") != str(len(data))

            do_GET = do_POST = do_PUT = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = Server(("127.0.0.1", 0), Handler)
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
    monkeypatch.setattr("provenance.api.client.time", made)
    monkeypatch.setattr("tenacity.time", made)
    return made


@pytest.fixture
def client(script: Script, clock: Clock) -> Iterator[MarketClient]:
    stop = cast(threading.Event, clock)
    with (
        script.served() as url,
        MarketClient(url, signer=SIGNER, retry=PATIENT, stop=stop, timeout_seconds=HANG_SECONDS) as made,
    ):
        yield made
