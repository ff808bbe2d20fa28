"""The public evidence behind a contribution score, and the reference made of it. Integers throughout.

Histograms are normalised to integers that sum to about ONE in each table (floor division loses less than a
cell's worth of 1e-9), so that sums and comparisons are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.errors import EvaluationError
from generator.marginals.workload import Workload

ONE = 1_000_000_000
CLAIM_CAP = 3
_MAX_ROWS = 1 << 32
_CLAIM_STDS = 4
_FACTOR_BITS = 20
_FINE_BITS = 10

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ShardEvidence:
    """What is known of one shard without its node's table.

    rows: rows of the shard. shard_counts int64[K]: pair counts of those rows. reference_counts int64[K]: the
    node's released pair counts (`measure.pair_tables`), rounded, noise included. noise_variances
    int64[tables]: variance of the noise on a cell of each table (`measure.pair_noise_variances`), rounded
    up; all 0 without privacy. claimed_rows: the training rows that the node declared.
    """

    rows: int
    shard_counts: Integers
    reference_counts: Integers
    noise_variances: Integers
    claimed_rows: int

    @classmethod
    def from_release(
        cls, rows: int, shard_counts: NDArray[np.float64], reference: NDArray[np.float64],
        noise_variances: NDArray[np.float64], claimed_rows: int,
    ) -> ShardEvidence:  # fmt: skip
        """Round the float results of `generator.marginals.measure` to evidence."""
        return cls(
            rows,
            np.rint(shard_counts).astype(np.int64),
            np.rint(reference).astype(np.int64),
            np.ceil(noise_variances).astype(np.int64),
            claimed_rows,
        )

    def document(self) -> dict[str, object]:
        """Canonical-JSON-able form."""
        return {
            "rows": self.rows,
            "claimedRows": self.claimed_rows,
            "shardCounts": self.shard_counts.tolist(),
            "referenceCounts": self.reference_counts.tolist(),
            "noiseVariances": self.noise_variances.tolist(),
        }

    @classmethod
    def parse(cls, value: object) -> ShardEvidence:
        """Inverse of `document`; raises EvaluationError naming the field."""
        if not isinstance(value, dict):
            raise EvaluationError("score document: a shard is not an object")
        shard_counts, reference_counts, noise_variances = (
            _integers(value, key) for key in ("shardCounts", "referenceCounts", "noiseVariances")
        )
        rows, claimed = value.get("rows"), value.get("claimedRows")
        if type(rows) is not int or type(claimed) is not int:
            raise EvaluationError("score document: 'rows' and 'claimedRows' of a shard must be integers")
        return cls(rows, shard_counts, reference_counts, noise_variances, claimed)


def check_evidence(evidence: Sequence[ShardEvidence], pairs: Workload) -> None:
    """Raises EvaluationError unless the evidence fits the tables and each shard's tables count its rows."""
    if not evidence:
        raise EvaluationError("no shards to score; a data set has at least one")
    if any(len(table) != 2 for table in pairs.tables):
        raise EvaluationError("scores are over two-way tables; project the workload with pair_workload first")
    for k, item in enumerate(evidence):
        shapes = (item.shard_counts.shape, item.reference_counts.shape, item.noise_variances.shape)
        if shapes != ((pairs.cells,), (pairs.cells,), (len(pairs.tables),)):
            raise EvaluationError(f"shard {k}: found evidence of shapes {shapes}; it is over other tables")
        if not (1 <= item.rows < _MAX_ROWS and 1 <= item.claimed_rows < _MAX_ROWS):
            raise EvaluationError(
                f"shard {k}: rows {item.rows}, claimed {item.claimed_rows}; expected 1 to 2^32"
            )
        if item.shard_counts.min() < 0 or np.abs(item.reference_counts).max() >= _MAX_ROWS:
            raise EvaluationError(f"shard {k}: a count is out of range; distrust its node")
        totals = np.add.reduceat(item.shard_counts, pairs.offsets[:-1])
        if (totals != item.rows).any():
            raise EvaluationError(
                f"shard {k}: a table counts {totals.min()}..{totals.max()} of {item.rows} rows"
            )


