"""What opens the files of a data set: keys, in whose hands they are, and what to do with a shard that nothing opens.

A private order's files are sealed under one fresh content key a shard, wrapped to the buyer's delivery key; an open
order's files are published as they are. The wrapped key is a file of its own, released when the record stands on chain.
Opened bytes are always compared with the digests that were signed. Normative text: docs/spec/sealing.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, Protocol

from provenance.canonical import decode
from provenance.chain.deployment import Deployment
from provenance.chain.ports import DatasetOnChain, Purchase
from provenance.crypto.resold_keys import (
    ContentKeys,
    ResoldKeys,
    SaleKey,
    SalePlace,
    opened_keys,
    unwrapped_keys,
)
from provenance.crypto.seal import (
    SCORE_SHARD,
    DeliveryKey,
    FileKind,
    file_label,
    key_commitment,
    open_file,
)
from provenance.errors import (
    ContentMissingError,
    IntegrityError,
    KeyNotReleasedError,
    MalformedError,
    ProvenanceError,
    SealError,
    WrongKeyError,
)
from provenance.record.manifest import Manifest, ManifestShard
from provenance.record.receipts import ContentFile, SealedKey, ShardContent
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of_digest
from provenance.values import Digest, sha256


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that could not be had, or not as it was promised, and why."""

    words: str


class SalesReads(Protocol):
    """The part of the chain that knows of resale, and of models that were shown."""

    @property
    def deployment(self) -> Deployment: ...

    def purchases(self, dataset: int) -> Sequence[Purchase]:
        """Every purchase of the data set by resale, the oldest first."""
        ...

    def shown_models(self, order_id: Digest) -> Mapping[int, bytes]:
        """Models in clear by shard, as their contributors showed them when they were demanded."""
        ...


def published_content(store: ContentStore, manifest: Manifest, shard: ManifestShard) -> ShardContent | Absent:
    """Where the files of a shard are: as the manifest says, or, for one that was published by its receipt alone, as the
    document says that its contributor brought later. Late files that are not what that document promises, or not what
    the order asks for, count as not delivered: nobody had agreed to them. Raises StoreUnavailableError."""
    if isinstance(shard.signed_content, ShardContent):
        return shard.signed_content
    try:
        found = ShardContent.parse(decode(store.get(cid_of_digest(shard.content_digest))))
        is_delivered = found.digest == shard.content_digest and _holds(
            store, found, is_open=manifest.terms.is_open
        )
    except (ContentMissingError, IntegrityError, MalformedError):
        is_delivered = False
    return found if is_delivered else Absent(_undelivered(shard))


def _holds(store: ContentStore, content: ShardContent, *, is_open: bool) -> bool:
    """Whether the files of a content document are in the store, and of the form that private or open orders have."""
    if content.sealing_fault(is_open=is_open) is not None:
        return False
    for file in (content.rows, content.model):
        fetch_file(store, file, "late file")
    return True


def _undelivered(shard: ManifestShard) -> str:
    return (
        f"contributor {shard.contributor} has not delivered the files of shard {shard.shard}, which was published by "
        "its receipt alone"
    )


def demand_command(dataset: int, shard: int) -> str:
    """What has a contributor show the model of a shard on chain, or pay."""
    return f"`tessera demand --dataset {dataset} --shard {shard} --model --wallet WALLET`"


def closed_shards(
    store: ContentStore,
    manifest: Manifest,
    shards: Iterable[ManifestShard],
    keys: ContentKeys | ProvenanceError | None,
) -> dict[int, str]:
    """Those of `shards` that `keys` cannot open, whatever else is right: their files or their wrapped key never came,
    or it is not the key that was committed to. Each with the reason in words. Raises StoreUnavailableError."""
    reasons = {each.shard: _closed(store, manifest, each, keys) for each in shards}
    return {shard: reason for shard, reason in reasons.items() if reason is not None}


