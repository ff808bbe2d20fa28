"""Density, coverage, copies and the sample attack on cases whose answer is known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.membership import sample_attack
from generator.evaluation.row_metrics import copy_rate, density_coverage
from provenance.table.schema import Schema

MakeRows = Callable[[int, int], NDArray[np.int64]]

NUMBERS = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "numbers",
        "target": None,
        "columns": [
            {"name": name, "type": "integer", "minimum": 0, "maximum": 99_999} for name in ("x", "y")
        ],
    }
)


def test_refuses_tables_too_small_to_tell(schema: Schema, mixed_rows: MakeRows) -> None:
    few = mixed_rows(9, 0)
    with pytest.raises(EvaluationError, match="density and coverage need 10 rows"):
        density_coverage(few, few, schema)
    with pytest.raises(EvaluationError, match="20 training rows and 40 others"):
        sample_attack(few, few, mixed_rows(100, 1), schema)


def test_density_and_coverage_equal_the_definition_with_loops() -> None:
    random = np.random.default_rng(0)
    synthetic, real = (random.integers(0, 100_000, (60, 2)) for _ in range(2))
    rank = [np.argsort(np.argsort(real[:, c])) / 60 + 1 / 120 for c in range(2)]
    position = np.stack(rank, axis=1)
    ordered = np.sort(real, axis=0)
    ours = np.stack([np.searchsorted(ordered[:, c], synthetic[:, c]) / 60 for c in range(2)], axis=1)
    radii = []
    for i in range(60):
        gaps = sorted(float(np.hypot(*(position[i] - position[j]))) for j in range(60) if j != i)
        radii.append(gaps[4])
    inside = [[float(np.hypot(*(y - x))) <= r for x, r in zip(position, radii, strict=True)] for y in ours]
    figures = density_coverage(synthetic, real, NUMBERS)
    assert figures.density == pytest.approx(np.sum(inside) / (5 * 60), rel=0.03)
    assert figures.coverage == pytest.approx(np.any(inside, axis=0).mean(), abs=0.03)


def test_fresh_rows_have_density_one_and_a_collapsed_generator_covers_little() -> None:
    random = np.random.default_rng(0)
    real, more = (random.integers(0, 100_000, (1_000, 2)) for _ in range(2))
    fresh = density_coverage(more, real, NUMBERS)
    collapsed = density_coverage(np.repeat(real[:1], 1_000, axis=0), real, NUMBERS)
    assert fresh.density == pytest.approx(1, abs=0.1)
    assert fresh.coverage > 0.9
    assert collapsed.coverage < 0.1


def test_copies_are_counted_as_sets_count_them(schema: Schema, mixed_rows: MakeRows) -> None:
    training = mixed_rows(200, 0)
    rows = np.concatenate([training[:30], mixed_rows(100, 1)])
    known = set(map(tuple, training.tolist()))
    assert copy_rate(rows, training) == np.mean([tuple(row) in known for row in rows.tolist()])
    assert copy_rate(rows[:0], training) == 0


def test_the_attack_finds_a_generator_that_copies_and_not_one_that_does_not() -> None:
    random = np.random.default_rng(0)
    training, others, fresh = (random.integers(0, 100_000, (n, 2)) for n in (400, 800, 400))
    copied = sample_attack(training, training, others, NUMBERS)
    honest = sample_attack(fresh, training, others, NUMBERS)
    assert copied.auc > 0.9
    assert abs(honest.auc - 0.5) < 4 * honest.error
