"""From a published data set to rows in a file: fetch, verify, open, decode.

Nothing is written before every check has passed: the rows that land in the file are recomputed from model
and seed, and they have the root that the contributors signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from provenance.api.errors import MarketRefused
from provenance.crypto.resold_keys import ContentKeys
from provenance.crypto.seal import DeliveryKey
from provenance.errors import ContentMissingError, StoreUnavailableError, WrongKeyError
from provenance.exact.sampler import sampler_for
from provenance.record.manifest import Manifest, ManifestShard
from provenance.store.ports import ContentStore
from provenance.store.unixfs import check_content
from provenance.values import Cid
from provenance.verify.evidence import Absent, content_keys, fetch_manifest, fetch_opened, shown_models
from tessera.errors import FalseDatasetError, UsageError
from tessera.local.row_file import write_rows

if TYPE_CHECKING:
    from provenance.api.market import MarketClient
    from provenance.chain.reader import ChainReader
    from provenance.verify.certificate import Certificate
    from provenance.verify.dataset import Progress

BATCH_ROWS = 4096
MOST_KEPT_BYTES = 64 << 20


@dataclass(slots=True)
class MarketStore:
    """The market's content as a read-only store: every byte is checked against its CID. What was fetched last is kept,
    up to MOST_KEPT_BYTES: a data set may be larger than the memory."""

    api: MarketClient
    _kept: dict[Cid, bytes] = field(default_factory=dict)

    def get(self, cid: Cid) -> bytes:
        if cid in self._kept:
            return self._kept[cid]
        try:
            data = check_content(cid, self.api.content(cid))
        except MarketRefused as refusal:
            raise ContentMissingError(f"{cid}: {refusal}") from refusal
        self._kept[cid] = data
        while sum(map(len, self._kept.values())) > MOST_KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return data

    def has(self, cid: Cid) -> bool:
        try:
            self.get(cid)
        except ContentMissingError:
            return False
        return True

    def size(self, cid: Cid) -> int:
        return len(self.get(cid))

    def put(self, data: bytes) -> Cid:
        raise StoreUnavailableError(
            f"a buyer's view of the market takes no content ({len(data)} bytes were offered)"
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """A data set in its holder's hands: what the chain names, the manifest, the way to the rows. keys: what opens it,
    the delivery key or what a seller delivered for it; None for an open data set, or without a key. revoked: shards
    that were shown to be false or withheld, whose rows are left out. shown: models that stand on chain, of shards that
    were published without files."""

    dataset_id: int
    manifest: Manifest
    store: ContentStore
    delivery_key: DeliveryKey | None
    keys: ContentKeys | None
    revoked: frozenset[int] = frozenset()
    shown: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def shards(self) -> tuple[ManifestShard, ...]:
        """Those that stand, in ascending order."""
        return tuple(each for each in self.manifest.shards if each.shard not in self.revoked)

    def shard_values(self, shard: int) -> Iterator[NDArray[np.int64]]:
        """The rows of one shard, recomputed from its opened model and the seed, a batch at a time."""
        entry = self.manifest.shard(shard)
        sampler = sampler_for(self.manifest.spec_version)(
            self.open(shard), self.manifest.seed.seed, shard, conditions=self.manifest.row_conditions(shard)
        )
        return sampler.batches(0, entry.rows, BATCH_ROWS)

    def open(self, shard: int) -> bytes:
        """The model of one shard in clear."""
        if shard in self.shown:
            return self.shown[shard]
        if not self.manifest.terms.is_open and self.keys is None:
            raise UsageError(
                f"data set {self.dataset_id} is sealed: name the delivery key of its order with --key"
            )
        return fetch_opened(self.store, self.manifest, shard, "model", self.keys)

    def values(self) -> Iterator[NDArray[np.int64]]:
        """All rows that stand, shard after shard, a batch at a time."""
        for entry in self.shards:
            yield from self.shard_values(entry.shard)

    def verify(self, chain: ChainReader, progress: Progress | None = None) -> Certificate:
        """Every check of the auditor's program, over the bytes that were fetched."""
        from provenance.verify.dataset import verify_dataset

        return verify_dataset(chain, self.store, self.dataset_id, self.delivery_key, progress)

    def write(self, path: Path) -> int:
        """All rows that stand to a CSV or Parquet file; returns their number."""
        return write_rows(path, self.manifest.collection.schema, self.values())


@dataclass(frozen=True, slots=True)
class Delivered:
    """Rows that passed every check and stand in a file."""

    path: Path
    dataset: str
    rows: int
    certificate: Certificate


def fetch(chain: ChainReader, store: ContentStore, dataset_id: int, key: DeliveryKey | None) -> Delivery:
    """The data set that the chain records under `dataset_id`; its manifest is the one whose digest is there.

    Raises UsageError for a key that this data set was neither ordered nor bought with, ContentMissingError
    without the manifest.
    """
    record = chain.dataset(dataset_id)
    published = fetch_manifest(chain, store, record)
    if isinstance(published, Absent):
        raise ContentMissingError(
            f"the manifest of data set {dataset_id}: {published.words}; `tessera demand --manifest` has it shown"
        )
    manifest = Manifest.parse(published)
    keys = None
    if key is not None and not manifest.terms.is_open:
        try:
            keys = content_keys(chain, dataset_id, manifest, key)
        except WrongKeyError as error:
            raise UsageError(str(error)) from error
    shown = shown_models(chain, record, manifest)
    return Delivery(dataset_id, manifest, store, key, keys, record.revoked, shown)


def deliver(
    chain: ChainReader,
    store: ContentStore,
    dataset_id: int,
    key: DeliveryKey | None,
    to: Path,
    progress: Progress | None = None,
) -> Delivered:
    """Fetch, verify, write; of a data set with revoked shards the rows of the others. Nothing is written of one that
    fails a check.

    Raises UsageError without the right key, FalseDatasetError when a check fails.
    """
    found = fetch(chain, store, dataset_id, key)
    if found.keys is None and not found.manifest.terms.is_open:
        raise UsageError(f"data set {dataset_id} is sealed: name the delivery key of its order with --key")
    certificate = found.verify(chain, progress)
    if certificate.failed:
        raise FalseDatasetError(dataset_id, certificate)
    return Delivered(to, certificate.dataset, found.write(to), certificate)
