"""Body limits, decided from Content-Length before anything is read. A body without a stated length is refused."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import TooLargeError
from backend.http.problems import api_problem, problem

_BYTES_PREFIXES = ("/v1/content", "/v1/tasks")


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """ASGI middleware. Content and tasks may carry `content_bytes`, everything else `json_bytes`."""

    app: ASGIApp
    json_bytes: int
    content_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers:
            response = problem(411, "length-required", "Length required", "send a Content-Length header")
            await response(scope, receive, send)
            return
        limit = self.content_bytes if scope["path"].startswith(_BYTES_PREFIXES) else self.json_bytes
        # The HTTP server has checked that this is a number and that the body has exactly this length.
        length = int(headers.get(b"content-length", b"0"))
        if length > limit:
            refusal = api_problem(TooLargeError(f"the body has {length} bytes, expected at most {limit}"))
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)
