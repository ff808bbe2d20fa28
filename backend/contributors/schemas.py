"""Bodies of contributors."""

from __future__ import annotations

from pydantic import Field

from backend.http.wire import DigestText, JsonObject, Wire

MAX_ROWS = 2**53 - 1


class Announcement(Wire):
    collection: DigestText
    declared_rows: int = Field(ge=1, le=MAX_ROWS)
    metadata: JsonObject = Field(default_factory=dict, max_length=50)


class ContributorOut(Wire):
    collection: str
    contributor: str
    declared_rows: int
    metadata: JsonObject
    announced_at: int


class ContributorList(Wire):
    contributors: list[ContributorOut]
