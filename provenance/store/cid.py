"""CIDs of content. A file of at most 1 MiB is one raw block, so its CID follows from its SHA-256 alone."""

from __future__ import annotations

from provenance.store.unixfs import CHUNK_BYTES, file_cid
from provenance.values import DAG_PB_CODEC, RAW_CODEC, Cid, Digest, sha256


def cid_of_digest(digest: bytes) -> Cid:
    """The CID of the file of at most 1 MiB whose SHA-256 is `digest` (a manifest's, from the chain)."""
    return Cid.of_digest(Digest(digest), RAW_CODEC)


def cid_of(data: bytes) -> Cid:
    """The CID of a file with these bytes, of any size."""
    return cid_of_digest(sha256(data)) if len(data) <= CHUNK_BYTES else file_cid(data)


__all__ = ["DAG_PB_CODEC", "RAW_CODEC", "Cid", "cid_of", "cid_of_digest"]
