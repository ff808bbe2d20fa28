"""Bytes by CID. The store computes the CID; only those with a part in the market may fill the store.

The backend stores what it is given and never holds a key: private files must be sealed before.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.contributors import ContributorRepository
from backend.database.engine import Repository
from backend.database.models import ContentRow
from backend.errors import ForbiddenError, InvalidRequestError
from backend.http.context import Body, Caller, CidText, PortsHere
from backend.ports import Ports
from provenance.api.catalogue import ContentStored
from provenance.api.message import OCTETS
from provenance.values import Address, Cid

router = APIRouter(prefix="/v1/content", tags=["content"])
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class ContentRepository(Repository[ContentRow]):
    """Who brought which CID."""

    table = ContentRow


def store(ports: Ports, caller: Address, data: bytes) -> tuple[ContentStored, bool]:
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
    return ContentStored(cid=cid, size=len(data)), is_new


@router.post("", status_code=201)
def upload(caller: Caller, body: Body, response: Response, ports: PortsHere) -> ContentStored:
    """Stores the body. Private files must be sealed before: the backend cannot and does not do it."""
    stored, is_new = store(ports, caller, body)
    response.status_code = 201 if is_new else 200
    return stored


@router.get("/{cid}", response_class=Response)
def download(cid: CidText, ports: PortsHere) -> Response:
    """The bytes under a CID, checked by the store."""
    return Response(ports.store.get(Cid(cid)), media_type=OCTETS, headers=_FOREVER)
