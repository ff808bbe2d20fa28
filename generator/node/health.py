"""A health page on loopback: what the node does now, for supervisors and people.  Nothing of the table is in
it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from generator.errors import SettingsError
from generator.files import write_whole

FILE = "health.json"
Report = dict[str, str | int | bool]


class HealthPage:
    """GET /health on 127.0.0.1 answers the report as JSON; its port stands in health.json of the folder."""

    def __init__(self, port: int, report: Callable[[], Report], folder: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/health"
                body = json.dumps(report() if found else {"error": "only /health is here"}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Silent: a probe every few seconds is not news."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise SettingsError(
                f"health port {port} cannot be used ({error.strerror}): choose another with --health-port, "
                "0 for any free one, -1 for none"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._folder = folder
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> HealthPage:
        self._thread.start()
        write_whole(self._folder / FILE, json.dumps({"port": self.port}).encode())
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
        (self._folder / FILE).unlink(missing_ok=True)