def _closed(
    store: ContentStore, manifest: Manifest, shard: ManifestShard, keys: ContentKeys | ProvenanceError | None
) -> str | None:
    content = published_content(store, manifest, shard)
    if isinstance(content, Absent):
        return content.words
    sealed = content.sealed_key
    if sealed is None or sealed.cid is None:
        return None
    if isinstance(keys, ResoldKeys):
        return None if shard.shard in keys.keys else f"the key of shard {shard.shard} was no part of the sale"
    if not isinstance(keys, DeliveryKey):
        return None
    try:
        key = content_key(keys, fetch_key(store, sealed), manifest.order, shard.shard)
    except KeyNotReleasedError:
        return f"contributor {shard.contributor} has not released the key of shard {shard.shard}"
    except SealError:
        return (
            f"contributor {shard.contributor} released a key of shard {shard.shard} that nothing here opens"
        )
    if sealed.commitment not in (None, key_commitment(key, manifest.order, shard.shard)):
        return f"contributor {shard.contributor} released another key of shard {shard.shard} than it committed to"
    return None


def fetch_file(store: ContentStore, file: ContentFile, what: str) -> bytes:
    """The published bytes of a file; `what` names it in errors. Raises ContentMissingError, StoreUnavailableError, or
    IntegrityError when they are not those that were signed.
    """
    data = store.get(file.cid)
    if not file.matches(data):
        raise IntegrityError(
            f"{what}: found {len(data)} bytes with SHA-256 {sha256(data)}, signed were {file.size} "
            f"bytes with {file.sha256}; fetch it from another store"
        )
    return data


def fetch_opened(
    store: ContentStore,
    manifest: Manifest,
    shard: int,
    kind: Literal["rows", "model"],
    keys: ContentKeys | None,
) -> bytes:
    """One file of a shard, fetched and in clear, with the digest that its contributor signed. Raises as `fetch_file`
    and `opened` do.
    """
    content = published_content(store, manifest, manifest.shard(shard))
    if isinstance(content, Absent):
        raise ContentMissingError(content.words)
    file = content.rows if kind == "rows" else content.model
    published = fetch_file(store, file, f"{kind} of shard {shard}")
    sealed_key = content.sealed_key
    if sealed_key is not None and isinstance(keys, DeliveryKey):
        sealed_key = fetch_key(store, sealed_key)
    return opened(file, published, sealed_key, keys, (manifest.order, shard, kind))


def fetch_key(store: ContentStore, key: SealedKey) -> SealedKey:
    """The key with its wrapped bytes, where they lie in a file of their own; as it is while that is not to be had.
    Raises StoreUnavailableError."""
    if key.cid is None:
        return key
    try:
        return key._replace(wrapped=store.get(key.cid))
    except (ContentMissingError, IntegrityError):
        return key


def opened(
    file: ContentFile,
    published: bytes,
    sealed_key: SealedKey | None,
    keys: ContentKeys | None,
    place: tuple[Digest, int, FileKind],
) -> bytes:
    """The bytes of a published file in clear; `place` is (order, shard, kind), which the sealing binds.

    Raises KeyNotReleasedError without the wrapped key, SealError when it does not open, IntegrityError unless what is
    inside has the signed digest and its key is the committed one.
    """
    order, shard, kind = place
    if sealed_key is None:
        plain = published
    elif keys is None:
        raise SealError("the files are sealed to the buyer; give the delivery key file of the order")
    else:
        key, label = content_key(keys, sealed_key, order, shard), file_label(order, shard, kind)
        committed = key_commitment(key, order, shard)
        if sealed_key.commitment not in (None, committed):
            raise IntegrityError(
                f"the key of shard {shard} has commitment {committed}, the content document says "
                f"{sealed_key.commitment}: it is not the key that was committed to, and nobody could sell it on"
            )
        try:
            plain = open_file(key, published, label, file.plain_sha256)
        except SealError as error:
            raise SealError(f"the {kind} file of shard {shard}: {error}") from error
    if not file.matches_plain(plain):
        raise IntegrityError(
            f"the opened {kind} file of shard {shard} has {len(plain)} bytes with SHA-256 {sha256(plain)}, the receipt "
            f"says {file.plain_size} bytes with {file.plain_sha256}; its contributor signed other bytes than it sealed"
        )
    return plain


