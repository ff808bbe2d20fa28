"""The judge ranks what must be ranked."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.judge import distances, judge, utility_auc
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "toy",
        "target": "label",
        "columns": [
            {"name": "x", "type": "integer", "minimum": 0, "maximum": 999, "nullable": True},
            {"name": "kind", "type": "string", "enum": ["a", "b", "c"]},
            {"name": "label", "type": "boolean"},
        ],
    }
)


def rows(count: int, seed: int) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, count)
    x = np.clip(random.normal(300 + 100 * kind, 100, count), 0, 999).astype(np.int64)
    x[random.random(count) < 0.2] = 500
    label = (x + random.normal(0, 80, count) > 450).astype(np.int64)
    x[random.random(count) < 0.05] = 1000
    return np.stack([x, kind, label], axis=1)


def test_refuses_rows_of_another_table() -> None:
    with pytest.raises(EvaluationError, match="synthetic rows"):
        judge(rows(50, 0)[:, :2], rows(50, 1), SCHEMA)


def test_names_the_extra_when_sklearn_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(EvaluationError, match=r"tessera-market\[evaluate\]"):
        utility_auc(rows(50, 0), rows(50, 1), SCHEMA)


def test_refuses_a_test_table_of_one_class() -> None:
    test = rows(50, 1)
    test[:, 2] = 1
    with pytest.raises(EvaluationError, match="one class"):
        utility_auc(rows(300, 0), test, SCHEMA)


def test_real_rows_beat_shuffled_ones_in_every_figure_that_sees_dependence() -> None:
    test = rows(2000, 1)
    real = judge(rows(2000, 2), test, SCHEMA)
    noise = judge(np.random.default_rng(0).permuted(rows(2000, 2), axis=0), test, SCHEMA)
    assert real.auc is not None
    assert noise.auc is not None
    assert real.auc > 0.85 > noise.auc
    assert real.tvd2 < 0.1 < noise.tvd2
    assert abs(real.tvd1 - noise.tvd1) < 0.01


def test_equal_rows_have_no_distance_and_disjoint_rows_all() -> None:
    real = rows(500, 1)
    assert distances(real, real, SCHEMA) == (0.0, 0.0)
    apart = np.tile([0, 0, 0], (10, 1))
    assert distances(apart, np.tile([999, 1, 1], (10, 1)), SCHEMA) == (1.0, 1.0)


def test_a_value_much_repeated_is_a_bin_of_its_own() -> None:
    real = rows(2000, 1)
    moved = real.copy()
    moved[moved[:, 0] == 500, 0] = 501
    assert distances(moved, real, SCHEMA)[0] > 0.05


def test_without_a_categorical_target_there_is_no_auc_and_one_class_is_chance() -> None:
    untargeted = Schema.parse({**SCHEMA.document(), "target": None})
    assert judge(rows(50, 0), rows(50, 1), untargeted).auc is None
    continuous = Schema.parse({**SCHEMA.document(), "target": "x"})
    assert utility_auc(rows(50, 0), rows(50, 1), continuous) is None
    constant = rows(50, 0)
    constant[:, 2] = 0
    assert utility_auc(constant, rows(50, 1), SCHEMA) == 0.5
