"""A content store in memory: the twin of the real ones, for tests and for checking bytes already at hand."""

from __future__ import annotations

from provenance.errors import ContentMissingError
from provenance.store.unixfs import check_content, cid_of
from provenance.values import Cid


class MemoryStore:
    """A dictionary that keeps the promises of `ContentStore`."""

    def __init__(self) -> None:
        self._contents: dict[Cid, bytes] = {}

    def put(self, data: bytes) -> Cid:
        """Keeps a copy of `data`."""
        cid = cid_of(data)
        self._contents[cid] = bytes(data)
        return cid

    def get(self, cid: Cid) -> bytes:
        """The bytes under `cid`; ContentMissingError if they were never put."""
        return check_content(cid, self._find(cid))

    def has(self, cid: Cid) -> bool:
        """Whether `cid` was put."""
        return cid in self._contents

    def size(self, cid: Cid) -> int:
        """Bytes under `cid`."""
        return len(self._find(cid))

    def _find(self, cid: Cid) -> bytes:
        try:
            return self._contents[cid]
        except KeyError as error:
            raise ContentMissingError(
                f"{cid}: not in this store; put it first or ask another store"
            ) from error
