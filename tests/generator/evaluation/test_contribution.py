"""Contribution: what plain Shapley values get wrong must come out right, and anyone must get the same."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.evaluation.contribution import recompute_score, score_shards
from generator.evaluation.errors import EvaluationError
from generator.evaluation.reference import ShardEvidence, reference_weights
from generator.marginals.measure import table_counts
from generator.marginals.workload import Workload, choose_workload
from provenance import canonical

PAIRS = choose_workload((8, 8, 8, 8, 8), None)
Codes = NDArray[np.int64]


def honest(rows: int, seed: int) -> Codes:
    random = np.random.default_rng(seed)
    hidden = random.integers(0, 8, rows)
    noisy = (hidden[:, None] + random.integers(0, 4, (rows, 5))) % 8
    return noisy.astype(np.int64)


def shuffled(rows: int, seed: int) -> Codes:
    return np.random.default_rng(seed).permuted(honest(rows, seed), axis=0)


def evidence(
    shard: Codes, own: Codes, std: float = 0.0, seed: int = 0, claimed: int | None = None
) -> ShardEvidence:
    noise = np.random.default_rng(seed).normal(0, std, PAIRS.cells) if std else np.zeros(PAIRS.cells)
    return ShardEvidence.from_release(
        len(shard), table_counts(shard, PAIRS), table_counts(own, PAIRS) + noise,
        np.full(len(PAIRS.tables), std**2), claimed or len(own),
    )  # fmt: skip


def node(rows: int, seed: int, std: float = 0.0) -> ShardEvidence:
    return evidence(honest(rows, 100 + seed), honest(rows, seed), std, seed)


def test_refuses_evidence_that_does_not_count_its_rows_or_fits_other_tables() -> None:
    good = node(500, 1)
    with pytest.raises(EvaluationError, match="of 501 rows"):
        score_shards([replace(good, rows=501)], PAIRS)
    with pytest.raises(EvaluationError, match="other tables"):
        score_shards([replace(good, reference_counts=good.reference_counts[1:])], PAIRS)
    with pytest.raises(EvaluationError, match="no shards"):
        score_shards([], PAIRS)
    with pytest.raises(EvaluationError, match="two-way"):
        score_shards([good], Workload((2, 2, 2), ((0, 1, 2),)))


@pytest.mark.parametrize(
    "field", ["sharesBps", "utilities", "valuesMicro", "players", "shards", "format", "extra"]
)
def test_refuses_a_score_file_in_which_anything_was_changed(field: str) -> None:
    document = copy.deepcopy(score_shards([node(800, 1), node(400, 2)], PAIRS).document)
    if field == "shards":
        document["shards"][0]["claimedRows"] = 700  # type: ignore[index]
    else:
        document[field] = "tessera-score/2"
    with pytest.raises(EvaluationError, match="score document"):
        recompute_score(document)


@pytest.mark.parametrize("damage", [{}, {"tables": [[0]]}, {"shards": [7]}, {"codeCounts": "x"}])
def test_refuses_a_score_file_that_is_none(damage: dict[str, object]) -> None:
    document = {} if not damage else {**score_shards([node(400, 1)], PAIRS).document, **damage}
    with pytest.raises(EvaluationError):
        recompute_score(document)


def test_score_file_is_canonical_and_recomputes_to_the_same_shares() -> None:
    score = score_shards([node(900, 1, 2.0), node(500, 2, 2.0), node(300, 3, 2.0)], PAIRS)
    read = canonical.decode(canonical.encode(score.document))
    assert recompute_score(read).shares_bps == score.shares_bps
    assert sum(score.shares_bps) == 10_000


def test_one_shard_takes_all_and_more_rows_of_the_same_kind_earn_more() -> None:
    assert score_shards([node(500, 1)], PAIRS).shares_bps == (10_000,)
    shares = score_shards([node(3000, 1), node(1500, 2), node(700, 3)], PAIRS).shares_bps
    assert shares[0] > shares[1] > shares[2] > 0


def test_splitting_a_shard_in_two_gains_next_to_nothing() -> None:
    whole = score_shards([node(3000, 1), node(3000, 2)], PAIRS).shares_bps[0]
    shard, own = honest(3000, 101), honest(3000, 1)
    parts = [evidence(shard[i::2], own[i::2]) for i in (0, 1)]
    split = score_shards([*parts, node(3000, 2)], PAIRS).shares_bps
    assert split[0] + split[1] < whole * 1.1


def test_a_copy_of_anothers_table_is_told_and_shares_its_pay() -> None:
    own = honest(3000, 1)
    nodes = [
        evidence(honest(3000, 101), own, 2.0, 1),
        evidence(honest(3000, 102), own, 2.0, 2),
        node(3000, 3, 2.0),
    ]
    score = score_shards(nodes, PAIRS)
    assert score.document["players"] == [[0, 1], [2]]
    assert score.shares_bps[0] + score.shares_bps[1] < 6000


def test_independent_samples_are_not_called_copies_and_noise_accuses_nobody() -> None:
    for std in (0.0, 3.0, 300.0):
        players = score_shards([node(2000, seed, std) for seed in range(4)], PAIRS).document["players"]
        assert players == [[0], [1], [2], [3]]


def test_garbage_that_enters_its_own_reference_earns_nothing() -> None:
    garbage = shuffled(1500, 9)
    score = score_shards([node(4000, 1), node(3000, 2), evidence(garbage, garbage)], PAIRS)
    assert score.shares_bps[2] == 0
    assert score.values_micro[2] < 0


def test_a_hundred_rows_beside_thousands_earn_almost_nothing() -> None:
    assert score_shards([node(4000, 1), node(3000, 2), node(100, 3)], PAIRS).shares_bps[2] < 100


def test_a_boast_counts_for_what_the_release_adds_up_to() -> None:
    boast = evidence(honest(500, 101), honest(500, 1), claimed=1_000_000)
    weights = reference_weights([boast, node(2000, 2), node(2000, 3)], PAIRS)
    assert weights == [500, 2000, 2000]
    large = [node(rows, seed) for seed, rows in enumerate((20_000, 1000, 1000))]
    assert reference_weights(large, PAIRS) == [3000, 1000, 1000]


def test_nobody_worth_anything_is_paid_by_rows() -> None:
    nodes = [evidence(shuffled(n, s), honest(n, s + 50)) for s, n in enumerate((3000, 1000))]
    score = score_shards(nodes, PAIRS)
    assert max(score.values_micro) <= 0
    assert score.shares_bps == (7500, 2500)


def test_eleven_nodes_are_sampled_and_still_recompute() -> None:
    score = score_shards([node(300, seed) for seed in range(11)], PAIRS)
    assert score.document["method"] == "400 orders"
    assert recompute_score(score.document).shares_bps == score.shares_bps
    assert max(score.shares_bps) < 2 * min(score.shares_bps)