def released_rows(item: ShardEvidence, pairs: Workload) -> int:
    """The rows that a node's release adds up to: its tables' mean total, at least 1."""
    return max(int(item.reference_counts.sum()) // len(pairs.tables), 1)


def reference_weights(evidence: Sequence[ShardEvidence], pairs: Workload) -> list[int]:
    """Rows each node counts for in the reference: its claim, bounded by its release and by three median
    claims.
    """
    bounded = []
    for item in evidence:
        spread = max(size * int(v) for size, v in zip(pairs.sizes, item.noise_variances, strict=True))
        bounded.append(min(item.claimed_rows, released_rows(item, pairs) + _CLAIM_STDS * math.isqrt(spread)))
    ordered = sorted(bounded)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2
    return [max(min(rows, CLAIM_CAP * median), 1) for rows in bounded]


def reference_tables(
    evidence: Sequence[ShardEvidence], pairs: Workload, weights: Sequence[int], members: Sequence[int]
) -> Integers:
    """The members' releases, each scaled to its weight, summed, projected and normalised."""
    total = np.zeros(pairs.cells, dtype=np.int64)
    for k in members:
        # at most twice the release: what a claim adds to it is noise, and int64 must hold count * factor
        released = released_rows(evidence[k], pairs)
        factor = (min(weights[k], 2 * released) << _FACTOR_BITS) // released
        total += evidence[k].reference_counts * factor >> (_FACTOR_BITS - _FINE_BITS)
    projected = [_project(total[a:b]) for a, b in zip(pairs.offsets[:-1], pairs.offsets[1:], strict=True)]
    return normalised(np.concatenate(projected), pairs)


def normalised(counts: Integers, pairs: Workload) -> Integers:
    """Non-negative counts int64[K] scaled so that each table sums to ONE, floored; an empty table is
    uniform.
    """
    result = np.empty_like(counts)
    for a, b in zip(pairs.offsets[:-1], pairs.offsets[1:], strict=True):
        total = int(counts[a:b].sum())
        result[a:b] = _scaled(counts[a:b], total) if total > 0 else ONE // (b - a)
    return result


def independent_tables(reference: Integers, pairs: Workload) -> Integers:
    """Each table replaced by the product of its own margins."""
    parts = []
    for index, (i, j) in enumerate(pairs.tables):
        block = reference[pairs.offsets[index] : pairs.offsets[index + 1]]
        block = block.reshape(pairs.code_counts[i], pairs.code_counts[j])
        parts.append((block.sum(axis=1)[:, None] * block.sum(axis=0)[None, :] // ONE).ravel())
    return np.concatenate(parts)


def _integers(value: dict[object, object], key: str) -> Integers:
    numbers = value.get(key)
    if not isinstance(numbers, list) or not all(type(n) is int and abs(n) < 2**53 for n in numbers):
        raise EvaluationError(f"score document: field {key!r} of a shard is not a list of integers")
    return np.array(numbers, dtype=np.int64)


def _scaled(counts: Integers, total: int) -> Integers:
    """counts * ONE // total without leaving int64; beyond 2^32 the counts lose low bits first."""
    shrink = 1 + (total >> 32)
    return np.asarray((counts // shrink) * ONE // (total // shrink))


def _project(counts: Integers) -> Integers:
    """Nearest non-negative counts with (about) the same total: noise in empty cells cancels instead of
    adding.
    """
    total = max(int(counts.sum()), 0)
    low, high = 0, max(int(counts.max()), 1)
    while low < high:
        middle = (low + high) // 2
        if int(np.maximum(counts - middle, 0).sum()) > total:
            low = middle + 1
        else:
            high = middle
    return np.maximum(counts - low, 0)
