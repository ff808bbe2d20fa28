"""The check behind every verified read: whole content against the CID asked for."""

from __future__ import annotations

from provenance.errors import ContentDamagedError
from provenance.store.cid import cid_of
from provenance.values import Cid


def check_content(cid: Cid, data: bytes) -> bytes:
    """`data` if a file with these bytes has the CID `cid` in our profile, else ContentDamagedError."""
    found = cid_of(data)
    if found != cid:
        raise ContentDamagedError(
            f"{cid}: found {len(data)} bytes whose CID is {found}; the content was changed or is of another "
            "profile than unixfs-v1-2025; fetch it from another store"
        )
    return data
