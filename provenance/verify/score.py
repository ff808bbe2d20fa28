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
from provenance.exact.sampler import Sampler, sampler_for
from provenance.record.contribution import (
    SUM,
    Contribution,
    Integers,
    ShardEvidence,
    Tables,
    evidence_rows,
    share_floors,
)
from provenance.verify.certificate import require
from provenance.verify.evidence import Evidence, ShardFiles
from provenance.verify.file_checks import Effort

FORMAT: Final = "tessera-score/2"
FIRST_FORMAT: Final = "tessera-score/1"
"""Of data sets made when shares had no floor, and every published shard was delivered."""
_MEMBERS: Final = (
    *("format", "codeCounts", "tables", "shards", "poolCounts", "referenceWeights", "similarities"),
    *("players", "method", "utilities", "valuesMicro", "sharesBps"),
)
_SHARD_MEMBERS: Final = ("rows", "claimedRows", "evidenceCounts", "referenceCounts", "noiseVariances")
_MAX_CELLS: Final = 16_000_000
_MAX_COUNT: Final = 2**32


class ScoreFile:
    """The shares follow from the score file, and its shard counts from the rows."""

    def __init__(self, evidence: Evidence, effort: Effort) -> None:
        document = evidence.opened_score()
        self._evidence = evidence
        self._effort = effort
        read = decode(document)
        self._is_first = isinstance(read, Mapping) and read.get("format") == FIRST_FORMAT
        self._is_sum = not self._is_first and isinstance(read, Mapping) and "references" in read
        more = () if self._is_first else ("undelivered", *(("references",) if self._is_sum else ()))
        reader = Reader(read, "score file", (*_MEMBERS, *more))
        reader.constant("format", FIRST_FORMAT if self._is_first else FORMAT)
        self._reader = reader
        self._tables = _tables(reader)
        delivered = [each.shard for each in evidence.manifest.shards if each.is_delivered]
        self._undelivered = [each for each in evidence.manifest.shards if not each.is_delivered]
        shards, expected = reader.array("shards"), len(delivered)
        require(len(shards) == expected, f"it scores {len(shards)} shards, {expected} were delivered")
        missing = [each.rows for each in self._undelivered]
        found = [] if self._is_first else reader.member("undelivered")
        require(found == missing, f"it names undelivered shards of {found} rows, the manifest of {missing}")
        self._shards = [
            _evidence(item, self._tables, f"score file.shards[{k}]") for k, item in enumerate(shards)
        ]
        self._players = _players(reader, len(shards))
        if self._is_sum:
            reader.constant("references", SUM)
            self._require_one_reference()
        self._pool = _integers(reader.member("poolCounts"), "score file.poolCounts", 0)
        self._places = {shard: place for place, shard in enumerate(delivered)}
        self._delivered = np.zeros(self._tables.cells, dtype=np.int64)

    def _require_one_reference(self) -> None:
        """Equal parts of one sum: they differ in nothing, and tell nobody a copy."""
        first = self._shards[0].reference_counts
        same = all(np.array_equal(first, each.reference_counts) for each in self._shards)
        require(same, "it takes the sum of all tables for reference, and shows shards of different ones")
        alone = all(len(player) == 1 for player in self._players)
        require(
            alone, "it judges shards copies of one another, and only the sum of their nodes' tables was seen"
        )

    def look(self, shard: ShardFiles) -> None:
        """Counts the delivered rows, and the evidence rows: these are the delivered ones - that they are the stream's
        is the check "rows" - and the next ones, sampled here."""
        entry = shard.shard
        if entry.shard not in self._places:
            return  # published by its receipt: it is not in the score
        item = self._shards[self._places[entry.shard]]
        rows, model = shard.opened
        manifest, threads = self._evidence.manifest, self._effort.threads
        sampler: Sampler = sampler_for(manifest.spec_version)(model, manifest.seed.seed, entry.shard)
        book = sampler.model.codebook
        require(
            book.code_counts == self._tables.code_counts,
            f"shard {entry.shard}: its model has other code counts than the score file",
        )
        values = decode_rows(rows, book.value_widths)
        require(
            len(values) == item.rows == entry.rows,
            f"shard {entry.shard}: it counts {item.rows} rows, {len(values)} are published, "
            f"{entry.rows} were signed for",
        )
        if self._evidence.conditions is not None:
            # rows under conditions say what was asked for; counted are those of the stream beside them
            values = sampler.values(0, item.rows, threads=threads)
        delivered = self._tables.counts(_codes(values, book))
        following = sampler.values(item.rows, evidence_rows(item.rows) - item.rows, threads=threads)
        stream = delivered + self._tables.counts(_codes(following, book))
        require(
            bool(np.array_equal(stream, item.evidence_counts)),
            f"shard {entry.shard}: the evidence counts are not those of its stream's rows",
        )
        self._delivered += delivered

    def detail(self) -> str:
        reader, record = self._reader, self._evidence.record
        require(
            bool(record.revoked) or bool(np.array_equal(self._delivered, self._pool)),
            "its pool counts are not those of the delivered rows",
        )
        contribution = Contribution(self._tables, self._shards, self._players)
        values = contribution.values()
        missing = [each.rows for each in self._undelivered]
        by_value, by_floor = contribution.first_shares_bps, contribution.shares_bps
        shares = by_value(values) if self._is_first else by_floor(values, missing)
        pairs: tuple[tuple[str, JsonValue, object], ...] = (
            ("referenceWeights", reader.member("referenceWeights"), contribution.reference_weights),
            ("utilities", reader.member("utilities"), contribution.utilities()),
            ("valuesMicro", reader.member("valuesMicro"), values),
            ("sharesBps", reader.member("sharesBps"), list(shares)),
        )
        for name, found, expected in pairs:
            require(found == expected, f"its {name} do not follow from its counts")
        floors = share_floors([*(item.rows for item in self._shards), *missing])[len(shares) :]
        due = dict(zip(self._places, shares, strict=True))
        due |= {each.shard: floor for each, floor in zip(self._undelivered, floors, strict=True)}
        paid = list(record.shares_bps)
        whole = [due.get(shard, 0) for shard in range(len(paid))]
        require(paid == whole, f"it gives shares {whole}, the record pays {paid}")
        copies = len(self._shards) - len(contribution.players)
        noted = f", {copies} shard(s) judged copies" if copies else ""
        noted += ", all measured against the sum of the nodes' tables" if self._is_sum else ""
        if record.revoked:
            revoked = ", ".join(map(str, sorted(record.revoked)))
            noted += f"; pool counts and the counts of shard {revoked} not looked at: its rows are revoked"
        rows = sum(self._shards[k].rows for shard, k in self._places.items() if shard not in record.revoked)
        return f"counts recomputed from {rows:,} rows, shares recomputed{noted}"


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