def content_key(keys: ContentKeys, key: SealedKey, order: Digest, shard: int) -> bytes:
    """The 32-byte content key of a shard, or of the score. Raises SealError, and KeyNotReleasedError when the wrapped
    key is needed and not in hand."""
    if key.wrapped is None and isinstance(keys, DeliveryKey):
        raise KeyNotReleasedError(
            f"shard {shard} cannot be opened: its contributor has not released the wrapped key ({key.cid}), or the "
            "store does not have it; try again later"
        )
    return keys.unwrap(key.wrapped or b"", order, shard)


def sealed_keys(manifest: Manifest, without: AbstractSet[int] = frozenset()) -> list[tuple[int, SealedKey]]:
    """(shard, key) of all that is sealed and can be sold on, shards first, the score last; empty for an open data set.

    Left out are shards that were published by their receipts alone and, of shards whose key lies in a file of its own,
    those in `without` (`unsold`): that key may never have been released, and nobody needs it."""
    found = [(shard.shard, shard.content.sealed_key) for shard in manifest.shards if shard.is_delivered]
    found.append((SCORE_SHARD, manifest.score.sealed_key))
    return [
        (shard, key)
        for shard, key in found
        if key is not None and not (shard in without and key.cid is not None)
    ]


def unsold(chain: SalesReads, record: DatasetOnChain) -> frozenset[int]:
    """Shards whose keys are no part of a sale: revoked ones, and those whose model was shown on chain."""
    return record.revoked | chain.shown_models(record.order).keys()


def content_keys(
    chain: SalesReads, record: DatasetOnChain, manifest: Manifest, own: DeliveryKey
) -> ContentKeys:
    """What opens a data set for the holder of `own`: the key itself, or what a seller delivered for it.

    Raises WrongKeyError when the data set was neither ordered with this key nor bought with it, SealError when a
    seller delivered keys that are none.
    """
    sealed_for = manifest.terms.delivery_key
    if own.public == sealed_for:
        return own
    order, dataset = manifest.order, record.id
    shards = [shard for shard, _ in sealed_keys(manifest, unsold(chain, record))]
    for bought, key in purchases_with(chain, dataset, own):
        if bought.wrapped_keys is not None:
            return ResoldKeys(sealed_for, opened_keys(key, order, bought.wrapped_keys, shards))
    for bought in reversed(chain.purchases(dataset)):
        if bought.point == own.public and bought.wrapped_keys is not None:
            return ResoldKeys(sealed_for, unwrapped_keys(own, order, bought.wrapped_keys, shards))
    raise WrongKeyError(
        f"delivery key {own.public} is not the one of data set {dataset}: it was ordered with {sealed_for}, and no "
        "seller delivered keys for yours; name the key file that you ordered or bought it with"
    )


def purchases_with(chain: SalesReads, dataset: int, own: DeliveryKey) -> Iterator[tuple[Purchase, SaleKey]]:
    """Purchases that the holder of `own` made, with the one-time key of each; the newest first."""
    purchases = chain.purchases(dataset)
    keys = [sale_key(chain, dataset, number, own) for number in range(len(purchases))]
    for number in reversed(range(len(purchases))):
        # Somebody else may have bought between the look at the chain and the purchase: then the key is an earlier one.
        for key in keys[number::-1]:
            if key.point == purchases[number].point:
                yield purchases[number], key


def sale_key(chain: SalesReads, dataset: int, number: int, own: DeliveryKey) -> SaleKey:
    """The one-time key of the holder of `own` for purchase `number` of a data set."""
    deployment = chain.deployment
    return SalePlace(deployment.chain_id, deployment.sales, dataset, number).key(own)
