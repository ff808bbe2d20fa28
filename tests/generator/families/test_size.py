from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.tables import TABLES
from generator.families.size import expected_sizes
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from provenance.exact.model import decode_model, size_class
from provenance.table.schema import Schema


def wide(columns: int) -> Schema:
    words = [{"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": 1} for i in range(columns)]
    return Schema.parse({"format": "tessera-schema/1", "name": "wide", "target": None, "columns": words})


def test_tables_too_wide_for_a_transaction_are_called_recomputed() -> None:
    assert {size.size_class for size in expected_sizes(wide(300))} == {"recomputed"}


@pytest.mark.parametrize("name", ["adult", "german_credit", "telescope"])
def test_bundled_tables_are_called_provable(name: str) -> None:
    sizes = expected_sizes(TABLES[name].schema)
    assert {size.size_class for size in sizes} == {"fraud-provable"}


@pytest.mark.parametrize("family", ["autoregressive", "marginal"])
def test_a_fitted_model_is_as_large_as_was_expected(family: str) -> None:
    schema = wide(4)
    rows = np.random.default_rng(0).integers(0, 2, (200, 4))
    steps = {"rounds": 2} if family == "autoregressive" else {"steps": 2}
    model = fit(rows, schema, FitSettings(family=family, settings=steps)).parts[0].model_bytes
    expected = next(size for size in expected_sizes(schema) if size.family == family)
    assert (decode_model(model).multiplications, len(model)) == (
        expected.multiplications,
        expected.model_bytes,
    )
    assert size_class(model) == expected.size_class
