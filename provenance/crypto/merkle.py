"""Merkle trees in the shape of RFC 9162: over the chunks of a shard's rows, and over the shards of a data set.

A chunk is the largest power of two of rows that fits 4,096 bytes (at least one row). Leaves are bound to their
index and domain-separated from nodes; row count and row width fix the shape, so chunks can be neither missing
nor double. A `Proof` is for a reader that does not know the number of leaves, such as a contract: because a leaf
binds its index, a proof along any path is sound. Normative text: docs/spec/merkle.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.errors import MerkleError
from provenance.values import Digest

CHUNK_BYTES = 4096
_LEAF = b"\x00"
_NODE = b"\x01"
NO_SHARD: Final = Digest(bytes(32))
"""The leaf of a contributor that was dropped before the publication."""


def rows_per_chunk(row_width: int) -> int:
    """Rows in a full chunk: the largest power of two p with p * row_width <= 4,096, at least 1."""
    if row_width < 1:
        raise MerkleError(f"row width: found {row_width}, expected at least 1")
    return 1 << max(0, (CHUNK_BYTES // row_width).bit_length() - 1)


def chunk_count(rows: int, row_width: int) -> int:
    """Number of leaves of a shard of `rows` rows."""
    if rows < 1:
        raise MerkleError(f"found {rows} rows, expected at least 1; an empty shard has no root")
    return -(-rows // rows_per_chunk(row_width))


def chunk_of_row(row: int, row_width: int) -> int:
    """Index of the chunk that holds row number `row`."""
    return row // rows_per_chunk(row_width)


def leaf_hash(index: int, data: bytes | memoryview) -> Digest:
    """SHA-256(0x00 || u64 index || data): a chunk of rows, or a shard root in the data-set tree."""
    return Digest(hashlib.sha256(_LEAF + index.to_bytes(8, "big") + data).digest())


def shard_leaves(row_bytes: bytes, row_width: int, first_chunk: int = 0) -> list[Digest]:
    """Leaf hashes of the chunks of `row_bytes`, numbered from `first_chunk`.

    Whole chunks at a time, so that a caller may feed a large shard in pieces of whole chunks.
    """
    if not row_bytes or len(row_bytes) % row_width:
        raise MerkleError(
            f"found {len(row_bytes)} bytes of rows, expected whole rows of {row_width} bytes, at least 1"
        )
    size = rows_per_chunk(row_width) * row_width
    view = memoryview(row_bytes)
    return [
        leaf_hash(first_chunk + i, view[start : start + size])
        for i, start in enumerate(range(0, len(row_bytes), size))
    ]


def tree_root(leaves: Sequence[bytes]) -> Digest:
    """Root over leaf hashes, split at the largest power of two below their number."""
    if not leaves:
        raise MerkleError("found no leaves, expected at least 1")
    # pairing neighbours and carrying an odd last one up gives the same tree as RFC 9162's recursive split
    level = list(leaves)
    while len(level) > 1:
        pairs = [
            hashlib.sha256(_NODE + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(pairs) * 2 :]
    return Digest(level[0])


def shard_root(row_bytes: bytes, row_width: int) -> Digest:
    """Root of a shard's rows. Raises MerkleError if there is no row or a row is cut."""
    return tree_root(shard_leaves(row_bytes, row_width))


def leaves(roots: Mapping[int, Digest], shards: int) -> tuple[Digest, ...]:
    """The leaves of a data set's tree: the shards' roots, zero for a shard that was dropped."""
    return tuple(roots.get(shard, NO_SHARD) for shard in range(shards))


def dataset_root(shard_roots: Sequence[bytes]) -> Digest:
    """Root of a data set: leaves SHA-256(0x00 || u64 shard index || shard root)."""
    return tree_root([leaf_hash(i, Digest(root)) for i, root in enumerate(shard_roots)])


def proof_path(leaves: Sequence[bytes], index: int) -> tuple[Digest, ...]:
    """Sibling hashes from leaf `index` up to the root."""
    if not 0 <= index < len(leaves):
        raise MerkleError(f"leaf index: found {index}, expected 0 to {len(leaves) - 1}")
    path: list[Digest] = []
    level = list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(Digest(level[sibling]))
        pairs = [
            hashlib.sha256(_NODE + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(pairs) * 2 :]
        index //= 2
    return tuple(path)


def root_of_path(leaf: bytes, index: int, leaf_count: int, path: Sequence[bytes]) -> Digest:
    """The root that `path` leads to. Raises MerkleError if the path has not exactly the length the tree needs."""
    if not 0 <= index < leaf_count:
        raise MerkleError(f"leaf index: found {index}, expected 0 to {leaf_count - 1}")
    node, last, used = bytes(leaf), leaf_count - 1, 0
    while last:
        if index != last or index & 1:
            if used == len(path):
                raise MerkleError(f"proof: found {len(path)} hashes, expected more for {leaf_count} leaves")
            sibling = Digest(path[used])
            used += 1
            node = hashlib.sha256(_NODE + (sibling + node if index & 1 else node + sibling)).digest()
        index, last = index >> 1, last >> 1
    if used != len(path):
        raise MerkleError(f"proof: found {len(path)} hashes, expected {used} for {leaf_count} leaves")
    return Digest(node)


def inclusion_proof(row_bytes: bytes, row_width: int, chunk_index: int) -> tuple[bytes, tuple[Digest, ...]]:
    """(chunk bytes, path) that show chunk `chunk_index` of a shard to whoever knows its root and row count."""
    path = proof_path(shard_leaves(row_bytes, row_width), chunk_index)
    size = rows_per_chunk(row_width) * row_width
    return row_bytes[chunk_index * size : (chunk_index + 1) * size], path


def verify_inclusion(
    root: bytes, rows: int, row_width: int, chunk_index: int, chunk: bytes, path: Sequence[bytes]
) -> bool:
    """Whether `chunk` is chunk `chunk_index` of the shard with this root, number of rows and row width."""
    leaves = chunk_count(rows, row_width)
    per_chunk = rows_per_chunk(row_width)
    if not 0 <= chunk_index < leaves:
        return False
    expected = (min(rows, (chunk_index + 1) * per_chunk) - chunk_index * per_chunk) * row_width
    if len(chunk) != expected:
        return False
    try:
        return root_of_path(leaf_hash(chunk_index, chunk), chunk_index, leaves, path) == root
    except MerkleError:
        return False


@dataclass(frozen=True, slots=True)
class Proof:
    """Siblings from a leaf up; bit k of `path` is 1 when sibling k stands left."""

    siblings: tuple[Digest, ...]
    path: int


def directed_proof(leaves: Sequence[Digest], index: int) -> Proof:
    """The inclusion proof of leaf `index` for a reader that does not know the number of leaves."""
    return Proof(proof_path(leaves, index), path_shape(index, len(leaves))[1])


def path_shape(index: int, count: int) -> tuple[int, int]:
    """How many siblings leaf `index` of `count` has, and on which sides they stand, as in a `Proof`."""
    used = bits = 0
    while count > 1:
        if index ^ 1 < count:
            bits |= (index & 1) << used
            used += 1
        index, count = index // 2, -(-count // 2)
    return used, bits
