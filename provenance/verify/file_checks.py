"""Checks of files: present, opening, committed models, every row recomputed, roots. The core of Tessera."""

from __future__ import annotations

import numpy as np

from provenance.crypto.merkle import dataset_root, shard_root
from provenance.crypto.seal import sealed_size
from provenance.errors import ProvenanceError, SealError, WrongKeyError
from provenance.exact.model import decode_model, prove_bound
from provenance.exact.rows import decode_rows
from provenance.exact.sampler import Sampler
from provenance.exact.size_class import keeps_promise, size_class
from provenance.exact.versions import sampler_for
from provenance.record.manifest import Manifest, ManifestShard
from provenance.values import sha256
from provenance.verify.case import Case, NotCheckedError, require
from provenance.verify.shard_files import fetch

BATCH_ROWS = 4096
_SHOWN_SEGMENTS = 4


def files_present(case: Case) -> str:
    """Every file is in the store under its CID, with the size and SHA-256 that its contributor signed."""
    manifest = case.manifest
    files = [(f"score file of order {manifest.order}", manifest.score.file)]
    for shard in manifest.shards:
        files += [(f"rows of shard {shard.shard}", shard.content.rows)]
        files += [(f"model of shard {shard.shard}", shard.content.model)]
    total = sum(len(fetch(case.store, file, what)) for what, file in files)
    return f"{len(files)} files, {total:,} bytes"


def sealing(case: Case) -> str:
    """Public part of the sealing: open orders in clear, private ones sealed, sizes as they must be."""
    manifest = case.manifest
    is_open = manifest.terms.is_open
    wrapped = [manifest.score.wrapped_key, *(shard.content.wrapped_key for shard in manifest.shards)]
    require(
        all((key is None) == is_open for key in wrapped),
        "a key is wrapped in an open order, or a file of a private order is not sealed",
    )
    files = [("score file", manifest.score.file)]
    for shard in manifest.shards:
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


def files_open(case: Case) -> str:
    """The delivery key opens every file, and what is inside has the signed digests."""
    if isinstance(case.keys, WrongKeyError):
        raise NotCheckedError(str(case.keys))
    if isinstance(case.keys, SealError):
        raise case.keys
    case.require_key()
    if isinstance(case.opening, ProvenanceError):
        raise case.opening
    opened = case.opened
    return f"{len(opened)} shards opened, digests as signed"


def models(case: Case) -> str:
    """The opened models are the committed ones, within the exact bound, made for the collection's schema and
    of the size class that it promises."""
    manifest, opened = case.manifest, case.opened
    worst = 0
    for shard in manifest.shards:
        data = opened[shard.shard][1]
        found = sha256(data)
        require(
            found == shard.model_digest,
            f"shard {shard.shard}: the model has digest {found}, committed was {shard.model_digest}",
        )
        model = decode_model(data)
        worst = max(worst, prove_bound(model))
        schema = manifest.collection.schema
        require(
            model.schema_digest == schema.digest,
            f"shard {shard.shard}: made for schema {model.schema_digest}, not for {schema.digest}",
        )
        model.codebook.check_schema(schema)
        size, promised = size_class(data), manifest.collection.size_class
        require(
            keeps_promise(size, promised),
            f"shard {shard.shard}: a model of size class {size}, the collection promises {promised}",
        )
    sizes = sorted({size_class(data) for _, data in opened.values()})
    return f"{len(opened)} models, largest partial sum {worst:,} < 2^24, size class {' and '.join(sizes)}"


def rows(case: Case) -> str:
    """Every row of every shard equals the row that model, seed and row number give."""
    manifest, opened = case.manifest, case.opened
    for shard in manifest.shards:
        published, model = opened[shard.shard]
        _compare_rows(case, manifest, shard, published, model)
    return f"{manifest.terms.rows:,} of {manifest.terms.rows:,} rows recomputed and equal"


def conditions(case: Case) -> str:
    """The published rows have the values that the request asks for, each row those of its segment."""
    asked, opened = case.conditions, case.opened
    if asked is None:
        return "none asked"
    for shard in case.manifest.shards:
        row_conditions = case.manifest.row_conditions(shard.shard)
        assert row_conditions is not None, "the order has conditions"
        values = decode_rows(opened[shard.shard][0], asked.schema.value_widths)
        segments = row_conditions.segment_of(np.arange(len(values), dtype=np.uint64))
        for number, segment in enumerate(asked.segments):
            mine = np.flatnonzero(segments == number)
            for column, ranges in segment.allowed.items():
                edges = np.add(ranges, (0, 1)).ravel()
                outside = np.searchsorted(edges, values[mine, column], side="right") % 2 == 0
                require(
                    not outside.any(),
                    f"shard {shard.shard}, row {mine[outside.argmax()]}: not one with {asked.describe(number)}",
                )
    shown = "; ".join(
        f"{segment.rows:,} with {asked.describe(i)}"
        for i, segment in enumerate(asked.segments[:_SHOWN_SEGMENTS])
    )
    more = len(asked.segments) - _SHOWN_SEGMENTS
    return shown + (f"; {more} more kinds" if more > 0 else "")


def shard_roots(case: Case) -> str:
    """The roots on chain are the roots over the published rows."""
    manifest, opened = case.manifest, case.opened
    for shard in manifest.shards:
        width = decode_model(opened[shard.shard][1]).codebook.row_width
        data = opened[shard.shard][0]
        require(len(data) > 0 and len(data) % width == 0, f"shard {shard.shard} does not hold whole rows")
        found = shard_root(data, width)
        require(
            found == shard.shard_root,
            f"shard {shard.shard}: its rows have root {found}, the record says {shard.shard_root}",
        )
    return f"{len(manifest.shards)} roots"


def whole_root(case: Case) -> str:
    """The data-set root follows from the shard roots."""
    found = dataset_root([shard.shard_root for shard in case.record.shards])
    expected = case.record.dataset_root
    require(found == expected, f"the shard roots give {found}, the chain says {expected}")
    return f"root {found}"


def _compare_rows(
    case: Case, manifest: Manifest, shard: ManifestShard, published: bytes, model: bytes
) -> None:
    asked = manifest.row_conditions(shard.shard)
    sampler: Sampler = sampler_for(manifest.spec_version)(
        model, manifest.seed.seed, shard.shard, conditions=asked
    )
    width = sampler.row_width
    require(
        len(published) == shard.rows * width,
        f"shard {shard.shard}: found {len(published)} bytes, expected {shard.rows} rows of {width}",
    )
    step = BATCH_ROWS * case.threads
    for first in range(0, shard.rows, step):
        count = min(step, shard.rows - first)
        expected = sampler.row_bytes(first, count, BATCH_ROWS, threads=case.threads)
        found = published[first * width : (first + count) * width]
        if found != expected:
            row = next(
                i
                for i in range(count)
                if found[i * width : (i + 1) * width] != expected[i * width : (i + 1) * width]
            )
            require(
                False, f"shard {shard.shard}, row {first + row}: not the row of the committed model and seed"
            )
        case.rows_recomputed(count)
