"""Inclusion proofs for a reader that does not know how many leaves a tree has, such as a contract.

A leaf binds its index, so a proof along any path is sound: an honest tree holds honest leaves only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.crypto.merkle import proof_path
from provenance.values import Digest


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
