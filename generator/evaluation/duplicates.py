"""Do two nodes hold the same rows? A test on their noisy releases, which are all that leaves a node.

Two independent samples of one population differ by sampling error plus noise; samples of different
populations by more; copies by noise alone. The estimate is the weighted mean of (difference^2 - noise
variance) over the sampling variance: 1 for independent samples, 0 for copies, about 1 - overlap between.
Weights s / (s + v)^2 (sampling variance s, noise variance v) favour the cells above the noise.
Where noise would hide the answer, nobody is accused.

Sums are exactly rounded (math.fsum), so that every machine gets the same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.record.contribution import ShardEvidence, Tables
from provenance.units import MICRO, nearest

DUPLICATE_BELOW_MICRO = 500_000
_MAX_STD = 0.15

Floats = NDArray[np.float64]


def similarities(evidence: Sequence[ShardEvidence], tables: Tables) -> dict[tuple[int, int], int]:
    """Difference in millionths of each pair of nodes that can be told: 0 copies, 1,000,000 independent samples."""
    differences: dict[tuple[int, int], int] = {}
    for a in range(len(evidence)):
        for b in range(a + 1, len(evidence)):
            difference = _difference(evidence[a], evidence[b], tables)
            if difference is not None:
                differences[a, b] = difference
    return differences


def duplicate_groups(alike: Mapping[tuple[int, int], int], shards: int) -> list[list[int]]:
    """Shards grouped by (chains of) likeness; most groups are single shards. In order of their first shard."""
    group = list(range(shards))
    for (a, b), difference in sorted(alike.items()):
        if difference < DUPLICATE_BELOW_MICRO:
            old, new = max(group[a], group[b]), min(group[a], group[b])
            group = [new if g == old else g for g in group]
    return [[k for k in range(shards) if group[k] == g] for g in sorted(set(group))]


def _difference(first: ShardEvidence, second: ShardEvidence, tables: Tables) -> int | None:
    rows_1, rows_2 = first.released_rows, second.released_rows
    p_1, p_2 = first.reference_counts / rows_1, second.reference_counts / rows_2
    v_1, v_2 = (np.repeat(item.noise_variances, tables.sizes).astype(np.float64) for item in (first, second))
    noise = v_1 / rows_1**2 + v_2 / rows_2**2
    pooled = np.clip((first.reference_counts + second.reference_counts) / (rows_1 + rows_2), 0.0, 1.0)
    sampling = pooled * (1 - pooled) * (1 / rows_1 + 1 / rows_2)
    usable = sampling > 0
    s, v, d = sampling[usable], noise[usable], (p_1 - p_2)[usable]
    weight = s / (s + v) ** 2
    expected = math.fsum(weight * s)
    if not expected > 0:
        return None
    spread = math.sqrt(2 * math.fsum((weight * (s + v)) ** 2)) / expected
    if spread > _MAX_STD:
        return None
    estimate = math.fsum(weight * (d * d - v)) / expected
    return nearest(min(max(estimate, 0.0), 1000.0), MICRO)
