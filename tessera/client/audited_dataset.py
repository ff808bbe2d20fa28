"""A published data set under audit: every shard that opens, against what the chain fixed of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from provenance.chain.ports import ChainReads, DatasetOnChain, ShownChunk
from provenance.crypto.resold_keys import ContentKeys
from provenance.crypto.seal import DeliveryKey
from provenance.errors import (
    ContentMissingError,
    IntegrityError,
    MalformedError,
    ProvenanceError,
    WrongKeyError,
)
from provenance.record.manifest import Manifest
from provenance.record.terms import OrderTerms, Participant
from provenance.store.ports import ContentStore
from provenance.table.conditions_bytes import encode_conditions
from provenance.values import Digest, sha256
from provenance.verify.dataset import Progress
from provenance.verify.evidence import fetch_manifest, parse_manifest
from provenance.verify.opening import content_keys, fetch_opened
from provenance.verify.published_shard import Demandable, NotProvableError, PublishedShard
from provenance.verify.refutation import Finding, find_invalid_row
from tessera.errors import TesseraError, UsageError


@dataclass(frozen=True, slots=True)
class Closed:
    """A shard that could not be looked into: why, and what may be demanded of its contributor on chain (None:
    it is nothing that the chain judges)."""

    shard: int
    demand: Demandable | None
    row: int
    words: str


@dataclass(frozen=True, slots=True)
class Refutation:
    """What of a data set is false, with all that is needed to show it."""

    shard: PublishedShard
    finding: Finding


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search found, None for nothing in `rows` recomputed rows; `closed` stayed unseen."""

    rows: int
    refutation: Refutation | None
    closed: tuple[Closed, ...]


class AuditReads(ChainReads, Protocol):
    """The chain, and what contributors showed there when it was demanded."""

    def shown_chunks(self, order: Digest, shard: int) -> tuple[ShownChunk, ...]: ...


