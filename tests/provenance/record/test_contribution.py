"""The arithmetic of shares against the rule in plain fractions over all orders of arrival, and one fixed result."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from provenance.record.contribution import EVIDENCE_ROWS, Contribution, ShardEvidence, Tables, evidence_rows

TABLES = Tables((2, 3, 2), ((0, 1), (0, 2), (1, 2)))


def shard(rows: int, seed: int, trained: int = 600) -> ShardEvidence:
    random = np.random.default_rng(seed)

    def codes(count: int) -> np.ndarray:
        first = random.integers(0, 2, count)
        second = np.where(random.random(count) < 0.3 + seed / 20, random.integers(0, 3, count), first + 1)
        return np.stack([first, second, second // 2], axis=1)

    evidence = TABLES.counts(codes(evidence_rows(rows)))
    return ShardEvidence(rows, trained, evidence, TABLES.counts(codes(trained)), np.zeros(3, dtype=np.int64))


def whole(parts: Iterable[Fraction]) -> Fraction:
    return sum(parts, Fraction(0))


def by_fractions(evidence: list[ShardEvidence]) -> list[Fraction]:
    """Values of single-shard players with exact releases and claims, straight from the rule."""
    players = range(len(evidence))

    def histogram(counts: np.ndarray) -> list[Fraction]:
        return [Fraction(int(n), int(counts[span].sum())) for span in TABLES.spans for n in counts[span]]

    own = [histogram(item.evidence_counts) for item in evidence]

    def reference(player: int) -> list[Fraction]:
        others = [evidence[k].reference_counts for k in players if k != player]
        return histogram(np.sum(others, axis=0))

    def independent(cells: list[Fraction]) -> list[Fraction]:
        parts: list[Fraction] = []
        for (a, b), span in zip(TABLES.pairs, TABLES.spans, strict=True):
            m, n = TABLES.code_counts[a], TABLES.code_counts[b]
            block = cells[span]
            parts += [
                whole(block[i * n : (i + 1) * n]) * whole(block[j::n]) for i in range(m) for j in range(n)
            ]
        return parts

    def utility(player: int, coalition: tuple[int, ...]) -> Fraction:
        wanted, rows = reference(player), sum(evidence[k].rows for k in coalition)
        mixed = independent(wanted) if not coalition else [
            whole(Fraction(evidence[k].rows, rows) * own[k][c] for k in coalition) for c in range(TABLES.cells)
        ]  # fmt: skip
        return 1 - whole(abs(x - y) for x, y in zip(mixed, wanted, strict=True)) / (2 * len(TABLES.pairs))

    values = [Fraction(0)] * len(evidence)
    for order in permutations(players):
        probability = Fraction(1)
        for place, k in enumerate(order):
            probability *= Fraction(evidence[k].rows, sum(evidence[j].rows for j in order[place:]))
        for place, k in enumerate(order):
            values[k] += probability * (utility(k, order[: place + 1]) - utility(k, order[:place]))
    return values


def test_small_shards_are_judged_on_as_many_rows_as_the_specification_says() -> None:
    assert [evidence_rows(rows) for rows in (1, 16_384, 16_385)] == [16_384, 16_384, 16_385]
    assert EVIDENCE_ROWS == 16_384


@pytest.mark.parametrize("rows", [(300, 300, 300), (20_000, 500, 40), (1, 2, 3)])
def test_values_are_those_of_the_rule_in_fractions(rows: tuple[int, ...]) -> None:
    evidence = [shard(own, seed) for seed, own in enumerate(rows)]
    found = Contribution(TABLES, evidence, [[0], [1], [2]]).values()
    exact = [value * 1_000_000 for value in by_fractions(evidence)]
    assert found == pytest.approx([float(value) for value in exact], abs=2)


def test_copies_count_by_delivered_rows_whatever_their_evidence_rows() -> None:
    """A player's histogram is its shards' by delivered rows: 20,000 evidence rows weigh no more for it."""
    evidence = [shard(20_000, 1), shard(5_000, 2), shard(700, 3)]
    player = Contribution(TABLES, evidence, [[0, 1], [2]])
    parts = [TABLES.normalised(item.evidence_counts).astype(float) for item in evidence]
    assert player._histograms[0] == pytest.approx((20_000 * parts[0] + 5_000 * parts[1]) / 25_000, abs=3)


def test_given_counts_have_these_shares() -> None:
    """Fixed, so that a change of any rounding is seen."""
    evidence = []
    for k, rows in enumerate((600, 300, 100)):
        table = np.array([[5000 + 900 * k, 1192, 2000], [1000, 4000 - 900 * k, 3192]])
        release = np.array([[210, 40 + k, 90], [35 - k, 180, 145]])
        evidence.append(ShardEvidence(rows, 700, table.ravel(), release.ravel(), np.array([9])))
    contribution = Contribution(Tables((2, 3), ((0, 1),)), evidence, [[0], [1], [2]])
    values = contribution.values()
    assert values == [156_095, 42_674, 2_434]
    assert contribution.shares_bps(values) == (7758, 2121, 121)
    assert contribution.utilities()[:3] == [[0, 0, 739_410], [0, 1, 968_179], [0, 2, 913_247]]
