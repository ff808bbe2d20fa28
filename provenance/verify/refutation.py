"""Finds what a chain can be shown of a false shard: a row that is not the row of model, seed and conditions, a
chunk of a length or at a place that the shape does not know, or model bytes that are no model.

Pure: bytes and records in, a `Finding` out; `build_evidence` makes of it what is sent to the chain, field for field
what Challenges.sol takes. Everything compared with is committed on chain: model digest, seed, row count, shard root.
Bytes that are not the committed ones prove nothing about them: `NotProvableError` says what to demand instead.
Normative text: docs/spec/refutation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from provenance.crypto.merkle import Proof, leaf_hash, proof_path
from provenance.errors import ConditionError, ConditionUnmetError, ProvenanceError
from provenance.exact.allowed import AllowedCodes
from provenance.exact.conditional import prefix_size_of
from provenance.exact.sampler import Sampler, sampler_for
from provenance.table.conditions import Conditions, RowConditions, Segment
from provenance.values import Address, Digest, keccak256
from provenance.verify.published_shard import NotProvableError, PublishedShard

MODEL_CHUNK: Final = 2**64 - 1
"""The chunk number of a claim about the model itself; its row is 0."""
BATCH_ROWS = 4096

RowsDone = Callable[[int], None]
"""Called with how many more rows were recomputed."""


class Fault(StrEnum):
    """In what way a published row, chunk or model is invalid."""

    ROW = "row"
    LENGTH = "length"
    PLACE = "place"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is invalid, and where: row `row` of chunk `chunk` of shard `shard`; in words for people."""

    fault: Fault
    shard: int
    chunk: int
    row: int
    words: str


def find_invalid_row(
    published: PublishedShard,
    row: int | None = None,
    done: RowsDone = lambda _rows: None,
    *,
    threads: int = 1,
) -> Finding | None:
    """The first invalid row of the shard that the chain can be shown, None if every row is true.

    With `row` only that row of the shard is looked at (and its chunk's length, and the model). Raises
    NotProvableError for bytes that are not the committed ones, or for rows that are missing altogether.
    """
    if published.why_not_allowed:
        return Finding(Fault.MODEL, published.shard, MODEL_CHUNK, 0, published.why_not_allowed)
    published.require_committed_rows()
    if row is not None and not 0 <= row < published.rows:
        raise RowUnknownError(f"shard {published.shard} has rows 0 to {published.rows - 1}, found {row}")
    search = _Search(published, done, threads)
    if published.shown and not published.row_bytes:
        return search.in_shown(row)
    return search.first() if row is None else search.at(row)


class RowUnknownError(ProvenanceError, ValueError):
    """The shard has no such row."""


