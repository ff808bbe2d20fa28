"""Checks of files: present, opening, committed models, every row recomputed, roots. The core of Tessera.

Pure: bytes in, verdicts out. A `ShardCheck` looks at the files of one shard after another, so that one shard is in
memory at a time, and says at the end what it saw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from provenance.crypto.merkle import dataset_root, shard_root
from provenance.crypto.seal import sealed_size
from provenance.errors import ProvenanceError, SealError, WrongKeyError
from provenance.exact.model import decode_model, model_size, prove_bound
from provenance.exact.rows import decode_rows
from provenance.exact.sampler import Sampler, sampler_for
from provenance.values import sha256
from provenance.verify.certificate import CheckFailedError, NotCheckedError, require
from provenance.verify.evidence import Evidence, ShardFiles
from provenance.verify.opening import Absent

BATCH_ROWS = 4096
_SHOWN_SEGMENTS = 4


@dataclass(frozen=True, slots=True)
class Effort:
    """How rows are recomputed: on how many threads, and who is told how many more are done."""

    threads: int = 1
    rows_done: Callable[[int], None] = lambda _rows: None


class ShardCheck(Protocol):
    """A check over the files of all shards. Made with (Evidence, Effort); may raise like its methods."""

    def look(self, shard: ShardFiles) -> None:
        """Takes in one shard. Raises CheckFailedError or another ProvenanceError when the claim is false,
        NotCheckedError when it could not be looked at."""
        ...

    def detail(self) -> str:
        """What was compared, once every shard was looked at without an error; raises as `look` does."""
        ...


def sealing(evidence: Evidence) -> str:
    """Public part of the sealing: open orders in clear, private ones sealed, sizes as they must be."""
    manifest = evidence.manifest
    is_open = manifest.terms.is_open
    delivered = [shard for shard in evidence.standing if shard.is_delivered]
    keys = [manifest.score.sealed_key, *(shard.content.sealed_key for shard in delivered)]
    require(
        all((key is None) == is_open for key in keys),
        "a key is wrapped in an open order, or a file of a private order is not sealed",
    )
    files = [("score file", manifest.score.file)]
    for shard in delivered:
        files += [(f"shard {shard.shard}", file) for file in (shard.content.rows, shard.content.model)]
    for name, file in files:
        expected = file.plain_size if is_open else sealed_size(file.plain_size)
        require(
            file.size == expected,
            f"{name}: a file of {file.plain_size} bytes is published as {file.size}, expected {expected}",
        )
    if is_open:
        return "open order, files in clear"
    return "every file has its key wrapped and the size of a sealed one; what opens is the next check"


def whole_root(evidence: Evidence) -> str:
    """The data-set root follows from the shard roots."""
    found = dataset_root(evidence.record.shard_roots)
    expected = evidence.record.dataset_root
    require(found == expected, f"the shard roots give {found}, the chain says {expected}")
    return f"root {found}"


class FilesPresent:
    """Every file is in the store under its CID, with the size and SHA-256 that its contributor signed. A shard without
    files counts once its model was shown on chain: model and seed give the rows."""

    def __init__(self, evidence: Evidence, _effort: Effort) -> None:
        self._files = 0
        self._bytes = 0
        self._shown: list[str] = []
        _ = evidence.manifest  # which names the files; raises NotCheckedError
        self._count(evidence.score_file)

    def look(self, shard: ShardFiles) -> None:
        files = (shard.rows_file, shard.model_file)
        if any(isinstance(file, Absent) for file in files) and shard.is_made:
            self._shown.append(str(shard.shard.shard))
            return
        if not shard.shard.is_delivered and isinstance(shard.opening, NotCheckedError):
            raise shard.opening
        self._count(shard.rows_file)
        self._count(shard.model_file)

    def detail(self) -> str:
        shown = f"; of shard {', '.join(self._shown)} none, its model stands on chain" if self._shown else ""
        return f"{self._files} files, {self._bytes:,} bytes{shown}"

    def _count(self, found: bytes | Absent) -> None:
        if isinstance(found, Absent):
            raise CheckFailedError(found.words)
        self._files += 1
        self._bytes += len(found)


class FilesOpen:
    """The delivery key opens every file, and what is inside has the signed digests."""

    def __init__(self, evidence: Evidence, _effort: Effort) -> None:
        self._shards = 0
        self._made = 0
        if isinstance(evidence.keys, WrongKeyError):
            raise NotCheckedError(str(evidence.keys))
        if isinstance(evidence.keys, SealError):
            raise evidence.keys
        evidence.require_key()

    def look(self, shard: ShardFiles) -> None:
        if isinstance(shard.opening, NotCheckedError | CheckFailedError):
            raise shard.opening
        if isinstance(shard.opening, ProvenanceError):
            raise CheckFailedError(
                f"contributor {shard.shard.contributor}: {shard.opening}"
            ) from shard.opening
        if not shard.is_made:
            self._shards += 1
        else:
            self._made += 1

    def detail(self) -> str:
        made = f", {self._made} made from models that were shown on chain" if self._made else ""
        return f"{self._shards} shards opened, digests as signed{made}"


class Models:
    """The opened models are the committed ones, within the exact bound, made for the collection's schema and of the
    size class that it promises."""

    def __init__(self, evidence: Evidence, _effort: Effort) -> None:
        evidence.require_key()
        self._collection = evidence.manifest.collection
        self._count = 0
        self._largest_sum = 0
        in_terms = evidence.manifest.terms.size_class == 1
        self._promised = "fraud-provable" if in_terms else self._collection.size_class
        self._sizes: set[str] = set()

    def look(self, shard: ShardFiles) -> None:
        _, data = shard.opened
        number, committed, schema = shard.shard.shard, shard.shard.model_digest, self._collection.schema
        found = sha256(data)
        require(
            found == committed, f"shard {number}: the model has digest {found}, committed was {committed}"
        )
        model = decode_model(data)
        self._largest_sum = max(self._largest_sum, prove_bound(model))
        require(
            model.schema_digest == schema.digest,
            f"shard {number}: made for schema {model.schema_digest}, not for {schema.digest}",
        )
        model.codebook.check_schema(schema)
        size = model_size(model, len(data))
        require(
            self._promised == "recomputed" or not size.beyond(),
            f"shard {number}: a model of {size.beyond()}, promised were models whose every row the chain can judge",
        )
        self._count += 1
        self._sizes.add(size.size_class)

    def detail(self) -> str:
        sizes = " and ".join(sorted(self._sizes))
        return f"{self._count} models, largest partial sum {self._largest_sum:,} < 2^24, size class {sizes}"


class Rows:
    """Every row of every shard equals the row that model, seed and row number give."""

    def __init__(self, evidence: Evidence, effort: Effort) -> None:
        evidence.require_key()
        self._manifest = evidence.manifest
        self._expected = evidence.standing_rows
        self._effort = effort
        self._equal = 0

    def look(self, shard: ShardFiles) -> None:
        published, model = shard.opened
        entry, manifest, threads = shard.shard, self._manifest, self._effort.threads
        sampler: Sampler = sampler_for(manifest.spec_version)(
            model, manifest.seed.seed, entry.shard, conditions=manifest.row_conditions(entry.shard)
        )
        width = sampler.row_width
        require(
            len(published) == entry.rows * width,
            f"shard {entry.shard}: found {len(published)} bytes, expected {entry.rows} rows of {width}",
        )
        step = BATCH_ROWS * threads
        for first in range(0, entry.rows, step):
            count = min(step, entry.rows - first)
            expected = sampler.row_bytes(first, count, BATCH_ROWS, threads=threads)
            found = published[first * width : (first + count) * width]
            if found != expected:
                row = first + _first_difference(found, expected, width)
                raise CheckFailedError(
                    f"shard {entry.shard}, row {row}: not the row of the committed model and seed"
                )
            self._effort.rows_done(count)
        self._equal += entry.rows

    def detail(self) -> str:
        require(
            self._equal == self._expected, f"only {self._equal:,} of {self._expected:,} rows are published"
        )
        return f"{self._equal:,} of {self._expected:,} rows recomputed and equal"


class ShardRoots:
    """The roots on chain are the roots over the published rows."""

    def __init__(self, evidence: Evidence, _effort: Effort) -> None:
        evidence.require_key()
        self._roots = 0

    def look(self, shard: ShardFiles) -> None:
        data, model = shard.opened
        number, recorded = shard.shard.shard, shard.shard.shard_root
        width = decode_model(model).codebook.row_width
        require(len(data) > 0 and len(data) % width == 0, f"shard {number} does not hold whole rows")
        found = shard_root(data, width)
        require(found == recorded, f"shard {number}: its rows have root {found}, the record says {recorded}")
        self._roots += 1

    def detail(self) -> str:
        return f"{self._roots} roots"


class RowsMeetConditions:
    """The published rows have the values that the request asks for, each row those of its segment."""

    def __init__(self, evidence: Evidence, _effort: Effort) -> None:
        evidence.require_key()
        self._manifest = evidence.manifest
        self._asked = evidence.conditions

    def look(self, shard: ShardFiles) -> None:
        data, _ = shard.opened
        number = shard.shard.shard
        conditions = self._manifest.row_conditions(number)
        if conditions is None:
            return
        asked = conditions.conditions
        values = decode_rows(data, asked.schema.value_widths)
        segments = conditions.segment_of(np.arange(len(values), dtype=np.uint64))
        for place, segment in enumerate(asked.segments):
            mine = np.flatnonzero(segments == place)
            for column, ranges in segment.allowed.items():
                edges = np.add(ranges, (0, 1)).ravel()
                outside = np.searchsorted(edges, values[mine, column], side="right") % 2 == 0
                require(
                    not outside.any(),
                    f"shard {number}, row {mine[outside.argmax()]}: not one with {asked.describe(place)}",
                )

    def detail(self) -> str:
        asked = self._asked
        if asked is None:
            return "none asked"
        shown = "; ".join(
            f"{segment.rows:,} with {asked.describe(i)}"
            for i, segment in enumerate(asked.segments[:_SHOWN_SEGMENTS])
        )
        more = len(asked.segments) - _SHOWN_SEGMENTS
        return shown + (f"; {more} more kinds" if more > 0 else "")


def _first_difference(found: bytes, expected: bytes, width: int) -> int:
    """The first row of `width` bytes in which two pieces of one length differ."""
    mine, right = np.frombuffer(found, np.uint8), np.frombuffer(expected, np.uint8)
    return int(np.flatnonzero(mine != right)[0]) // width
