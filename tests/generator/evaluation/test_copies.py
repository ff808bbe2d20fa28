"""Samples copy rows of the table no more often than other rows of its population do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.quality.tables import TABLES
from generator.fitting.fit import FitSettings, fit
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.schema import Schema
from provenance.table.table_csv import read_csv

ROWS = 3000


def table(name: str, without: tuple[str, ...]) -> tuple[Schema, np.ndarray]:
    document: Any = dict(TABLES[name].schema.document())
    document["columns"] = [c for c in document["columns"] if c["name"] not in without]
    parsed = Schema.parse(document)
    return parsed, read_csv(TABLES[name].folder / TABLES[name].train_file, parsed)


def share_of_copies(rows: np.ndarray, training: np.ndarray) -> float:
    known = {row.tobytes() for row in np.ascontiguousarray(training)}
    return float(np.mean([row.tobytes() in known for row in np.ascontiguousarray(rows)]))


@pytest.mark.parametrize(
    ("name", "without", "usual"),
    [
        ("adult", ("fnlwgt", "capital-gain", "capital-loss"), True),
        ("adult", (), False),
        ("telescope", (), False),
    ],
)
def test_samples_copy_training_rows_no_more_than_a_hold_out_does(
    name: str, without: tuple[str, ...], usual: bool
) -> None:
    parsed, values = table(name, without)
    order = np.random.default_rng(0).permutation(len(values))
    training, held_out = values[order[:ROWS]], values[order[ROWS : 3 * ROWS]]
    settings = FitSettings(family="autoregressive", seed=1, settings={"decayPercent": 100})
    sampled = ContainerSampler(fit(training, parsed, settings), b"\x03" * 32).values(0, 2 * ROWS)
    natural, copied = share_of_copies(held_out, training), share_of_copies(sampled, training)
    assert (natural > 0.01) is usual, "the case with natural copies shows that they are counted"
    assert copied <= natural + 3 * math.sqrt(max(natural, 1 / ROWS) / (2 * ROWS))
    assert share_of_copies(training[:50], training) == 1.0
