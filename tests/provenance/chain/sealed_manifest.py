"""A manifest whose keys belong to an order on chain, for sales of data sets that the chain has and no store."""

from __future__ import annotations

from dataclasses import replace

from provenance.crypto.seal import SCORE_SHARD, key_commitment, wrap_key
from provenance.record.manifest import Manifest
from provenance.store.unixfs import cid_of
from provenance.values import Digest
from tests.memory import MemoryStore
from tests.provenance.verify.publication import KEY, Builder


def content_key(shard: int) -> bytes:
    """The key that the files of a shard, or the score file, are sealed with."""
    return shard.to_bytes(32, "big")


def sealed_manifest(
    order: Digest, *, commits_to_keys: bool = True, released: MemoryStore | None = None
) -> Manifest:
    """Sealed for the delivery key KEY, two shards and a score. released: where the shards' wrapped keys are put; left
    out, they stand in the content documents, as in data sets of before."""
    base = Builder().build().manifest

    def key(shard: int) -> tuple[bytes, Digest | None]:
        found = content_key(shard)
        committed = key_commitment(found, order, shard) if commits_to_keys else None
        return wrap_key(found, KEY.public, order, shard), committed

    shards = []
    for each in base.shards:
        wrapped, committed = key(each.shard)
        content = replace(each.content, wrapped_key=wrapped, key_commitment=committed, wrapped_key_cid=None)
        if released is not None:
            released.put(wrapped)
            content = replace(content, wrapped_key=None, wrapped_key_cid=cid_of(wrapped))
        shards.append(replace(each, signed_content=content))
    wrapped, committed = key(SCORE_SHARD)
    score = replace(base.score, wrapped_key=wrapped, key_commitment=committed)
    return replace(base, order=order, shards=tuple(shards), score=score)