class _Search:
    """One shard, looked through from its first row."""

    def __init__(self, published: PublishedShard, done: RowsDone, threads: int) -> None:
        self._shard = published
        self._done = done
        self._threads = threads
        conditions, self._impossible = _possible(published)
        make = sampler_for(published.spec_version)
        self._sampler: Sampler = make(published.model, published.seed, published.shard, conditions=conditions)

    def first(self) -> Finding | None:
        shard = self._shard
        present = min(shard.rows, len(shard.row_bytes) // shard.row_width)
        impossible = self._first_impossible()
        stop = present if impossible is None else min(present, impossible)
        step = BATCH_ROWS * self._threads
        for first in range(0, stop, step):
            count = min(step, stop - first)
            false = self._first_false(first, count)
            if false is not None:
                return self._found(*false)
            self._done(count)
        if impossible is not None and impossible < present:
            return self._found(impossible, self._why_impossible(impossible))
        return self._wrong_length()

    def in_shown(self, row: int | None) -> Finding | None:
        """Only chunks that were shown on chain are in hand; `row` chooses the one that holds it."""
        shard = self._shard
        for shown in shard.shown:
            if not shard.is_in_place(shown):
                words = f"chunk {shown.index} of shard {shard.shard} stands in a tree of another shape"
                return Finding(Fault.PLACE, shard.shard, shown.index, 0, words)
        if row is not None and not shard.chunk(row // shard.per_chunk):
            raise NotProvableError(
                f"row {row} of shard {shard.shard} is in no chunk that was shown; demand it on chain",
                "chunk",
                row,
            )
        for shown in shard.shown:
            if row is not None and shown.index != row // shard.per_chunk:
                continue
            if len(shown.data) != shard.expected_length(shown.index):
                return self._length_of(shown.index)
            first = shown.index * shard.per_chunk
            rows = range(first, first + len(shown.data) // shard.row_width) if row is None else (row,)
            for each in rows:
                finding = self.at(each)
                if finding is not None:
                    return finding
        return None

    def at(self, row: int) -> Finding | None:
        chunk = row // self._shard.per_chunk
        if len(self._shard.chunk(chunk)) != self._shard.expected_length(chunk):
            return self._length_of(chunk)
        self._done(1)
        if self._segment_of(row) in self._impossible:
            return self._found(row, self._why_impossible(row))
        false = self._first_false(row, 1)
        return None if false is None else self._found(*false)

    def _first_false(self, first: int, count: int) -> tuple[int, str] | None:
        """The first row of a stretch that is not what it must be, and how."""
        width = self._shard.row_width
        found = np.frombuffer(self._bytes_of(first, count), np.uint8).reshape(count, width)
        for start, expected in self._expected(first, count):
            if isinstance(expected, str):
                return start, expected
            made = np.frombuffer(expected, np.uint8).reshape(-1, width)
            mine = found[start - first : start - first + len(made)]
            different = np.flatnonzero((mine != made).any(axis=1))
            if len(different):
                place = int(different[0])
                shown, right = mine[place].tobytes().hex(), made[place].tobytes().hex()
                return start + place, f"published 0x{shown}, the model makes 0x{right}"
        return None

    def _bytes_of(self, first: int, count: int) -> bytes:
        """The published rows; of shown chunks one row at a time."""
        shard, width = self._shard, self._shard.row_width
        if shard.row_bytes:
            return shard.row_bytes[first * width : (first + count) * width]
        chunk, place = divmod(first, shard.per_chunk)
        return shard.chunk(chunk)[place * width : (place + count) * width]

    def _expected(self, first: int, count: int) -> Iterator[tuple[int, bytes | str]]:
        """(first row, row bytes) of stretches, or (row, why it does not exist)."""
        try:
            yield first, self._sampler.row_bytes(first, count, BATCH_ROWS, threads=self._threads)
            return
        except ConditionUnmetError as error:
            if count == 1:
                yield first, f"no such row exists: {error}"
                return
        half = count // 2
        yield from self._expected(first, half)
        yield from self._expected(first + half, count - half)

    def _found(self, row: int, words: str) -> Finding:
        chunk, place = divmod(row, self._shard.per_chunk)
        words = f"row {row} of shard {self._shard.shard}: {words}"
        return Finding(Fault.ROW, self._shard.shard, chunk, place, words)

    def _wrong_length(self) -> Finding | None:
        """The first chunk of another length than the shape demands."""
        shard = self._shard
        chunks = max(len(shard.leaves), -(-shard.rows // shard.per_chunk))
        wrong = (i for i in range(chunks) if len(shard.chunk(i)) != shard.expected_length(i))
        chunk = next(wrong, None)
        return None if chunk is None else self._length_of(chunk)

    def _length_of(self, chunk: int) -> Finding:
        shard = self._shard
        found, expected = len(shard.chunk(chunk)), shard.expected_length(chunk)
        if found == 0:
            raise NotProvableError(
                f"shard {shard.shard} holds {len(shard.row_bytes) // shard.row_width} of {shard.rows} rows, the "
                "others are missing; demand a chunk on chain",
                "chunk",
                chunk * shard.per_chunk,
            )
        words = f"chunk {chunk} of shard {shard.shard} has {found} bytes, {expected} are due"
        return Finding(Fault.LENGTH, shard.shard, chunk, 0, words)

    # A segment that no code of the model can meet, or whose prefix steps are beyond the promised class, has no rows:
    # every published one of it is invalid.

    def _first_impossible(self) -> int | None:
        conditions = self._shard.conditions
        if conditions is None or not self._impossible:
            return None
        segments = conditions.segment_of(np.arange(self._shard.rows, dtype=np.uint64))
        rows = np.flatnonzero(np.isin(segments, sorted(self._impossible)))
        return int(rows[0]) if len(rows) else None

    def _segment_of(self, row: int) -> int | None:
        conditions = self._shard.conditions
        return None if conditions is None else int(conditions.segment_of(np.array([row], dtype=np.uint64))[0])

    def _why_impossible(self, row: int) -> str:
        segment = self._segment_of(row)
        assert segment is not None, "only conditions make rows impossible"
        return f"no such row exists: {self._impossible[segment]}"


def _possible(published: PublishedShard) -> tuple[RowConditions | None, Mapping[int, str]]:
    """The conditions with the segments freed of which the model can have no rows, and why, by their numbers."""
    model, conditions = published.decoded, published.conditions
    if isinstance(model, ProvenanceError) or conditions is None:
        return conditions, {}
    asked = conditions.conditions
    if asked.schema.digest != model.schema_digest:
        raise ConditionError(
            f"shard {published.shard}: the model makes rows of schema {model.schema_digest}, the order is about "
            f"{asked.schema.digest}; the chain does not know schemas and cannot judge that"
        )
    impossible: dict[int, str] = {}
    for number, segment in enumerate(asked.segments):
        allowed = {
            column: AllowedCodes(model.codebook, column, ranges) for column, ranges in segment.allowed.items()
        }
        beyond = prefix_size_of(model, allowed).beyond() if published.is_in_class else ""
        if not all(len(each.codes) for each in allowed.values()):
            impossible[number] = f"no code of the model meets {asked.describe(number)}"
        elif beyond:
            impossible[number] = (
                f"{asked.describe(number)} is beyond the size class that the terms promise: {beyond}"
            )
    if not impossible:
        return conditions, impossible
    segments = tuple(
        Segment(segment.rows) if number in impossible else segment
        for number, segment in enumerate(asked.segments)
    )
    return RowConditions(Conditions(asked.schema, segments), conditions.first_row), impossible


@dataclass(frozen=True, slots=True)
class Claim:
    """Row `row` of chunk `chunk` of shard `shard` of data set `dataset` is false."""

    dataset: int
    shard: int
    chunk: int
    row: int

    def commitment(self, challenger: Address, salt: Digest) -> Digest:
        """keccak256(abi.encode(challenger, dataset, shard, chunk, row, salt)): binds the claim to who makes it
        before anybody sees it."""
        words = (self.dataset, self.shard, self.chunk, self.row)
        return keccak256(bytes(12) + challenger + b"".join(word.to_bytes(32, "big") for word in words) + salt)


@dataclass(frozen=True, slots=True)
class ChallengeEvidence:
    """Everything that the chain needs to judge a claim. `model` is empty when it is stored in `model_parts`."""

    model_digests: tuple[Digest, ...]
    shard_root: Digest
    shard_proof: tuple[Digest, ...]
    chunk: bytes
    chunk_proof: Proof
    model: bytes
    model_parts: tuple[Address, ...]
    conditions: bytes


@dataclass(frozen=True, slots=True)
class RowQuery:
    """One row as RowVerifier is asked about it; `request_row` is the order's row that the shard begins at."""

    model_digest: Digest
    seed: Digest
    schema_digest: Digest
    size_class: int
    shard: int
    shard_rows: int
    request_row: int
    chunk: int
    row: int


def shard_proof(shard_roots: Sequence[Digest], shard: int) -> tuple[Digest, ...]:
    """Siblings of a shard's root up to the data-set root."""
    return proof_path([leaf_hash(i, root) for i, root in enumerate(shard_roots)], shard)


def build_evidence(
    published: PublishedShard,
    finding: Finding,
    model_digests: Sequence[Digest],
    shard_roots: Sequence[Digest],
    conditions: bytes,
    model_parts: Sequence[Address] = (),
) -> ChallengeEvidence:
    """The evidence of a finding. `conditions` are the order's in bytes, empty for whole tables; with
    `model_parts` the model is read from there."""
    is_row = finding.fault is not Fault.MODEL
    return ChallengeEvidence(
        model_digests=tuple(model_digests),
        shard_root=published.shard_root,
        shard_proof=shard_proof(shard_roots, published.shard),
        chunk=published.chunk(finding.chunk) if is_row else b"",
        chunk_proof=published.proof(finding.chunk) if is_row else Proof((), 0),
        model=b"" if model_parts else published.model,
        model_parts=tuple(model_parts),
        conditions=conditions,
    )


def query_of(published: PublishedShard, finding: Finding, request_row: int) -> RowQuery:
    """The question that RowVerifier answers about the finding of a shard that begins at this row of the order."""
    return RowQuery(
        published.model_digest,
        published.seed,
        published.schema_digest,
        int(published.is_in_class),
        published.shard,
        published.rows,
        request_row,
        finding.chunk,
        finding.row,
    )
