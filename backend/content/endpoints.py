"""HTTP of contents: bytes in, bytes out."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.content import service
from backend.content.schemas import ContentOut
from backend.http.context import Body, Caller, PortsHere
from backend.http.wire import CidText

router = APIRouter(prefix="/v1/content", tags=["content"])
OCTETS = "application/octet-stream"
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@router.post("", status_code=201)
def upload(caller: Caller, body: Body, response: Response, ports: PortsHere) -> ContentOut:
    """Stores the body. Private files must be sealed before: the backend cannot and does not do it."""
    stored, is_new = service.put(ports, caller, body)
    response.status_code = 201 if is_new else 200
    return stored


@router.get("/{cid}", response_class=Response)
def download(cid: CidText, ports: PortsHere) -> Response:
    """The bytes under a CID."""
    return Response(service.get(ports, cid), media_type=OCTETS, headers=_FOREVER)
