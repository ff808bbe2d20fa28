"""The score of a data set's shards: evidence checked, copies grouped, shares computed, the file to publish.

The arithmetic of the shares is provenance.record.contribution, the same that a buyer's verifier runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import EvaluationError
from generator.evaluation.duplicates import duplicate_groups, similarities
from generator.marginals.workload import Workload
from provenance.record.contribution import (
    EXACT_PLAYERS,
    SAMPLED_ORDERS,
    Contribution,
    Integers,
    ShardEvidence,
    Tables,
    evidence_rows,
)

FORMAT = "tessera-score/1"
_MAX_ROWS = 1 << 32


@dataclass(frozen=True)
class Score:
    """Shares in basis points (they sum to 10,000), values in millionths, and the document to publish."""

    shares_bps: tuple[int, ...]
    values_micro: tuple[int, ...]
    document: dict[str, object]


def score_shards(evidence: Sequence[ShardEvidence], pairs: Workload, pool_counts: Integers) -> Score:
    """Score a data set's shards over the two-way tables `pairs`.

    pool_counts int64[K]: pair counts of all delivered rows together, which hold-out scores are taken of.
    Raises EvaluationError if the evidence does not fit the tables or contradicts itself.
    """
    check_evidence(evidence, pairs, pool_counts)
    tables = pair_tables_of(pairs)
    alike = similarities(evidence, tables)
    players = duplicate_groups(alike, len(evidence))
    contribution = Contribution(tables, evidence, players)
    values = contribution.values()
    shares = contribution.shares_bps(values)
    document: dict[str, object] = {
        "format": FORMAT,
        "codeCounts": list(tables.code_counts),
        "tables": [list(pair) for pair in tables.pairs],
        "shards": [_shard_document(item) for item in evidence],
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
