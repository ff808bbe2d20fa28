"""Fits of ours as the benchmark makes them."""

from typing import Any

import numpy as np
import pytest

from benchmarks.quality import our_fit
from benchmarks.quality.case import ALONE, Case
from generator.errors import FitError
from generator.fitting.fit import fit
from provenance.exact.container import Container
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "pair",
        "target": "b",
        "columns": [{"name": "a", "type": "boolean"}, {"name": "b", "type": "boolean"}],
    }
)
CASE = Case("adult", "marginal", 1.0, ALONE, 0, settings={"steps": 5, "hiddenWidth": 4})


def test_contributors_below_their_noise_are_left_out_of_the_pool_and_counted() -> None:
    rows = np.random.default_rng(0).integers(0, 2, (3_000, 2))

    def refusing(values: np.ndarray, *others: Any) -> Container:
        if len(values) < 100:
            raise FitError("the noise is larger than so small a table")
        return fit(values, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(our_fit, "fit", refusing)
        fitted = our_fit._alone(CASE, [rows[:50], rows[50:1050], rows[1050:]], SCHEMA)
        assert fitted.refused == 1
        assert len(fitted.containers) == 2
        assert abs(len(fitted.draw(300)) - 300) <= 1
        with pytest.raises(FitError, match="noise is larger"):
            our_fit._alone(CASE, [rows[:50]], SCHEMA)
