"""What a score is computed from, the same at the coordinator and at every node.

Per shard: exact pair counts of the rows delivered, which the pool is scored on; the same over the first rows
of its stream, at least EVIDENCE_ROWS, which shares are computed from; and its node's own released tables of
training, projected to the same pairs, or its equal part of all nodes' where only their sum was seen.  All are
integers, so that every party computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.contribution import Score, check_counts, pair_tables_of, score_shards
from generator.families.family import family_of
from generator.families.release_noise import reference_std, workload_of
from generator.families.secure_aggregation import uses_secure_aggregation
from generator.federation.plan import TrainingPlan
from generator.federation.task import Array
from generator.marginals.bins import encode_codes
from generator.marginals.measure import pair_noise_variances, pair_tables, table_counts, table_exponent
from generator.marginals.workload import Workload, choose_workload, pair_workload
from provenance import canonical
from provenance.exact.codebook import Codebook
from provenance.record.contribution import ShardEvidence, share_floors
from provenance.table.schema import Schema
from provenance.values import Address

Counts = NDArray[np.int64]
DELIVERED, EVIDENCE, REFERENCES = "deliveredCounts", "evidenceCounts", "referenceCounts"


def score_tables(codebook: Codebook, schema: Schema) -> Workload:
    """The two-way tables that shards are compared and scored on; they follow from the committed codebook."""
    return pair_workload(choose_workload(codebook.code_counts, schema.target_index, schema.unit_rows))


def pair_counts(values: NDArray[np.int64], codebook: Codebook, schema: Schema) -> Counts:
    """Exact counts int64[K] of the score's tables over grid indices int64[rows, C]."""
    counts = table_counts(encode_codes(values, codebook), score_tables(codebook, schema))
    return np.rint(counts).astype(np.int64)


def reference_counts(released: Array, codebook: Codebook, plan: TrainingPlan) -> Counts:
    """A node's released tables float64[cells] as pair counts int64[K]: rounded, free of privacy cost."""
    workload = released_tables(codebook, plan)
    return np.rint(pair_tables(np.asarray(released, dtype=np.float64), workload)).astype(np.int64)


def released_tables(codebook: Codebook, plan: TrainingPlan) -> Workload:
    """The tables that every node of the plan releases over this codebook."""
    return workload_of(plan, codebook, family_of(plan.family).table_noise(plan))


def released_exponent(codebook: Codebook, plan: TrainingPlan) -> int:
    """Of the grid that these tables' counts are on."""
    return table_exponent(released_tables(codebook, plan), family_of(plan.family).table_noise(plan))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The shards that were delivered, in ascending order: numbers and rows; counts of delivered rows, of evidence rows,
    and references, int64[shards, K] each. undelivered: number and rows of those published by their receipts alone.
    contributors: of every shard of the order; the plan may be of a training with more of them, in another order.
    """

    plan: TrainingPlan
    codebook: Codebook
    contributors: tuple[Address, ...]
    shards: tuple[int, ...]
    rows: tuple[int, ...]
    delivered: Counts
    streams: Counts
    references: Counts
    undelivered: Mapping[int, int] = field(default_factory=dict)

    def arrays(self) -> dict[str, Array]:
        return {DELIVERED: self.delivered, EVIDENCE: self.streams, REFERENCES: self.references}

    def tables(self) -> Workload:
        return score_tables(self.codebook, self.plan.schema)

    def score(self) -> Score:
        """Shares and the document behind them; pure, integers in and out."""
        pairs, variances = self.tables(), self._variances()
        for k, rows in enumerate(self.rows):
            check_counts(self.delivered[k], pair_tables_of(pairs), rows, f"shard {k}, delivered rows")
        members = [self.plan.participant(self.contributors[shard]) for shard in self.shards]
        shards = [
            ShardEvidence(rows, each.training_rows, stream, reference, variances)
            for each, rows, stream, reference in zip(
                members, self.rows, self.streams, self.references, strict=True
            )
        ]
        undelivered = tuple(self.undelivered.values())
        is_sum = uses_secure_aggregation(self.plan)
        return score_shards(shards, pairs, self.pooled(), undelivered, is_sum=is_sum)

    def shares_bps(self, score: Score) -> tuple[int, ...]:
        """The division of the price among all participants: nothing for one that was dropped, the floor for one that
        did not deliver."""
        floors = share_floors([*self.rows, *self.undelivered.values()])
        paid = dict(
            zip(
                (*self.shards, *self.undelivered), (*score.shares_bps, *floors[len(self.rows) :]), strict=True
            )
        )
        return tuple(paid.get(shard, 0) for shard in range(len(self.contributors)))

    def _variances(self) -> Counts:
        """Noise variance of a cell of each pair table, rounded up; the plan fixes it, no node is asked."""
        workload = released_tables(self.codebook, self.plan)
        released = family_of(self.plan.family).table_noise(self.plan) * workload.sensitivity
        std = reference_std(self.plan, released)
        return np.ceil(pair_noise_variances(workload, std)).astype(np.int64)

    def pooled(self) -> Counts:
        """Pair counts of the whole data set as delivered."""
        pooled: Counts = self.delivered.sum(axis=0)
        return pooled


def score_file(score: Score) -> bytes:
    """The plain bytes of the score file; every node and the coordinator compute the same."""
    return canonical.encode(score.document)


def stacked(arrays: Sequence[Array]) -> Counts:
    """One int64 row a shard."""
    return np.stack([np.asarray(array, dtype=np.int64) for array in arrays])


def references_of(
    plan: TrainingPlan,
    codebook: Codebook,
    references: Mapping[Address, Mapping[str, Array]],
    contributors: Sequence[Address],
) -> Counts:
    """The references of a training outcome, one of each contributor; all zero for a node whose release was useless."""
    nothing = np.zeros(released_tables(codebook, plan).cells)
    found = [references.get(contributor, {}).get("counts", nothing) for contributor in contributors]
    return stacked([reference_counts(counts, codebook, plan) for counts in found])