class AuditedDataset:
    """What the chain says about one data set, and its files as far as the key opens them."""

    def __init__(self, chain: AuditReads, store: ContentStore, dataset: int, key: DeliveryKey | None) -> None:
        """Raises UnknownDatasetError, TesseraError when the recorded manifest is not to be had, UsageError
        for a sealed data set without its key or with another's."""
        self.record: DatasetOnChain = chain.dataset(dataset)
        self._chain = chain
        self._store = store
        manifest = parse_manifest(self.record, fetch_manifest(chain, store, self.record))
        if not isinstance(manifest, Manifest):
            raise TesseraError(
                f"the manifest of data set {dataset} is not to be had ({manifest}): name another store (store=), "
                "or demand it of the broker with `tessera demand --manifest --order-file FILE`"
            ) from manifest
        self.manifest = manifest
        if self.terms.order_id(chain.deployment.domain) != self.record.order:
            raise TesseraError(
                f"the manifest of data set {dataset} names other terms than order {self.record.order}: take the terms "
                "from your order file (`tessera demand --order-file FILE`)"
            )

        if key is None and not self.terms.is_open:
            raise UsageError(f"data set {dataset} is sealed to its buyer: name the delivery key (key=)")
        self._keys: ContentKeys | None = None
        if key is not None and not self.terms.is_open:
            try:
                self._keys = content_keys(chain, self.record, manifest, key)
            except WrongKeyError as error:
                raise UsageError(str(error)) from error

    @property
    def id(self) -> int:
        return self.record.id

    @property
    def terms(self) -> OrderTerms:
        return self.manifest.terms

    @property
    def participants(self) -> tuple[Participant, ...]:
        """As matched on chain."""
        return self._chain.participants(self.record.order)

    @property
    def model_digests(self) -> tuple[Digest, ...]:
        """As committed before the seed."""
        return self._chain.commitment(self.record.order).models

    @property
    def shard_roots(self) -> tuple[Digest, ...]:
        return self.record.shard_roots

    @property
    def conditions(self) -> bytes:
        """The order's conditions in bytes, empty for whole tables."""
        asked = self.manifest.conditions()
        return b"" if asked is None else encode_conditions(asked)

    def request_row(self, shard: int) -> int:
        """The order's row that the shard begins at."""
        return sum(each.rows for each in self.participants[:shard])

    def first_row(self, shard: int) -> int:
        """The data set's row that the shard begins at: shards of dropped contributors have none."""
        return sum(each.rows for each in self.record.shards if each.shard < shard)

    def open(self, shard: int) -> PublishedShard:
        """One shard in clear: from its files, or from what was shown on chain when they do not open.

        Raises NotProvableError, which says what may be demanded.
        """
        try:
            published = self._published(shard, self._open(shard, "rows"), self._open(shard, "model"))
            if not isinstance(published.decoded, ProvenanceError):
                published.require_committed_rows()
        except (NotProvableError, ContentMissingError, IntegrityError, MalformedError) as error:
            return self._shown(shard, error)
        return published

    def _shown(self, shard: int, error: ProvenanceError) -> PublishedShard:
        """As far as the contributor showed it on chain; `error` is what kept the files closed."""
        model = self._file(shard, "model") or self._chain.shown_models(self.record.order).get(shard)
        if model is None:
            raise NotProvableError(str(error), "model") from error
        published = self._published(shard, b"", model)
        chunks = self._chain.shown_chunks(self.record.order, shard)
        if chunks or isinstance(published.decoded, ProvenanceError):
            return replace(published, shown=chunks)
        rows = self._file(shard, "rows")
        if rows is None:
            raise NotProvableError(str(error), "chunk") from error
        return replace(published, row_bytes=rows)

    def _open(self, shard: int, kind: Literal["rows", "model"]) -> bytes:
        return fetch_opened(self._store, self.manifest, shard, kind, self._keys)

    def _file(self, shard: int, kind: Literal["rows", "model"]) -> bytes | None:
        """One file in clear; None when it is not there, does not open, or is not the committed model."""
        try:
            data = self._open(shard, kind)
        except (ContentMissingError, IntegrityError, MalformedError):
            return None
        return data if kind == "rows" or sha256(data) == self.model_digests[shard] else None

    def _published(self, shard: int, rows: bytes, model: bytes) -> PublishedShard:
        chain = self.record.shard(shard)
        return PublishedShard(
            shard=shard,
            rows=chain.rows,
            model_digest=self.model_digests[shard],
            shard_root=chain.shard_root,
            seed=self.record.seed,
            spec_version=self.record.spec_version,
            model=model,
            row_bytes=rows,
            conditions=self.manifest.row_conditions(shard),
            schema_digest=self.terms.schema_digest,
            is_in_class=self.terms.size_class == 1,
        )


def shard_of_row(record: DatasetOnChain, row: int) -> tuple[int, int]:
    """(shard, row of the shard) of row `row` of the data set. Raises UsageError for a row that it has not."""
    first = 0
    for shard in record.shards:
        if row < first + shard.rows:
            return shard.shard, row - first
        first += shard.rows
    raise UsageError(f"row={row}: data set {record.id} has rows 0 to {first - 1}")


def search(dataset: AuditedDataset, row: int | None = None, progress: Progress | None = None) -> Searched:
    """The first false row or model that the chain can be shown, of the shards that stand; with `row` only that row of
    the data set is looked at."""
    wanted = None if row is None else shard_of_row(dataset.record, row)
    if wanted is not None and wanted[0] in dataset.record.revoked:
        raise UsageError(f"row={row}: it is of shard {wanted[0]}, which was revoked already")
    standing = dataset.record.standing
    shards = [wanted[0]] if wanted else [shard.shard for shard in standing]
    tally = _Tally(sum(shard.rows for shard in standing) if wanted is None else 1, progress)
    closed: list[Closed] = []
    for number in shards:
        try:
            published = dataset.open(number)
            finding = find_invalid_row(published, wanted[1] if wanted else None, tally.add)
        except NotProvableError as error:
            closed.append(Closed(number, error.demand, error.row, str(error)))
        except MalformedError as error:
            closed.append(Closed(number, None, 0, str(error)))
        else:
            if finding is not None:
                return Searched(tally.rows, Refutation(published, finding), tuple(closed))
    return Searched(tally.rows, None, tuple(closed))


class _Tally:
    """Counts recomputed rows and tells them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.rows = 0
        self._total = total
        self._tell: Callable[[int, int], None] = progress or (lambda _done, _total: None)

    def add(self, rows: int) -> None:
        self.rows += rows
        self._tell(self.rows, self._total)
