"""Rules of contents: the store computes the CID; only those with a part in the market may fill the store."""

from __future__ import annotations

from backend.content.models import ContentRow
from backend.content.repository import ContentRepository
from backend.content.schemas import ContentOut
from backend.contributors.repository import ContributorRepository
from backend.errors import ForbiddenError, InvalidRequestError
from backend.ports import Ports
from provenance.values import Address, Cid


def put(ports: Ports, caller: Address, data: bytes) -> tuple[ContentOut, bool]:
    """Stores bytes; True when they are new. The store may be slow, so no transaction is open around it."""
    if not data:
        raise InvalidRequestError("the body is empty; expected the bytes to store")
    with ports.database.read() as session:
        if caller != ports.broker and not ContributorRepository(session).is_announced(str(caller)):
            raise ForbiddenError(f"{caller} announced no table; POST /v1/contributors first")
    cid = ports.store.put(data)
    with ports.database.write() as session:
        contents = ContentRepository(session)
        is_new = contents.get(str(cid)) is None
        if is_new:
            now = int(ports.clock())
            contents.add(ContentRow(cid=str(cid), size=len(data), uploader=str(caller), created_at=now))
    return ContentOut(cid=str(cid), size=len(data)), is_new


def get(ports: Ports, cid: str) -> bytes:
    """Bytes of a CID, checked by the store. Raises ContentMissingError."""
    return ports.store.get(Cid(cid))
