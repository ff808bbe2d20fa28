"""The whole report: what good, bad and copied rows get."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.cells import CheckedTable
from generator.evaluation.report import NOT_PRIVATE, evaluate
from provenance.table.schema import Schema

MakeRows = Callable[[int, int], NDArray[np.int64]]


def checked(rows: NDArray[np.int64]) -> CheckedTable:
    return CheckedTable(rows, len(rows), (), ())


def test_refuses_too_few_rows(schema: Schema, mixed_rows: MakeRows) -> None:
    with pytest.raises(EvaluationError, match="5 synthetic rows can be judged, expected at least 20"):
        evaluate(checked(mixed_rows(100, 0)), checked(mixed_rows(5, 1)), schema, checked(mixed_rows(50, 2)))


def test_fresh_rows_are_near_the_floor_and_shuffled_rows_are_not(
    schema: Schema, mixed_rows: MakeRows
) -> None:
    real, test, fresh = (mixed_rows(600, seed) for seed in range(3))
    shuffled = np.random.default_rng(0).permuted(fresh, axis=0)
    good, bad = (evaluate(checked(real), checked(r), schema, checked(test)) for r in (fresh, shuffled))
    assert good.utility is not None
    assert bad.utility is not None
    assert abs(good.utility.synthetic_auc - good.utility.real_auc) < 0.03
    assert bad.utility.synthetic_auc < 0.7
    assert good.tvd2 < 1.1 * good.floor2
    assert bad.tvd2 > good.tvd2
    assert {good.pairs[0].first, good.pairs[0].second} <= set(schema.column_names)
    assert [pair.distance for pair in good.pairs] == sorted((p.distance for p in good.pairs), reverse=True)
    assert good.attack is not None
    assert abs(good.attack.auc - 0.5) < 4 * good.attack.error
    assert good.notes == (NOT_PRIVATE,)


def test_copies_are_seen_by_the_copy_rate_and_by_the_attack(schema: Schema, mixed_rows: MakeRows) -> None:
    real, test = mixed_rows(300, 0), mixed_rows(300, 1)
    report = evaluate(checked(real), checked(real), schema, checked(test))
    assert report.copies == 1
    assert report.test_copies < 0.2
    assert report.attack is not None
    assert report.attack.auc > 0.8


def test_without_test_rows_a_part_stands_in_and_the_report_says_that_it_flatters(
    schema: Schema, mixed_rows: MakeRows
) -> None:
    report = evaluate(checked(mixed_rows(200, 0)), checked(mixed_rows(200, 1)), schema)
    assert report.rows_test == 60
    assert not report.own_test
    assert report.attack is None
    assert "flatter" in report.notes[0]


def test_missing_shares_are_those_of_both_tables(schema: Schema, mixed_rows: MakeRows) -> None:
    real, synthetic = mixed_rows(200, 0), mixed_rows(200, 1)
    synthetic[:50, 0] = 1000
    report = evaluate(checked(real), checked(synthetic), schema, checked(mixed_rows(100, 2)))
    x = next(column for column in report.columns if column.name == "x")
    assert x.missing_synthetic == pytest.approx((synthetic[:, 0] == 1000).mean())
    assert x.missing_real == pytest.approx((real[:, 0] == 1000).mean())
