"""The published files of a shard and of a score, as a buyer or auditor opens them.

A private order's files are sealed under one fresh content key a shard, wrapped to the buyer's delivery
key; an open order's files are published as they are. Opened bytes are always compared with the digests in
the signed content document, because AES-GCM does not commit to its key. Normative text:
docs/spec/sealing.md.
"""

from __future__ import annotations

from typing import Protocol

from provenance.crypto.resold_keys import ContentKeys, resold_keys
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey, FileKind, file_label, open_file
from provenance.errors import IntegrityError, SealError, WrongKeyError
from provenance.record.manifest import Manifest
from provenance.record.receipts import ContentFile, ScoreContent
from provenance.store.ports import ContentStore
from provenance.values import Digest, sha256


class SalesReads(Protocol):
    """The part of the chain that knows of resale."""

    def resold_keys(self, dataset: int, delivery_key: Digest) -> bytes | None:
        """The wrapped keys that a seller delivered for `delivery_key`; None when there are none."""
        ...


def wrapped_keys(manifest: Manifest) -> list[tuple[int, bytes]]:
    """(shard, wrapped key) of all that is sealed, shards first, the score last; empty for an open data set."""
    found = [(shard.shard, shard.content.wrapped_key) for shard in manifest.shards]
    found.append((SCORE_SHARD, manifest.score.wrapped_key))
    return [(shard, key) for shard, key in found if key is not None]


def content_keys(chain: SalesReads, dataset: int, manifest: Manifest, own: DeliveryKey) -> ContentKeys:
    """What opens a data set for the holder of `own`: the key itself, or what a seller delivered for it.

    Raises WrongKeyError when the data set was neither ordered with this key nor bought with it.
    """
    sealed_for = manifest.terms.delivery_key
    if own.public == sealed_for:
        return own
    bundle = chain.resold_keys(dataset, own.public)
    if bundle is None:
        raise WrongKeyError(
            f"delivery key {own.public} is not the one of data set {dataset}: it was ordered with {sealed_for}, and no "
            "seller delivered keys for yours; name the key file that you ordered or bought it with"
        )
    return resold_keys(own, sealed_for, bundle, [shard for shard, _ in wrapped_keys(manifest)])


def content_key(
    order: Digest, shard: int, wrapped: bytes | None, delivery_key: ContentKeys | None
) -> bytes | None:
    """The content key; None for open files. Raises SealError without the right delivery key."""
    if wrapped is None:
        return None
    if delivery_key is None:
        raise SealError("the files are sealed to the buyer; give the delivery key file of the order")
    return delivery_key.unwrap(wrapped, order, shard)


def fetch(store: ContentStore, file: ContentFile, what: str) -> bytes:
    """The published bytes of a file. Raises IntegrityError when they are not those that were signed."""
    data = store.get(file.cid)
    if not file.matches(data):
        raise IntegrityError(
            f"{what}: found {len(data)} bytes with SHA-256 {sha256(data)}, signed were {file.size} "
            f"bytes with {file.sha256}; fetch it from another store"
        )
    return data


def unseal(
    key: bytes | None, data: bytes, file: ContentFile, order: Digest, shard: int, kind: FileKind
) -> bytes:
    """Opens fetched bytes and compares them with the signed digest of the plain file."""
    plain = data if key is None else open_file(key, data, file_label(order, shard, kind))
    if not file.matches_plain(plain):
        raise IntegrityError(
            f"the opened {kind} file of shard {shard} has SHA-256 {sha256(plain)}, the receipt says "
            f"{file.plain_sha256}; its contributor signed other bytes than it sealed"
        )
    return plain


def open_score(
    store: ContentStore, order: Digest, content: ScoreContent, delivery_key: ContentKeys | None
) -> bytes:
    """The score document, fetched, opened and compared with its digest."""
    key = content_key(order, SCORE_SHARD, content.wrapped_key, delivery_key)
    data = fetch(store, content.file, "score file")
    return unseal(key, data, content.file, order, SCORE_SHARD, "score")
