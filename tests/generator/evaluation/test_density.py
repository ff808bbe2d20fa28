"""Densities against the sampler's frequencies and against the sum over all rows."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from generator.errors import EvaluationError
from generator.evaluation.density import log_density, mixture_log_density
from generator.fitting.fit import FitSettings, fit
from provenance.errors import ModelError
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.schema import Schema

SETTINGS: dict[str, dict[str, int]] = {
    "marginal": {"steps": 60, "batch": 64, "latentBytes": 8, "hiddenWidth": 16, "hiddenLayers": 1},
    "autoregressive": {"decayPercent": 10, "width": 8, "neurons": 8},
}
DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "toy",
    "target": "c",
    "columns": [
        {"name": "a", "type": "integer", "minimum": 0, "maximum": 29},
        {"name": "b", "type": "string", "enum": ["p", "q"], "nullable": True, "missing": "?"},
        {"name": "c", "type": "boolean"},
    ],
}
SCHEMA = Schema.parse(DOCUMENT)
EVERY = np.array(list(product(range(30), range(3), range(2))), dtype=np.int64)


def container(family: str, contributors: int = 1) -> Container:
    random = np.random.default_rng(0)
    a = np.minimum(random.poisson(9, 900), 29)
    values = np.stack([a, a // 11, (a > 8) ^ (random.random(900) < 0.1)], axis=1).astype(np.int64)
    return fit(
        values,
        SCHEMA,
        FitSettings(family=family, contributors=contributors, seed=3, settings=SETTINGS[family]),
    )


def test_refuses_bytes_that_are_no_model_and_rows_of_another_schema() -> None:
    with pytest.raises(ModelError):
        log_density(b"TSM1", EVERY)
    model = container("autoregressive").parts[0].model_bytes
    with pytest.raises(EvaluationError, match="schema"):
        log_density(model, EVERY[:, :2])
    with pytest.raises(EvaluationError, match="schema"):
        log_density(model, EVERY + 1)


@pytest.mark.parametrize("family", SETTINGS)
def test_densities_of_all_rows_sum_to_one_and_are_the_sampler_s_frequencies(family: str) -> None:
    fitted = container(family)
    density = np.exp(log_density(fitted.parts[0].model_bytes, EVERY))
    assert density.sum() == pytest.approx(1.0, abs=1e-5)
    sampled = ContainerSampler(fitted, b"\x07" * 32).values(0, 60_000) @ np.array([6, 2, 1])
    share = np.bincount(sampled, minlength=len(EVERY)) / 60_000
    deviation = np.abs(share - density) / np.sqrt(density / 60_000 + 1e-9)
    # beside sampling error, a product of softmaxes is averaged over finitely many latent vectors
    assert deviation.max() < (4.5 if family == "autoregressive" else 6.0)
    assert 0.5 * np.abs(share - density).sum() < 0.03


def test_a_container_s_density_is_the_weighted_mean_of_its_parts() -> None:
    fitted = container("autoregressive", contributors=3)
    parts = [np.exp(log_density(part.model_bytes, EVERY)) for part in fitted.parts]
    weights = np.array([part.weight for part in fitted.parts]) / 65_536
    assert np.exp(mixture_log_density(fitted, EVERY)) == pytest.approx(weights @ np.array(parts))
