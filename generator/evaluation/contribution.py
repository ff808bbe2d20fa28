"""The score of a data set's shards: evidence checked, copies grouped, shares computed, the file to publish.

The arithmetic of the shares is provenance.record.contribution, the same that a buyer's verifier runs.

Whether two nodes hold the same rows is a test on their noisy releases, which are all that leaves a node. Two
independent samples of one population differ by sampling error plus noise; samples of different populations by more;
copies by noise alone. The estimate is the weighted mean of (difference^2 - noise variance) over the sampling variance:
1 for independent samples, 0 for copies, about 1 - overlap between. Weights s / (s + v)^2 (sampling variance s, noise
variance v) favour the cells above the noise. Where noise would hide the answer, nobody is accused. Sums are exactly
rounded (math.fsum), so that every machine gets the same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.marginals.workload import Workload
from provenance.record.contribution import (
    EXACT_PLAYERS,
    SAMPLED_ORDERS,
    SUM,
    Contribution,
    Integers,
    ShardEvidence,
    Tables,
    evidence_rows,
)
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


FORMAT = "tessera-score/2"
_MAX_ROWS = 1 << 32


@dataclass(frozen=True)
class Score:
    """Shares of the delivered shards in basis points (with those of undelivered ones they sum to 10,000), values in
    millionths, and the document to publish."""

    shares_bps: tuple[int, ...]
    values_micro: tuple[int, ...]
    document: dict[str, object]


def score_shards(
    evidence: Sequence[ShardEvidence],
    pairs: Workload,
    pool_counts: Integers,
    undelivered: Sequence[int] = (),
    *,
    is_sum: bool = False,
) -> Score:
    """Score a data set's shards over the two-way tables `pairs`.

    pool_counts int64[K]: pair counts of all delivered rows together, which hold-out scores are taken of. undelivered:
    rows of each shard that is published by its receipt alone. is_sum: the references are equal parts of the sum of all
    nodes' tables, the only one that was seen: they tell nobody a copy.
    Raises EvaluationError if the evidence does not fit the tables or contradicts itself.
    """
    check_evidence(evidence, pairs, pool_counts)
    tables = pair_tables_of(pairs)
    alike = {} if is_sum else similarities(evidence, tables)
    players = duplicate_groups(alike, len(evidence))
    contribution = Contribution(tables, evidence, players)
    values = contribution.values()
    shares = contribution.shares_bps(values, undelivered)
    document: dict[str, object] = {
        "format": FORMAT,
        "codeCounts": list(tables.code_counts),
        "tables": [list(pair) for pair in tables.pairs],
        "shards": [_shard_document(item) for item in evidence],
        "undelivered": list(undelivered),
        "poolCounts": pool_counts.tolist(),
        "referenceWeights": contribution.reference_weights,
        "similarities": [
            {"shards": [a, b], "differenceMicro": difference} for (a, b), difference in sorted(alike.items())
        ],
        "players": [list(player) for player in players],
        "method": "exact" if len(players) <= EXACT_PLAYERS else f"{SAMPLED_ORDERS} orders",
        "utilities": contribution.utilities(),
        "valuesMicro": values,
        "sharesBps": list(shares),
    }
    if is_sum:
        document["references"] = SUM
    return Score(shares, tuple(values), document)


def pair_tables_of(pairs: Workload) -> Tables:
    """The two-way tables as provenance.record.contribution takes them; EvaluationError for tables over three."""
    if any(len(table) != 2 for table in pairs.tables):
        raise EvaluationError("scores are over two-way tables; project the workload with pair_workload first")
    return Tables(pairs.code_counts, tuple((table[0], table[1]) for table in pairs.tables))


def check_evidence(evidence: Sequence[ShardEvidence], pairs: Workload, pool_counts: Integers) -> None:
    """Raises EvaluationError unless all fits the tables, and every table counts the rows that it must."""
    if not evidence:
        raise EvaluationError("no shards to score; a data set has at least one")
    tables = pair_tables_of(pairs)
    for k, item in enumerate(evidence):
        shapes = (item.evidence_counts.shape, item.reference_counts.shape, item.noise_variances.shape)
        if shapes != ((tables.cells,), (tables.cells,), (len(tables.pairs),)):
            raise EvaluationError(f"shard {k}: found evidence of shapes {shapes}; it is over other tables")
        if not (1 <= item.rows < _MAX_ROWS and 1 <= item.claimed_rows < _MAX_ROWS):
            raise EvaluationError(
                f"shard {k}: rows {item.rows}, claimed {item.claimed_rows}; expected 1 to 2^32"
            )
        if np.abs(item.reference_counts).max() >= _MAX_ROWS:
            raise EvaluationError(f"shard {k}: a count is out of range; distrust its node")
        check_counts(item.evidence_counts, tables, evidence_rows(item.rows), f"shard {k}, evidence")
    check_counts(pool_counts, tables, sum(item.rows for item in evidence), "the pool")


def check_counts(counts: Integers, tables: Tables, rows: int, what: str) -> None:
    """Raises EvaluationError unless int64[K] `counts` are non-negative and every table counts `rows` rows."""
    if counts.shape != (tables.cells,):
        raise EvaluationError(f"{what}: found counts of shape {counts.shape}; it is over other tables")
    if counts.min() < 0 or counts.max() > rows:
        raise EvaluationError(f"{what}: a count is out of range; distrust its node")
    totals = tables.totals(counts)
    if (totals != rows).any():
        raise EvaluationError(f"{what}: a table counts {totals.min()}..{totals.max()} of {rows} rows")


def _shard_document(item: ShardEvidence) -> dict[str, object]:
    return {
        "rows": item.rows,
        "claimedRows": item.claimed_rows,
        "evidenceCounts": item.evidence_counts.tolist(),
        "referenceCounts": item.reference_counts.tolist(),
        "noiseVariances": item.noise_variances.tolist(),
    }
