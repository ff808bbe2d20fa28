"""What a challenge carries: the claim, its commitment, and the bytes with their proofs up to the data-set root.

Field for field what Challenges.sol takes. Normative text: docs/spec/refutation.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.crypto.directed_proof import Proof
from provenance.crypto.merkle import leaf_hash, proof_path
from provenance.values import Address, Digest, keccak256
from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import Fault, Finding


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
class Evidence:
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
) -> Evidence:
    """The evidence of a finding. `conditions` are the order's in bytes, empty for whole tables; with
    `model_parts` the model is read from there."""
    is_row = finding.fault is not Fault.MODEL
    return Evidence(
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
        published.shard,
        published.rows,
        request_row,
        finding.chunk,
        finding.row,
    )
