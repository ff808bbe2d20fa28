"""Collections: the schemas that can be ordered, with their price and privacy ceiling.

A collection's id is the digest of its document. A name stands for one document for ever.
"""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.database.engine import Repository
from backend.database.models import CollectionRow, ContributorRow
from backend.errors import ConflictError, NotFoundError
from backend.http.context import Broker, DigestText, PortsHere, ReadSession, WriteSession
from provenance.api.catalogue import CollectionList, CollectionView
from provenance.api.message import WireCollection
from provenance.canonical import decode, decode_object, encode
from provenance.record.collection import Collection
from provenance.values import Digest

router = APIRouter(prefix="/v1/collections", tags=["collections"])


class CollectionRepository(Repository[CollectionRow]):
    """Reads and writes collections in one transaction."""

    table = CollectionRow

    def by_name(self, name: str) -> CollectionRow | None:
        return self.session.scalar(select(CollectionRow).where(CollectionRow.name == name))

    def contributor_counts(self) -> dict[str, int]:
        """Announced contributors by collection id."""
        counts = select(ContributorRow.collection, func.count()).group_by(ContributorRow.collection)
        return {row[0]: row[1] for row in self.session.execute(counts)}


class CollectionService:
    """One transaction's view of what can be ordered."""

    def __init__(self, session: Session) -> None:
        self._rows = CollectionRepository(session)

    def create(self, collection: Collection, now: int) -> tuple[CollectionView, bool]:
        """Stores the document; True when it is new. A changed offer needs a new name."""
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
        return CollectionView(id=collection.digest, contributors=0, document=collection.document()), True

    def require(self, collection_id: str) -> Collection:
        """The parsed collection. Raises NotFoundError."""
        row = self._rows.get(collection_id)
        if row is None:
            raise NotFoundError(f"no collection {collection_id}; GET /v1/collections lists them")
        collection = Collection.parse(decode(row.document))
        assert collection.digest == Digest.parse(row.id)
        return collection

    def show(self, collection_id: str) -> CollectionView:
        """One collection with its number of contributors. Raises NotFoundError."""
        collection = self.require(collection_id)
        count = self._rows.contributor_counts().get(collection_id, 0)
        return CollectionView(id=collection.digest, contributors=count, document=collection.document())

    def list(self) -> tuple[CollectionView, ...]:
        """All collections, by name."""
        counts = self._rows.contributor_counts()
        rows = self._rows.page(select(CollectionRow).order_by(CollectionRow.name))
        return tuple(
            CollectionView(
                id=Digest.parse(row.id),
                contributors=counts.get(row.id, 0),
                document=decode_object(row.document),
            )
            for row in rows
        )


@router.post("", status_code=201)
def create(
    _broker: Broker, collection: WireCollection, response: Response, ports: PortsHere, session: WriteSession
) -> CollectionView:
    """Offers a collection; the body is its document."""
    created, is_new = CollectionService(session).create(collection, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return created


@router.get("")
def index(session: ReadSession) -> CollectionList:
    """All collections, by name."""
    return CollectionList(collections=CollectionService(session).list())


@router.get("/{collection_id}")
def show(collection_id: DigestText, session: ReadSession) -> CollectionView:
    """One collection."""
    return CollectionService(session).show(collection_id)
