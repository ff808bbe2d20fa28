"""HTTP of contributors."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.contributors.schemas import Announcement, ContributorList, ContributorOut
from backend.contributors.service import ContributorService, require_stake
from backend.http.context import Caller, PortsHere, ReadSession
from backend.http.wire import DigestText

router = APIRouter(prefix="/v1/contributors", tags=["contributors"])


@router.post("", status_code=201)
def announce(
    caller: Caller, announcement: Announcement, response: Response, ports: PortsHere
) -> ContributorOut:
    """A node says that it holds a table for a collection. It must be registered and staked on chain."""
    # The chain is asked before the transaction starts: a slow chain must not hold the write lock.
    require_stake(ports, caller)
    with ports.database.write() as session:
        service = ContributorService(session)
        shown, is_new = service.announce(caller, announcement, int(ports.clock()))
    response.status_code = 201 if is_new else 200
    return shown


@router.get("")
def index(session: ReadSession, collection: DigestText | None = None) -> ContributorList:
    """Who announced a table, of one collection or of all."""
    return ContributorList(contributors=ContributorService(session).list(collection))
