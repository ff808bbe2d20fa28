import numpy as np
import pytest

from generator.errors import EvaluationError
from generator.evaluation.holdout import holdout_score, sensitivity
from generator.marginals.measure import table_counts
from generator.marginals.workload import choose_workload

PAIRS = choose_workload((3, 4, 2), None)
ROWS = np.stack([np.random.default_rng(0).integers(0, n, 300) for n in (3, 4, 2)], axis=1)


def test_refuses_an_empty_pool_a_foreign_one_and_an_undeclared_size() -> None:
    pool = table_counts(ROWS, PAIRS)
    with pytest.raises(EvaluationError, match="empty table"):
        holdout_score(pool * 0, ROWS, PAIRS, declared_rows=10, noise_multiplier=0)
    with pytest.raises(EvaluationError, match="pool counts"):
        holdout_score(pool[1:], ROWS, PAIRS, declared_rows=10, noise_multiplier=0)
    with pytest.raises(EvaluationError, match="declare"):
        holdout_score(pool, ROWS, PAIRS, declared_rows=0, noise_multiplier=0)


def test_the_holdout_itself_scores_one() -> None:
    pool = table_counts(ROWS, PAIRS)
    score = holdout_score(pool, ROWS, PAIRS, declared_rows=300, noise_multiplier=0)
    assert score.score_micro == 1_000_000


def test_no_row_moves_the_score_beyond_the_sensitivity() -> None:
    pool = table_counts(ROWS[::-1][:100], PAIRS)
    scores = [
        holdout_score(
            pool, np.delete(ROWS, k, axis=0), PAIRS, declared_rows=300, noise_multiplier=0
        ).score_micro
        for k in range(0, 300, 10)
    ]
    whole = holdout_score(pool, ROWS, PAIRS, declared_rows=300, noise_multiplier=0).score_micro
    assert max(abs(score - whole) for score in scores) <= sensitivity(300) * 1_000_000 + 1


def test_released_scores_scatter_by_the_formula() -> None:
    pool = table_counts(ROWS[:50], PAIRS)
    released = [holdout_score(pool, ROWS, PAIRS, declared_rows=300, noise_multiplier=5.0) for _ in range(600)]
    std = 5.0 / 600
    assert released[0].noise_std == pytest.approx(std)
    assert np.std([score.score_micro for score in released]) == pytest.approx(std * 1_000_000, rel=0.15)
