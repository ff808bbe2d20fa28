"""Rows before and after quantisation."""

from __future__ import annotations

import numpy as np
import pytest

from generator.evaluation.judge import distances
from generator.evaluation.quantisation import float_and_integer_rows
from provenance.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "toy",
        "target": "bought",
        "columns": [
            {"name": "age", "type": "integer", "minimum": 0, "maximum": 999},
            {"name": "town", "type": "string", "enum": ["A", "B", "C"], "nullable": True, "missing": "?"},
            {"name": "bought", "type": "boolean"},
        ],
    }
)


def test_integers_follow_the_float_net() -> None:
    random = np.random.default_rng(0)
    age = random.integers(0, 1000, 1500)
    table = np.stack([age, age * 4 // 1000, random.random(1500) < age / 1000], axis=1).astype(np.int64)
    both = float_and_integer_rows(table, SCHEMA, 4000, seed=1)
    shuffled = random.permuted(table, axis=0)
    apart = [distances(rows, table, SCHEMA)[1] for rows in (both.floats, both.integers, shuffled)]
    assert apart[0] == pytest.approx(apart[1], abs=0.02)
    assert max(apart[:2]) < 0.3 * apart[2], "neither learnt how the columns depend"
    for rows in (both.floats, both.integers):
        assert rows.shape == (4000, 3)
        assert (rows >= 0).all()
        assert (rows < np.array(SCHEMA.cardinalities)).all()
