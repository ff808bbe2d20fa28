"""What challenges, demands and the judge of rows take and give: values and Protocols. Imports nothing heavy.

What they mean: docs/spec/refutation.md. The real reader and writer are ChainReader and ChainWriter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from provenance.values import Address, Digest

MODEL_CLAIM_CHUNK = 2**64 - 1
"""The chunk number in the commitment of a claim about a model's bytes; its row is 0."""


class Verdict(IntEnum):
    """What RowVerifier says of a published row or of a model, in the contract's order."""

    AGREES = 0
    DIFFERS = 1
    MALFORMED = 2
    OTHER_SCHEMA = 3
    OUTSIDE_CLASS = 4


@dataclass(frozen=True, slots=True)
class RowAttempts:
    """Attempts 0 .. made - 1 of a row are known not to meet its conditions. Until `open_from`, in chain seconds, that
    counts for claims only that were committed to before block `first_block`."""

    made: int
    first_block: int
    open_from: int

    def count_for(self, committed_block: int, now: int) -> int:
        """How many of them a claim need not show again."""
        return self.made if committed_block < self.first_block or now >= self.open_from else 0


ATTEMPTS_HEAD_START_SECONDS: Final = 15 * 60
"""How long the attempts that somebody showed count for earlier claims only."""


class DemandKind(IntEnum):
    """What a demand asks for, in the contract's order."""

    NONE = 0
    RECEIPT = 1
    MODEL = 2
    CHUNK = 3
    COMMITMENT = 4
    SALT = 5
    EVALUATION = 6
    MANIFEST = 7


MANIFEST_SHARD = 2**32 - 1
"""The shard number under which a manifest is demanded: it is the broker's."""


@dataclass(frozen=True, slots=True)
class DemandOnChain:
    """An open demand about one shard of an order; kind NONE when there is none. Times in chain seconds, the
    deposit in token wei; `row` is the row whose chunk is asked for."""

    order: Digest
    shard: int
    kind: DemandKind
    demander: Address
    answer_by: int
    deposit: int
    row: int

    @property
    def is_open(self) -> bool:
        return self.kind is not DemandKind.NONE


class FalseRowClaim(Protocol):
    """Row `row` of chunk `chunk` of shard `shard` of data set `dataset` is false."""

    @property
    def dataset(self) -> int: ...
    @property
    def shard(self) -> int: ...
    @property
    def chunk(self) -> int: ...
    @property
    def row(self) -> int: ...


class DirectedProof(Protocol):
    """Siblings from a leaf up; bit k of `path` is 1 when sibling k stands left."""

    @property
    def siblings(self) -> Sequence[Digest]: ...
    @property
    def path(self) -> int: ...


class FalseRowEvidence(Protocol):
    """The bytes behind a claim, with their proofs up to the data-set root. `model` is empty when it is stored
    in `model_parts`; `conditions` are in bytes, empty for whole tables."""

    @property
    def model_digests(self) -> Sequence[Digest]: ...
    @property
    def shard_root(self) -> Digest: ...
    @property
    def shard_proof(self) -> Sequence[Digest]: ...
    @property
    def chunk(self) -> bytes: ...
    @property
    def chunk_proof(self) -> DirectedProof: ...
    @property
    def model(self) -> bytes: ...
    @property
    def model_parts(self) -> Sequence[Address]: ...
    @property
    def conditions(self) -> bytes: ...


class RowQuestion(Protocol):
    """One row as RowVerifier is asked about it. `row` counts in its chunk; `request_row` is the row of the
    order that the shard begins at; schema_digest and size_class are those of the terms."""

    @property
    def model_digest(self) -> Digest: ...
    @property
    def seed(self) -> Digest: ...
    @property
    def schema_digest(self) -> Digest: ...
    @property
    def size_class(self) -> int: ...
    @property
    def shard(self) -> int: ...
    @property
    def shard_rows(self) -> int: ...
    @property
    def request_row(self) -> int: ...
    @property
    def chunk(self) -> int: ...
    @property
    def row(self) -> int: ...
