"""What every content store promises.

`get` returns only bytes that hash to the CID asked for, whatever the store underneath does. `put` computes
the CID itself (profile unixfs-v1-2025, docs/spec/content.md) and is idempotent. A store is not trusted.
"""

from __future__ import annotations

from typing import Protocol

from provenance.values import Cid


class ContentStore(Protocol):
    """Bytes by content identifier."""

    def put(self, data: bytes) -> Cid:
        """Keeps `data` and returns its CID. Raises StoreUnavailableError if it cannot be kept."""
        ...

    def get(self, cid: Cid) -> bytes:
        """The bytes under `cid`, verified. Raises ContentMissingError, ContentDamagedError (the store
        returned something else) or StoreUnavailableError."""
        ...

    def has(self, cid: Cid) -> bool:
        """Whether the store itself holds `cid` (it is not verified here). Raises StoreUnavailableError."""
        ...

    def size(self, cid: Cid) -> int:
        """Bytes of the content under `cid`. Raises ContentMissingError or StoreUnavailableError."""
        ...
