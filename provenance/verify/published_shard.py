"""One published shard: what the chain fixed of it, and the bytes in hand.

Bytes that are not the committed ones prove nothing about them; `NotProvableError` says what to demand instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from provenance.chain.ports import ShownChunk
from provenance.crypto.merkle import Proof, directed_proof, leaf_hash, path_shape, rows_per_chunk, tree_root
from provenance.errors import ModelError, ProvenanceError, UnknownVersionError
from provenance.exact.model import Model, decode_model, model_size
from provenance.record.terms import NO_SCHEMA
from provenance.table.conditions import RowConditions
from provenance.values import Digest, sha256

Demandable = Literal["model", "chunk"]


class NotProvableError(ProvenanceError):
    """These bytes are not what was committed, so the chain cannot be shown anything with them: `demand` is what
    the contributor can be asked to show on chain, `row` the row of the shard that it is about."""

    def __init__(self, message: str, demand: Demandable, row: int = 0) -> None:
        super().__init__(message)
        self.demand: Demandable = demand
        self.row = row


@dataclass(frozen=True)
class PublishedShard:
    """One shard: what the chain fixed of it, and the bytes in hand.

    `rows` is the promised number; `conditions` count from the shard's first row. Without `row_bytes` there are only
    the chunks that were `shown` on chain. schema_digest, is_in_class: what the terms say of the model; NO_SCHEMA where
    they are of a market that did not ask. Raises NotProvableError when the model is not the committed one.
    """

    shard: int
    rows: int
    model_digest: Digest
    shard_root: Digest
    seed: Digest
    spec_version: int
    model: bytes
    row_bytes: bytes
    conditions: RowConditions | None = None
    shown: tuple[ShownChunk, ...] = ()
    schema_digest: Digest = NO_SCHEMA
    is_in_class: bool = False

    def __post_init__(self) -> None:
        found = sha256(self.model)
        if found != self.model_digest:
            raise NotProvableError(
                f"shard {self.shard}: the model in hand has digest {found}, committed was {self.model_digest}; "
                "demand the model on chain",
                "model",
            )

    @cached_property
    def decoded(self) -> Model | ProvenanceError:
        """The model, or which rule of docs/spec/model.md its bytes break."""
        try:
            return decode_model(self.model)
        except (ModelError, UnknownVersionError) as error:
            return error

    @cached_property
    def why_not_allowed(self) -> str:
        """In words, what the chain can be shown against the model itself; empty for one that the terms allow."""
        model = self.decoded
        if isinstance(model, ProvenanceError):
            return f"the committed model is none: {model}"
        if self.schema_digest not in (NO_SCHEMA, model.schema_digest):
            return f"the model makes rows of schema {model.schema_digest}, ordered was {self.schema_digest}"
        beyond = model_size(model, len(self.model)).beyond() if self.is_in_class else ""
        return f"the model is beyond the size class that the terms promise: {beyond}" if beyond else ""

    @property
    def row_width(self) -> int:
        """Bytes of a row. Only of a model that is one."""
        return self._model.codebook.row_width

    @property
    def per_chunk(self) -> int:
        """Rows of a full chunk."""
        return rows_per_chunk(self.row_width)

    def chunk(self, index: int) -> bytes:
        """The published bytes of chunk `index`, empty beyond the last."""
        if not self.row_bytes:
            return next((chunk.data for chunk in self.shown if chunk.index == index), b"")
        size = self.per_chunk * self.row_width
        return self.row_bytes[index * size : (index + 1) * size]

    def proof(self, index: int) -> Proof:
        """From chunk `index` up to the shard's root."""
        if not self.row_bytes:
            return next(chunk.proof for chunk in self.shown if chunk.index == index)
        return directed_proof(self.leaves, index)

    def expected_length(self, index: int) -> int:
        """Bytes that chunk `index` must have by docs/spec/merkle.md, 0 beyond the last."""
        left = self.rows - index * self.per_chunk
        return max(0, min(left, self.per_chunk)) * self.row_width

    def is_in_place(self, shown: ShownChunk) -> bool:
        """Whether a shown chunk's path is that of a tree over the shard's rows; only then can the root be theirs."""
        proof, chunks = shown.proof, -(-self.rows // self.per_chunk)
        return (len(proof.siblings), proof.path) == path_shape(shown.index, chunks)

    @cached_property
    def leaves(self) -> tuple[Digest, ...]:
        """The leaves of the published chunks, whatever their lengths."""
        size = self.per_chunk * self.row_width
        return tuple(leaf_hash(i, self.chunk(i)) for i in range(-(-len(self.row_bytes) // size)))

    def require_committed_rows(self) -> None:
        """Raises NotProvableError unless the rows in hand are those under the recorded root. Of chunks that were
        shown on chain the chain has checked that."""
        if self.shown and not self.row_bytes:
            return
        found = tree_root(self.leaves) if self.leaves else None
        if found != self.shard_root:
            raise NotProvableError(
                f"shard {self.shard}: the rows in hand have root {found}, recorded is {self.shard_root}; "
                "demand a chunk on chain",
                "chunk",
            )

    @property
    def _model(self) -> Model:
        if isinstance(self.decoded, ProvenanceError):
            raise self.decoded
        return self.decoded
