"""Rules of collections: the id is the digest of the document; a name stands for one document for ever."""

from __future__ import annotations

from sqlalchemy.orm import Session

from backend.collections.models import CollectionRow
from backend.collections.repository import CollectionRepository
from backend.collections.schemas import CollectionOut
from backend.errors import ConflictError, NotFoundError
from backend.http.wire import JsonObject
from provenance.canonical import decode, encode
from provenance.record.collection import Collection
from provenance.values import Digest


class CollectionService:
    """What can be ordered."""

    def __init__(self, session: Session) -> None:
        self._rows = CollectionRepository(session)

    def create(self, document: object, now: int) -> tuple[CollectionOut, bool]:
        """Stores the document; True when it is new. A changed offer needs a new name."""
        collection = Collection.parse(document)
        existing = self._rows.by_name(collection.name)
        if existing is not None:
            if existing.id != str(collection.digest):
                raise ConflictError(
                    f"the name {collection.name!r} stands for collection {existing.id}; choose another name"
                )
            return self.show(existing.id), False
        data = encode(collection.document())
        self._rows.add(
            CollectionRow(id=str(collection.digest), name=collection.name, document=data, created_at=now)
        )
        return CollectionOut(id=str(collection.digest), contributors=0, document=collection.document()), True

    def require(self, collection_id: str) -> Collection:
        """The parsed collection. Raises NotFoundError."""
        row = self._rows.get(collection_id)
        if row is None:
            raise NotFoundError(f"no collection {collection_id}; GET /v1/collections lists them")
        collection = Collection.parse(decode(row.document))
        assert collection.digest == Digest.parse(row.id)
        return collection

    def show(self, collection_id: str) -> CollectionOut:
        """One collection as the interface shows it."""
        collection = self.require(collection_id)
        count = self._rows.contributor_counts().get(collection_id, 0)
        return CollectionOut(id=collection_id, contributors=count, document=collection.document())

    def list(self) -> list[CollectionOut]:
        counts = self._rows.contributor_counts()
        return [
            CollectionOut(id=row.id, contributors=counts.get(row.id, 0), document=_document(row))
            for row in self._rows.all()
        ]


def _document(row: CollectionRow) -> JsonObject:
    document = decode(row.document)
    assert isinstance(document, dict)
    return document
