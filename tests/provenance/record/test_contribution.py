"""The arithmetic of shares against the rule in plain fractions over all orders of arrival, and one fixed result."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provenance.record.contribution import (
    EVIDENCE_ROWS,
    Contribution,
    ShardEvidence,
    Tables,
    evidence_rows,
    share_floors,
    share_out,
)

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
    assert contribution.first_shares_bps(values) == (7758, 2121, 121), "as older data sets were divided"
    assert contribution.shares_bps(values) == (7460, 2040, 500), "the last has half of its tenth of the rows"
    assert contribution.shares_bps(values, [1000]) == (5693, 1557, 250)
    assert contribution.utilities()[:3] == [[0, 0, 739_410], [0, 1, 968_179], [0, 2, 913_247]]


# --- the floor

SHARDS = st.lists(st.tuples(st.integers(1, 2**40), st.integers(-(10**6), 10**6)), min_size=1, max_size=12)
"""Rows and value of each delivered shard."""
UNDELIVERED = st.lists(st.integers(1, 2**40), max_size=6)


def divide(shards: list[tuple[int, int]], undelivered: list[int]) -> tuple[tuple[int, ...], list[int]]:
    """Shares of the delivered shards, and the floors of all."""
    none = np.zeros(1, dtype=np.int64)
    evidence = [ShardEvidence(rows, 1, none, none, none) for rows, _ in shards]
    contribution = Contribution(TABLES, evidence, [[k] for k in range(len(shards))])
    shares = contribution.shares_bps([value for _, value in shards], undelivered)
    return shares, share_floors([*(rows for rows, _ in shards), *undelivered])


@given(shards=SHARDS, undelivered=UNDELIVERED)
def test_shares_are_the_whole_and_never_less_than_the_registry_asks_for_a_dissenter(
    shards: list[tuple[int, int]], undelivered: list[int]
) -> None:
    """DatasetRegistry._checkShare: share >= (10000 * rows) / (2 * rows of all shards that are not out), floored."""
    shares, floors = divide(shards, undelivered)
    rows, found = [*(rows for rows, _ in shards), *undelivered], [*shares, *floors[len(shards) :]]
    assert all(share >= 10_000 * own // (2 * sum(rows)) for own, share in zip(rows, found, strict=True))
    assert sum(found) == 10_000


@given(shards=SHARDS, undelivered=UNDELIVERED)
def test_who_is_above_its_floor_divides_by_value(
    shards: list[tuple[int, int]], undelivered: list[int]
) -> None:
    """Within one basis point: nobody above its floor is paid less for its value than another who is above it."""
    assume(any(value > 0 for _, value in shards))
    shares, floors = divide(shards, undelivered)
    above = [k for k, share in enumerate(shares) if share > floors[k] + 1]
    left, whole = sum(shares[k] for k in above), sum(max(shards[k][1], 0) for k in above)
    for k in above:
        assert abs(shares[k] - Fraction(left * shards[k][1], whole)) < len(shares) + 1


@given(shards=SHARDS, undelivered=UNDELIVERED, who=st.integers(0, 11), more=st.integers(1, 10**6))
def test_a_higher_value_never_has_a_lower_share_and_nobody_else_gains(
    shards: list[tuple[int, int]], undelivered: list[int], who: int, more: int
) -> None:
    assume(any(value > 0 for _, value in shards))
    k = who % len(shards)
    raised = [*shards[:k], (shards[k][0], shards[k][1] + more), *shards[k + 1 :]]
    before, after = divide(shards, undelivered)[0], divide(raised, undelivered)[0]
    assert after[k] >= before[k]
    assert all(
        now <= then + 1
        for now, then in zip(after[:k] + after[k + 1 :], before[:k] + before[k + 1 :], strict=True)
    )


@given(shards=SHARDS)
def test_shares_that_are_above_their_floors_anyway_are_those_of_before(shards: list[tuple[int, int]]) -> None:
    none = np.zeros(1, dtype=np.int64)
    evidence = [ShardEvidence(rows, 1, none, none, none) for rows, _ in shards]
    contribution = Contribution(TABLES, evidence, [[k] for k in range(len(shards))])
    values = [value for _, value in shards]
    first, floors = contribution.first_shares_bps(values), share_floors([rows for rows, _ in shards])
    assert sum(first) == 10_000
    if all(share > floor for share, floor in zip(first, floors, strict=True)):
        assert contribution.shares_bps(values) == first


def test_ties_go_to_the_lower_shard() -> None:
    assert share_out([1, 1, 1], [0, 0, 0]) == (3334, 3333, 3333)
    assert share_out([0, 1, 1], [1001, 0, 0]) == (1001, 4500, 4499)
