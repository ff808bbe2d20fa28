"""Contribution: what plain Shapley values get wrong must come out right, and anyone must get the same."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.contribution import Score, pair_tables_of, score_shards
from generator.marginals.measure import table_counts
from generator.marginals.workload import Workload, choose_workload
from provenance import canonical
from provenance.record.contribution import EVIDENCE_ROWS, Contribution, ShardEvidence, evidence_rows

PAIRS = choose_workload((8, 8, 8, 8, 8), None)
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """A shard as the market knows it: the evidence, and the counts of the rows delivered."""

    evidence: ShardEvidence
    delivered: Codes


def honest(rows: int, seed: int) -> Codes:
    random = np.random.default_rng(seed)
    hidden = random.integers(0, 8, rows)
    noisy = (hidden[:, None] + random.integers(0, 4, (rows, 5))) % 8
    return noisy.astype(np.int64)


def shuffled(rows: int, seed: int) -> Codes:
    return np.random.default_rng(seed).permuted(honest(rows, seed), axis=0)


def counts(codes: Codes) -> Codes:
    return table_counts(codes, PAIRS).astype(np.int64)


def shard(
    rows: int, stream: Codes, own: Codes, std: float = 0.0, seed: int = 0, claimed: int | None = None
) -> Shard:
    noise = np.random.default_rng(seed).normal(0, std, PAIRS.cells) if std else np.zeros(PAIRS.cells)
    released = np.rint(counts(own) + noise).astype(np.int64)
    variances = np.full(len(PAIRS.tables), int(np.ceil(std**2)))
    evidence = ShardEvidence(rows, claimed or len(own), counts(stream), released, variances)
    return Shard(evidence, counts(stream[:rows]))


def node(rows: int, seed: int, std: float = 0.0, trained_on: int | None = None) -> Shard:
    """A generator as good as the population it learned: its stream are fresh rows of that population."""
    own = honest(trained_on or rows, seed)
    return shard(rows, honest(evidence_rows(rows), 100 + seed), own, std, seed)


def garbage(rows: int, seed: int, trained_on: int | None = None) -> Shard:
    """Columns right, nothing between them; its release says the same."""
    return shard(rows, shuffled(evidence_rows(rows), seed + 100), shuffled(trained_on or rows, seed))


def score(shards: list[Shard]) -> Score:
    pool = np.sum([shard.delivered for shard in shards], axis=0)
    return score_shards([shard.evidence for shard in shards], PAIRS, pool)


def weights(shards: list[Shard]) -> list[int]:
    evidence = [shard.evidence for shard in shards]
    return Contribution(pair_tables_of(PAIRS), evidence, [[k] for k in range(len(shards))]).reference_weights


def test_refuses_evidence_that_does_not_count_its_rows_or_fits_other_tables() -> None:
    good = node(500, 1)
    evidence, pool = good.evidence, good.delivered
    with pytest.raises(EvaluationError, match=f"of {EVIDENCE_ROWS + 1} rows"):
        score_shards([replace(evidence, rows=EVIDENCE_ROWS + 1)], PAIRS, pool)
    with pytest.raises(EvaluationError, match=r"evidence: a table counts 500\.\.500 of 16384 rows"):
        score_shards([replace(evidence, evidence_counts=pool)], PAIRS, pool)
    with pytest.raises(EvaluationError, match="other tables"):
        score_shards([replace(evidence, reference_counts=evidence.reference_counts[1:])], PAIRS, pool)
    with pytest.raises(EvaluationError, match="no shards"):
        score_shards([], PAIRS, pool)
    with pytest.raises(EvaluationError, match="two-way"):
        score_shards([evidence], Workload((2, 2, 2), ((0, 1, 2),)), pool)


def test_refuses_a_pool_that_does_not_count_the_delivered_rows() -> None:
    good = node(500, 1)
    for pool in (good.evidence.evidence_counts, good.delivered[1:], good.delivered - 1):
        with pytest.raises(EvaluationError, match="the pool"):
            score_shards([good.evidence], PAIRS, pool)


def test_score_file_is_canonical_and_holds_evidence_and_delivered_counts() -> None:
    shards = [node(900, 1, 2.0), node(500, 2, 2.0), node(300, 3, 2.0)]
    result = score(shards)
    assert canonical.decode(canonical.encode(copy.deepcopy(result.document))) == result.document
    assert sum(result.shares_bps) == 10_000
    document: dict[str, Any] = dict(result.document)
    assert sum(document["poolCounts"][:64]) == 1700
    for item in document["shards"]:
        assert sum(item["evidenceCounts"][:64]) == EVIDENCE_ROWS


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows", [(334, 333, 333), (700, 200, 100), (1000, 600, 400)])
def test_equally_good_shards_of_a_small_order_are_paid_about_by_their_rows(
    rows: tuple[int, ...], seed: int
) -> None:
    shards = [node(own, 10 * seed + k, 20.0, trained_on=8000) for k, own in enumerate(rows)]
    shares = score(shards).shares_bps
    for own, share in zip(rows, shares, strict=True):
        assert share / 10_000 == pytest.approx(own / sum(rows), abs=0.03)


def test_shares_do_not_follow_the_luck_of_the_delivered_rows() -> None:
    """Other delivered rows of the same models, the same shares: only the pool's counts differ."""
    shards = [node(300, seed, trained_on=4000) for seed in range(3)]
    lucky = replace(shards[0], delivered=counts(honest(300, 999)))
    first, second = score(shards), score([lucky, *shards[1:]])
    assert first.shares_bps == second.shares_bps
    assert first.document["poolCounts"] != second.document["poolCounts"]


