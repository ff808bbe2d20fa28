"""From a published data set to rows in a file: fetch, verify, open, decode.

Nothing is written before every check has passed: the rows that land in the file are recomputed from model
and seed, and they have the root that the contributors signed. A shard whose wrapped key was not released is left
out, unless its model was shown on chain.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from provenance.api.errors import MarketRefused
from provenance.crypto.resold_keys import ContentKeys
from provenance.crypto.seal import DeliveryKey
from provenance.errors import (
    ContentMissingError,
    KeyNotReleasedError,
    StoreUnavailableError,
    WrongKeyError,
)
from provenance.exact.sampler import sampler_for
from provenance.record.manifest import Manifest, ManifestShard
from provenance.store.ports import ContentStore
from provenance.store.unixfs import check_content
from provenance.values import Cid
from provenance.verify.evidence import fetch_manifest
from provenance.verify.opening import Absent, closed_shards, content_keys, demand_command, fetch_opened
from tessera.errors import FalseDatasetError, UsageError
from tessera.local.row_file import write_rows

if TYPE_CHECKING:
    from provenance.api.market import MarketClient
    from provenance.chain.reader import ChainReader
    from provenance.verify.certificate import Certificate
    from provenance.verify.dataset import Progress

BATCH_ROWS = 4096
MOST_KEPT_BYTES = 64 << 20
_LOOK_SECONDS = 1.0


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
    that were shown to be false or withheld, whose rows are left out. closed: of each shard that the keys cannot open,
    why. shown: models that were shown on chain, by shard."""

    dataset_id: int
    manifest: Manifest
    store: ContentStore
    delivery_key: DeliveryKey | None
    keys: ContentKeys | None
    revoked: frozenset[int] = frozenset()
    closed: Mapping[int, str] = field(default_factory=dict)
    shown: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def shards(self) -> tuple[ManifestShard, ...]:
        """Those that stand and can be opened, in ascending order."""
        closed = {*self.revoked, *(each.shard for each in self.withheld)}
        return tuple(each for each in self.manifest.shards if each.shard not in closed)

    @property
    def withheld(self) -> tuple[ManifestShard, ...]:
        """Those that stand and that nothing opens yet, in ascending order."""
        without = self.closed.keys() - self.shown.keys()
        return tuple(each for each in self.manifest.shards if each.shard in without)

    def shard_values(self, shard: int) -> Iterator[NDArray[np.int64]]:
        """The rows of one shard, recomputed from its opened model and the seed, a batch at a time."""
        entry = self.manifest.shard(shard)
        sampler = sampler_for(self.manifest.spec_version)(
            self.open(shard), self.manifest.seed.seed, shard, conditions=self.manifest.row_conditions(shard)
        )
        return sampler.batches(0, entry.rows, BATCH_ROWS)

    def open(self, shard: int) -> bytes:
        """The model of one shard in clear. Raises KeyNotReleasedError for one that is withheld."""
        if shard in self.shown:
            return self.shown[shard]
        if shard in self.closed:
            raise KeyNotReleasedError(self.closed[shard])
        if not self.manifest.terms.is_open and self.keys is None:
            raise UsageError(
                f"data set {self.dataset_id} is sealed: name the delivery key of its order (key=)"
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
    """Rows that passed every check and stand in a file. withheld: what is missing of each shard whose contributor has
    not released its key, or not delivered its files, and what can be done, in words."""

    path: Path
    dataset: str
    rows: int
    certificate: Certificate
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPatience:
    """How long released keys are waited for; tell: called once with the delivery, when a key is missing."""

    seconds: float = 0.0
    tell: Callable[[Delivery], None] = lambda _delivery: None


def fetch(
    chain: ChainReader,
    store: ContentStore,
    dataset_id: int,
    key: DeliveryKey | None,
    patience: KeyPatience | None = None,
) -> Delivery:
    """The data set that the chain records under `dataset_id`; its manifest is the one whose digest is there. patience:
    how long keys are waited for that are still to be released; left out, it is taken as it stands.

    Raises UsageError for a key that this data set was neither ordered nor bought with, ContentMissingError
    without the manifest.
    """
    patience = patience or KeyPatience()
    until, told = time.monotonic() + patience.seconds, False
    found = _fetched(chain, store, dataset_id, key)
    while time.monotonic() < until:
        awaited = [each for each in found.withheld if each.is_delivered]
        if not awaited:
            break
        if not told:
            patience.tell(found)
            told = True
        time.sleep(_LOOK_SECONDS)
        others = {
            shard: why for shard, why in found.closed.items() if shard not in {each.shard for each in awaited}
        }
        found = replace(found, closed=others | closed_shards(store, found.manifest, awaited, found.keys))
    return found


def _fetched(chain: ChainReader, store: ContentStore, dataset_id: int, key: DeliveryKey | None) -> Delivery:
    """As it stands now."""
    record = chain.dataset(dataset_id)
    published = fetch_manifest(chain, store, record)
    if isinstance(published, Absent):
        raise ContentMissingError(
            f"the manifest of data set {dataset_id}: {published.words}; `tessera demand --manifest` has it shown"
        )
    manifest = Manifest.parse(published)
    keys: ContentKeys | None = None
    if key is not None and not manifest.terms.is_open:
        try:
            keys = content_keys(chain, record, manifest, key)
        except WrongKeyError as error:
            raise UsageError(str(error)) from error
    standing = (each for each in manifest.shards if each.shard not in record.revoked)
    closed, shown = closed_shards(store, manifest, standing, keys), chain.shown_models(record.order)
    return Delivery(dataset_id, manifest, store, key, keys, record.revoked, closed, shown)


def deliver(
    chain: ChainReader,
    store: ContentStore,
    dataset_id: int,
    key: DeliveryKey | None,
    to: Path,
    progress: Progress | None = None,
    patience: KeyPatience | None = None,
) -> Delivered:
    """Fetch, verify, write; of a data set with revoked shards, or some that nothing opens yet, the rows of the others.
    Nothing is written of one that fails a check.

    Raises UsageError without the right key, FalseDatasetError when a check fails, KeyNotReleasedError when there is
    no shard that can be opened.
    """
    found = fetch(chain, store, dataset_id, key, patience)
    if found.keys is None and not found.manifest.terms.is_open:
        raise UsageError(f"data set {dataset_id} is sealed: name the delivery key of its order (key=)")
    certificate = found.verify(chain, progress)
    if certificate.failed:
        raise FalseDatasetError(dataset_id, certificate)
    missing = tuple(withheld_words(found, each) for each in found.withheld)
    if missing and not found.shards:
        raise KeyNotReleasedError(f"nothing of data set {dataset_id} can be opened yet: {'; '.join(missing)}")
    return Delivered(to, certificate.dataset, found.write(to), certificate, missing)


def withheld_words(found: Delivery, shard: ManifestShard) -> str:
    """What is missing of a shard, and what makes its contributor show what it sold, or pay."""
    return (
        f"{found.closed[shard.shard]}: its {shard.rows:,} rows are not there. Fetch again later, or inside the "
        f"challenge window have its model shown on chain, or paid for: "
        f"{demand_command(found.dataset_id, shard.shard)}"
    )
