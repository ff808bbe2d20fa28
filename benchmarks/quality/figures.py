"""All figures of one generator's rows, the same for ours and for the peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.tables import Split
from generator.evaluation.density import log_density, mixture_log_density
from generator.evaluation.distances import table_distances
from generator.evaluation.judge import utility_auc
from generator.evaluation.membership import attack, sample_attack
from generator.evaluation.row_metrics import copy_rate, density_coverage
from provenance.exact.container import Container
from provenance.table.schema import Schema

CANDIDATES = 2_000
LATENTS = 2_048

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """tvd: against test rows and against training rows. copies beside the hold-out's. attack: from rows alone;
    density_attack: from the released model, None where that has no density.
    """

    auc: float
    tvd1: float
    tvd2: float
    tvd1_train: float
    tvd2_train: float
    density: float
    coverage: float
    copies: float
    holdout_copies: float
    attack: float
    attack_error: float
    density_attack: float | None = None
    density_attack_error: float | None = None


def figures_of(rows: Values, split: Split, schema: Schema, seed: int) -> Figures:
    """Judge int64[n, C] rows. Test rows never trained; half of them are the attacker's population."""
    area = utility_auc(rows, split.test, schema, seed=seed)
    assert area is not None, "every benchmark table has a target"
    to_test = table_distances(rows, split.test, schema)
    to_train = table_distances(rows, split.train, schema)
    space = density_coverage(rows, split.test, schema, seed=seed)
    guessed = sample_attack(rows, split.train, split.test, schema, seed=seed)
    return Figures(
        auc=area,
        tvd1=to_test.tvd1,
        tvd2=to_test.tvd2,
        tvd1_train=to_train.tvd1,
        tvd2_train=to_train.tvd2,
        density=space.density,
        coverage=space.coverage,
        copies=copy_rate(rows, split.train),
        holdout_copies=copy_rate(split.test, split.train),
        attack=guessed.auc,
        attack_error=guessed.error,
    )


def density_attack(
    released: Sequence[Container], reference: Container, split: Split, population: Values, seed: int
) -> tuple[float, float]:
    """(area, standard error) of the exact density attack on released models.

    reference: fitted on `population`, rows that are neither members nor candidates. Containers that were fitted
    alone are a mixture of equal parts here.
    """
    known = {row.tobytes() for row in population}
    candidates = np.array([row for row in split.test if row.tobytes() not in known][:CANDIDATES])
    random = np.random.default_rng(seed)
    members = split.train[random.choice(len(split.train), min(CANDIDATES, len(split.train)), replace=False)]
    both = np.concatenate([members, candidates])
    own = np.logaddexp.reduce(
        [mixture_log_density(container, both, latents=LATENTS) for container in released]
    )
    score = own - log_density(reference.parts[0].model_bytes, both)
    report = attack(score[: len(members)], score[len(members) :])
    return report.auc, report.error


def population_of(split: Split, seed: int) -> Values:
    """The half of the test rows that the density attacker knows."""
    return np.random.default_rng([seed, 1]).permutation(split.test)[: len(split.test) // 2]