@pytest.mark.parametrize("rows", [100, 500])
def test_garbage_in_a_small_order_is_worth_nothing_and_paid_its_floor(rows: int) -> None:
    shards = [*(node(500, seed, trained_on=4000) for seed in range(3)), garbage(rows, 9, trained_on=4000)]
    found = score(shards)
    assert found.values_micro[3] <= 0
    assert found.shares_bps[3] == 5000 * rows // (1500 + rows)
    assert min(found.shares_bps[:3]) > 2500 * (10_000 - found.shares_bps[3]) // 10_000


def test_one_shard_takes_all_and_more_rows_of_the_same_kind_earn_more() -> None:
    assert score([node(500, 1)]).shares_bps == (10_000,)
    shares = score([node(3000, 1), node(1500, 2), node(700, 3)]).shares_bps
    assert shares[0] > shares[1] > shares[2] > 0


def test_splitting_a_shard_in_two_gains_next_to_nothing() -> None:
    whole = score([node(3000, 1), node(3000, 2)]).shares_bps[0]
    own = honest(3000, 1)
    parts = [shard(1500, honest(EVIDENCE_ROWS, 101 + i), own[i::2]) for i in (0, 1)]
    split = score([*parts, node(3000, 2)]).shares_bps
    assert split[0] + split[1] < whole * 1.1


def test_a_copy_of_anothers_table_is_told_and_shares_its_pay() -> None:
    own = honest(3000, 1)
    nodes = [
        shard(2000, honest(EVIDENCE_ROWS, 101), own, 2.0, 1),
        shard(1000, honest(EVIDENCE_ROWS, 102), own, 2.0, 2),
        node(2000, 3, 2.0, trained_on=3000),
    ]
    result = score(nodes)
    assert result.document["players"] == [[0, 1], [2]]
    assert result.shares_bps[0] == pytest.approx(2 * result.shares_bps[1], abs=2)
    assert result.shares_bps[0] + result.shares_bps[1] < 6000


def test_independent_samples_are_not_called_copies_and_noise_accuses_nobody() -> None:
    for std in (0.0, 3.0, 300.0):
        players = score([node(2000, seed, std) for seed in range(4)]).document["players"]
        assert players == [[0], [1], [2], [3]]


def test_garbage_that_enters_its_own_reference_earns_nothing() -> None:
    result = score([node(4000, 1), node(3000, 2), garbage(1500, 9)])
    assert result.shares_bps[2] == 5000 * 1500 // 8500, "half of its part by rows, and no more"
    assert result.values_micro[2] < 0


def test_garbage_with_a_quarter_of_the_rows_halves_honest_values_but_not_their_shares() -> None:
    """The known limit of docs/spec/verification.md: garbage stands in the reference of all others."""
    nodes = [node(4000, seed, 5.0) for seed in range(3)]
    alone, beside = score(nodes), score([*nodes, garbage(4000, 50)])
    for before, after in zip(alone.values_micro, beside.values_micro, strict=False):
        assert 0.3 * before < after < 0.6 * before
    assert beside.shares_bps[3] == 1250
    assert beside.shares_bps[:3] == pytest.approx([8750 / 3] * 3, abs=150)


def test_a_hundred_rows_beside_thousands_earn_almost_nothing() -> None:
    assert score([node(4000, 1), node(3000, 2), node(100, 3)]).shares_bps[2] < 200


def test_a_boast_counts_for_what_the_release_adds_up_to() -> None:
    boast = shard(500, honest(EVIDENCE_ROWS, 101), honest(500, 1), claimed=1_000_000)
    assert weights([boast, node(2000, 2), node(2000, 3)]) == [500, 2000, 2000]
    large = [node(rows, seed) for seed, rows in enumerate((20_000, 1000, 1000))]
    assert weights(large) == [3000, 1000, 1000]


def test_nobody_worth_anything_is_paid_by_rows() -> None:
    nodes = [shard(n, shuffled(EVIDENCE_ROWS, s), honest(n, s + 50)) for s, n in enumerate((3000, 1000))]
    result = score(nodes)
    assert max(result.values_micro) <= 0
    assert result.shares_bps == (7500, 2500)


def test_eleven_nodes_are_sampled_and_paid_alike() -> None:
    result = score([node(300, seed) for seed in range(11)])
    assert result.document["method"] == "400 orders"
    assert max(result.shares_bps) < 2 * min(result.shares_bps)
