"""A small table of mixed columns."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.table.schema import Schema

MIXED = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "mixed",
        "target": "label",
        "columns": [
            {"name": "x", "type": "integer", "minimum": 0, "maximum": 999, "nullable": True},
            {"name": "kind", "type": "string", "enum": ["a", "b", "c"]},
            {"name": "code", "type": "string", "enum": [f"k{i}" for i in range(400)]},
            {"name": "label", "type": "boolean"},
        ],
    }
)


MakeRows = Callable[[int, int], NDArray[np.int64]]


def _mixed_rows(count: int, seed: int) -> NDArray[np.int64]:
    """Rows of MIXED whose columns depend on each other."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, count)
    x = np.clip(random.normal(300 + 100 * kind, 100, count), 0, 999).astype(np.int64)
    label = (x + random.normal(0, 80, count) > 450).astype(np.int64)
    x[random.random(count) < 0.1] = 1000
    return np.stack([x, kind, random.integers(0, 400, count), label], axis=1)


@pytest.fixture
def schema() -> Schema:
    return MIXED


@pytest.fixture
def mixed_rows() -> MakeRows:
    """Called with a count and a seed."""
    return _mixed_rows
