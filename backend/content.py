"""Bytes by CID. The store computes the CID; only those with a part in the market may bring bytes.

What is brought waits where only the broker's own coordinator reads it. It enters the store, from which everybody
reads, once the chain has recorded its data set: until then the buyer has not paid for it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from fastapi import APIRouter, Response

from backend.contributors import ContributorRepository
from backend.database.engine import Repository
from backend.database.models import ContentRow
from backend.errors import ForbiddenError, InvalidRequestError
from backend.http.context import Body, Caller, CidText, KnownCaller, PortsHere
from backend.ports import Ports
from provenance.api.catalogue import ContentStored
from provenance.api.message import OCTETS
from provenance.errors import ContentMissingError
from provenance.values import Address, Cid

router = APIRouter(prefix="/v1/content", tags=["content"])
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class ContentRepository(Repository[ContentRow]):
    """Who brought which CID."""

    table = ContentRow


def store(ports: Ports, caller: Address, data: bytes) -> tuple[ContentStored, bool]:
    """Keeps bytes until they are released; True when they are new. The disk may be slow: no transaction is open."""
    if not data:
        raise InvalidRequestError("the body is empty; expected the bytes to store")
    with ports.database.read() as session:
        if caller != ports.broker and not ContributorRepository(session).is_announced(str(caller)):
            raise ForbiddenError(f"{caller} announced no table; POST /v1/contributors first")
    cid = ports.waiting.put(data)
    with ports.database.write() as session:
        contents = ContentRepository(session)
        is_new = contents.get(str(cid)) is None
        if is_new:
            now = int(ports.clock())
            contents.add(ContentRow(cid=str(cid), size=len(data), uploader=str(caller), created_at=now))
    return ContentStored(cid=cid, size=len(data)), is_new


@router.post("", status_code=201)
def upload(caller: Caller, body: Body, response: Response, ports: PortsHere) -> ContentStored:
    """Keeps the body; others can read it once its data set is on chain. Private files must be sealed before: the
    backend cannot and does not do it."""
    stored, is_new = store(ports, caller, body)
    response.status_code = 201 if is_new else 200
    return stored


@router.get("/{cid}", response_class=Response)
def download(cid: CidText, caller: KnownCaller, ports: PortsHere) -> Response:
    """The bytes under a CID of a recorded data set, checked by the store. Signed by the broker: of any upload."""
    wanted = Cid(cid)
    if caller == ports.broker and ports.waiting.has(wanted):
        return Response(ports.waiting.get(wanted), media_type=OCTETS, headers={"Cache-Control": "no-store"})
    return Response(ports.store.get(wanted), media_type=OCTETS, headers=_FOREVER)


def drop_older(ports: Ports, waiting: Sequence[Cid], oldest: int | None, awaited: Container[str]) -> None:
    """Drops those of the waiting uploads that came before the time `oldest`, or all where that is None; but none of the
    contributors that are `awaited`."""
    with ports.database.read() as session:
        contents = ContentRepository(session)
        uploads = [row for row in map(contents.get, map(str, waiting)) if row is not None]
    for upload in uploads:
        if upload.uploader not in awaited and (oldest is None or upload.created_at < oldest):
            ports.waiting.drop(Cid(upload.cid))


def release(ports: Ports, cid: Cid) -> None:
    """Moves an upload into the store. Again does nothing. Raises ContentMissingError when it is in neither place."""
    if ports.waiting.has(cid):
        ports.store.put(ports.waiting.get(cid))
        ports.waiting.drop(cid)
    elif not ports.store.has(cid):
        raise ContentMissingError(
            f"{cid}: neither among the uploads nor in the store; restore it from a copy"
        )
