"""HTTP of collections."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

from backend.collections.schemas import CollectionList, CollectionOut
from backend.collections.service import CollectionService
from backend.errors import InvalidRequestError
from backend.http.context import Body, Broker, PortsHere, ReadSession, WriteSession
from backend.http.wire import DigestText

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.post("", status_code=201)
def create(
    _broker: Broker, body: Body, response: Response, ports: PortsHere, session: WriteSession
) -> CollectionOut:
    """Offers a collection; the body is its document."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error
    created, is_new = CollectionService(session).create(document, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return created


@router.get("")
def index(session: ReadSession) -> CollectionList:
    """All collections, by name."""
    return CollectionList(collections=CollectionService(session).list())


@router.get("/{collection_id}")
def show(collection_id: DigestText, session: ReadSession) -> CollectionOut:
    """One collection."""
    return CollectionService(session).show(collection_id)
