"""Bodies of collections. The document itself is read by provenance.record.collection."""

from __future__ import annotations

from backend.http.wire import JsonObject, Wire


class CollectionOut(Wire):
    id: str
    contributors: int
    document: JsonObject


class CollectionList(Wire):
    collections: list[CollectionOut]
