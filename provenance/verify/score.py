"""The score file: counts against the rows, shares against the counts.

Recomputed here: the pair counts of all delivered rows together and of the evidence rows of every shard - the
delivered ones and those that follow them in its stream - reference weights, utilities, values, shares. Taken
from the file: the nodes' noisy releases (they are what nodes signed for in training) and the grouping of
copies, whose test is statistical; it is shown when there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from provenance.canonical import JsonValue, decode
from provenance.document import Reader
from provenance.errors import DocumentError
from provenance.exact.codebook import Codebook
from provenance.exact.rows import decode_rows
from provenance.exact.sampler import Sampler
from provenance.exact.versions import sampler_for
from provenance.record.contribution import Contribution, Integers, ShardEvidence, Tables, evidence_rows
from provenance.record.manifest import ManifestShard
from provenance.verify.case import Case, require

FORMAT: Final = "tessera-score/1"
_MEMBERS: Final = (
    *("format", "codeCounts", "tables", "shards", "poolCounts", "referenceWeights", "similarities"),
    *("players", "method", "utilities", "valuesMicro", "sharesBps"),
)
_SHARD_MEMBERS: Final = ("rows", "claimedRows", "evidenceCounts", "referenceCounts", "noiseVariances")
_MAX_CELLS: Final = 16_000_000
_MAX_COUNT: Final = 2**32


def check_score(document: bytes, case: Case) -> str:
    """Raises CheckFailedError or MalformedError unless file, rows and recorded shares agree."""
    reader = Reader(decode(document), "score file", _MEMBERS)
    reader.constant("format", FORMAT)
    tables = _tables(reader)
    shards = reader.array("shards")
    require(
        len(shards) == len(case.manifest.shards),
        f"it scores {len(shards)} shards, the data set has {len(case.manifest.shards)}",
    )
    evidence = [_evidence(item, tables, f"score file.shards[{k}]") for k, item in enumerate(shards)]
    pool = _integers(reader.member("poolCounts"), "score file.poolCounts", 0)
    _check_counts(case, tables, evidence, pool)

    contribution = Contribution(tables, evidence, _players(reader, len(evidence)))
    values = contribution.values()
    pairs: tuple[tuple[str, JsonValue, object], ...] = (
        ("referenceWeights", reader.member("referenceWeights"), contribution.reference_weights),
        ("utilities", reader.member("utilities"), contribution.utilities()),
        ("valuesMicro", reader.member("valuesMicro"), values),
        ("sharesBps", reader.member("sharesBps"), list(contribution.shares_bps(values))),
    )
    for name, found, expected in pairs:
        require(found == expected, f"its {name} do not follow from its counts")
    require(
        reader.member("sharesBps") == list(case.record.shares_bps),
        f"it gives shares {reader.member('sharesBps')}, the record pays {list(case.record.shares_bps)}",
    )
    copies = len(evidence) - len(contribution.players)
    noted = f", {copies} shard(s) judged copies" if copies else ""
    return f"counts recomputed from {case.record.rows:,} rows, shares recomputed{noted}"


def _tables(reader: Reader) -> Tables:
    counts = _integers(reader.member("codeCounts"), "score file.codeCounts", 1)
    pairs = []
    for k, item in enumerate(reader.array("tables")):
        pair = _integers(item, f"score file.tables[{k}]", 0)
        if len(pair) != 2 or max(pair) >= len(counts) or pair[0] == pair[1]:
            raise DocumentError(f"score file.tables[{k}]: found {pair}, expected two different columns")
        pairs.append((int(pair[0]), int(pair[1])))
    tables = Tables(tuple(int(count) for count in counts), tuple(pairs))
    if not pairs or tables.cells > _MAX_CELLS:
        raise DocumentError(
            f"score file: found {len(pairs)} tables, expected 1 or more, {_MAX_CELLS} cells at most"
        )
    return tables


def _evidence(item: JsonValue, tables: Tables, where: str) -> ShardEvidence:
    reader = Reader(item, where, _SHARD_MEMBERS)
    cells = tables.cells
    arrays = []
    for name, length, least in (
        ("evidenceCounts", cells, 0),
        ("referenceCounts", cells, -_MAX_COUNT),
        ("noiseVariances", len(tables.pairs), 0),
    ):
        array = _integers(reader.member(name), reader.where(name), least)
        if len(array) != length:
            raise DocumentError(f"{reader.where(name)}: found {len(array)} numbers, expected {length}")
        arrays.append(array)
    rows = reader.integer("rows", 1, _MAX_COUNT)
    return ShardEvidence(rows, reader.integer("claimedRows", 1, _MAX_COUNT), *arrays)


def _players(reader: Reader, shards: int) -> list[list[int]]:
    players = [
        [int(k) for k in _integers(item, f"score file.players[{i}]", 0)]
        for i, item in enumerate(reader.array("players"))
    ]
    if sorted(k for player in players for k in player) != list(range(shards)) or not all(players):
        raise DocumentError(f"score file.players: found {players}, expected every shard once")
    return players


def _check_counts(case: Case, tables: Tables, evidence: list[ShardEvidence], pool: Integers) -> None:
    found = np.zeros(tables.cells, dtype=np.int64)
    for shard, item in zip(case.manifest.shards, evidence, strict=True):
        delivered, stream = _shard_counts(case, tables, shard, item)
        require(
            bool(np.array_equal(stream, item.evidence_counts)),
            f"shard {shard.shard}: the evidence counts are not those of its stream's rows",
        )
        found += delivered
    require(bool(np.array_equal(found, pool)), "its pool counts are not those of the delivered rows")


def _shard_counts(
    case: Case, tables: Tables, shard: ManifestShard, item: ShardEvidence
) -> tuple[Integers, Integers]:
    """Counts of the delivered rows, and of the evidence rows: these are the delivered ones - that they are
    the stream's is the check "rows" - and the next ones, sampled here."""
    rows, model = case.opened[shard.shard]
    sampler: Sampler = sampler_for(case.manifest.spec_version)(model, case.manifest.seed.seed, shard.shard)
    book = sampler.model.codebook
    require(
        book.code_counts == tables.code_counts,
        f"shard {shard.shard}: its model has other code counts than the score file",
    )
    values = decode_rows(rows, book.value_widths)
    require(
        len(values) == item.rows == shard.rows,
        f"shard {shard.shard}: it counts {item.rows} rows, {len(values)} are published, "
        f"{shard.rows} were signed for",
    )
    if case.conditions is not None:
        # rows under conditions say what was wished for; counted are those of the stream beside them
        values = sampler.values(0, item.rows, threads=case.threads)
    delivered = tables.counts(_codes(values, book))
    more = evidence_rows(item.rows) - item.rows
    following = sampler.values(item.rows, more, threads=case.threads)
    return delivered, delivered + tables.counts(_codes(following, book))


def _codes(values: Integers, book: Codebook) -> Integers:
    """int64[rows, C]: the code whose range holds each value; ranges ascend without gaps within a column."""
    codes = np.empty_like(values)
    for column in range(book.columns):
        low = book.low[book.column_codes(column)]
        codes[:, column] = np.clip(np.searchsorted(low, values[:, column], side="right") - 1, 0, None)
    return codes


def _integers(value: JsonValue | Mapping[str, JsonValue], where: str, minimum: int) -> Integers:
    if not isinstance(value, list) or not all(type(n) is int and minimum <= n < _MAX_COUNT for n in value):
        raise DocumentError(f"{where}: expected a list of integers from {minimum} to {_MAX_COUNT - 1}")
    return np.array(value, dtype=np.int64)
