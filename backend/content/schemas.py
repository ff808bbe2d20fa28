"""Bodies of contents."""

from __future__ import annotations

from backend.http.wire import Wire


class ContentOut(Wire):
    cid: str
    size: int
