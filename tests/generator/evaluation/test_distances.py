"""Total variation by column and pair, against dictionaries of counts."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.evaluation import distances
from generator.evaluation.distances import table_distances, variation
from provenance.table.schema import Schema

KINDS = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "kinds",
        "target": None,
        "columns": [{"name": name, "type": "string", "enum": ["p", "q", "r"]} for name in ("u", "v", "w")],
    }
)
SAMPLES = st.lists(st.integers(0, 5), min_size=1, max_size=40)


def slow(first: list[object], second: list[object]) -> float:
    p, q = Counter(first), Counter(second)
    return sum(abs(p[key] / len(first) - q[key] / len(second)) for key in p | q) / 2


@given(SAMPLES, SAMPLES, st.sampled_from([6, 10_000]))
def test_variation_equals_the_sum_over_counts(first: list[int], second: list[int], size: int) -> None:
    distance = variation(np.array(first), np.array(second), size)
    assert distance == pytest.approx(slow(list(first), list(second)), abs=1e-12)


def test_every_pair_equals_the_slow_reference_and_the_means_follow() -> None:
    random = np.random.default_rng(0)
    synthetic, real = random.integers(0, 3, (50, 3)), random.integers(0, 3, (70, 3)) // 2
    distances = table_distances(synthetic, real, KINDS)
    assert distances.pairs == ((0, 1), (0, 2), (1, 2))
    for (i, j), distance in zip(distances.pairs, distances.pair_distances, strict=True):
        a, b = ([(row[i], row[j]) for row in rows.tolist()] for rows in (synthetic, real))
        assert distance == pytest.approx(slow(list(a), list(b)))
    assert distances.tvd1 == pytest.approx(distances.columns.mean())
    assert distances.tvd2 == pytest.approx(distances.pair_distances.mean())


def test_a_wide_table_is_judged_on_drawn_pairs_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "MAX_PAIRS", 2)
    rows = np.random.default_rng(0).integers(0, 3, (30, 3))
    drawn = table_distances(rows, rows, KINDS)
    assert not drawn.all_pairs
    assert len(drawn.pairs) == 2
    assert drawn.tvd2 == 0
