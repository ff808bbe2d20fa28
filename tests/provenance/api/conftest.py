"""A market on loopback that says what the test wrote down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from provenance.api.client import RetryPolicy
from provenance.api.market import MarketClient
from provenance.crypto.signing import Signer

SIGNER = Signer(bytes([7]) * 32)
FAST = RetryPolicy(first_pause_seconds=0.01, most_pause_seconds=0.02, give_up_seconds=0.3)


class Script:
    """Answers in turn, the last one for ever; requests as (method, target, body, headers)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, bytes, dict[str, str]]] = []

    def say(self, status: int, body: object = None, **headers: str) -> None:
        """JSON, or with bytes exactly these. A header `Content_Length` replaces the true one."""
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
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = headers.get("Content_Length") != str(len(data))

            do_GET = do_POST = do_PUT = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def client(script: Script) -> Iterator[MarketClient]:
    with script.served() as url, MarketClient(url, signer=SIGNER, retry=FAST) as made:
        yield made
