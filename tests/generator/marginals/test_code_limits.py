"""Bins that the size class leaves room for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from generator.learning.autoregressive import NetShape, initial_weights
from generator.learning.draw_order import DrawOrder
from generator.learning.quantise_autoregressive import quantise_autoregressive
from generator.marginals.bins import base_grid, build_codebook, release_bins
from generator.marginals.code_limits import number_bins, ordered_codes, quantile_bins
from provenance.exact.size_class import MAX_PROVABLE_BYTES, MAX_PROVABLE_MULTIPLICATIONS
from provenance.table.schema import Schema


def schema_of(numbers: int, categories: int = 1) -> Schema:
    columns: list[dict[str, Any]] = [
        {
            "name": f"n{k}",
            "type": "integer",
            "minimum": 0,
            "maximum": 99_999,
            "nullable": True,
            "missing": "?",
        }
        for k in range(numbers)
    ]
    columns += [{"name": f"c{k}", "type": "string", "enum": [*"ABCDEFGH"]} for k in range(categories)]
    return Schema.parse({"format": "tessera-schema/1", "name": "toy", "target": "c0", "columns": columns})


def table(schema: Schema, rows: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.stack([random.integers(0, size, rows) for size in schema.cardinalities], axis=1)


@pytest.mark.parametrize(("numbers", "categories"), [(2, 1), (8, 6), (11, 1), (20, 2)])
def test_large_tables_get_as_many_bins_as_fit_the_size_class(numbers: int, categories: int) -> None:
    schema = schema_of(numbers, categories)
    bins = number_bins(schema, 10**6, 64, 32)
    release = release_bins(table(schema, 5000), base_grid(schema), 0.0)
    codebook = build_codebook(schema, release, bins)
    shape = NetShape(codebook.code_counts, 64, 32)
    weights = initial_weights(shape, np.full(shape.codes, 0.1), np.random.default_rng(0))
    model = quantise_autoregressive(shape, weights, codebook, DrawOrder.of(codebook, ()), schema.digest)
    if bins > quantile_bins(len(schema.columns)):
        assert shape.multiplications <= MAX_PROVABLE_MULTIPLICATIONS
        assert len(model) <= MAX_PROVABLE_BYTES
    assert bins == 64 or len(model) > 0.9 * MAX_PROVABLE_BYTES


def test_small_and_wide_tables_keep_the_usual_bins() -> None:
    assert number_bins(schema_of(3), 1000, 64, 32) == quantile_bins(4)
    assert number_bins(schema_of(299), 10**6, 64, 32) == quantile_bins(300)
    assert (
        quantile_bins(4) < number_bins(schema_of(3), 4000, 64, 32) < number_bins(schema_of(3), 10**5, 64, 32)
    )


def test_a_number_s_codes_are_ordered_but_for_missing() -> None:
    schema = schema_of(2)
    codebook = build_codebook(schema, release_bins(table(schema, 500), base_grid(schema), 0.0))
    counts = codebook.code_counts
    assert ordered_codes(schema, codebook) == (counts[0] - 1, counts[1] - 1, 0)
