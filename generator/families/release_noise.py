"""How much noise the first releases carry and which tables they are, decided by the plan alone.

The noise is a share of the squared Gaussian-DP parameter mu; shares add up exactly (Dong, Roth and Su 2022). Each node
adds the full noise alone, or its share of it under secure aggregation. Without epsilon counts are exact and the
ledger notes unprotected releases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from generator.errors import PlanError, PrivacyError
from generator.families.secure_aggregation import distributed_noise, uses_secure_aggregation
from generator.families.settings import PAIR_TABLES, MarginalSettings
from generator.federation.plan import TrainingPlan
from generator.marginals.workload import (
    Workload,
    choose_workload,
    expected_error,
    pair_workload,
    with_target_pairs,
)
from generator.privacy.accountant import (
    DistributedNoise,
    GaussianEvent,
    PrivacyEvent,
    gdp_mu,
    sgd_noise_multiplier_for,
)
from generator.privacy.release import Release
from generator.privacy.secure_sum import summed_std
from provenance.exact.codebook import Codebook

BINS, TABLES = "bins", "tables"
_MOST_ERROR = 0.6
_PAIRS_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise multipliers of the two releases; 0 for exact counts."""

    bins: float
    tables: float

    def releases(self, plan: TrainingPlan) -> tuple[Release, Release]:
        """The two releases for ledger and accountant."""
        return Release(BINS, _event(self.bins)), Release(TABLES, _event(self.tables, distributed_noise(plan)))


def noise_of(plan: TrainingPlan, bins_percent: int, tables_percent: int) -> Noise:
    """The noise that spends these shares of the plan's mu squared; PlanError if it is out of range."""
    if plan.epsilon is None:
        return Noise(0.0, 0.0)
    try:
        mu = gdp_mu(plan.epsilon, plan.delta)
    except PrivacyError as error:
        raise PlanError(f"the plan's privacy ceiling cannot be kept: {error}") from error
    return Noise(1 / (mu * math.sqrt(bins_percent / 100)), 1 / (mu * math.sqrt(tables_percent / 100)))


@lru_cache(maxsize=64)
def sgd_noise(
    epsilon: float, delta: float, rate: float, steps: int, others: tuple[PrivacyEvent, ...]
) -> float:
    """Noise multiplier of `steps` DP-SGD steps beside the other releases; PlanError if nothing is left."""
    try:
        return sgd_noise_multiplier_for(epsilon, delta, rate, steps, others)
    except PrivacyError as error:
        raise PlanError(f"the rounds do not fit into the plan's privacy ceiling: {error}") from error


def workload_of(plan: TrainingPlan, codebook: Codebook, table_noise: float) -> Workload:
    """The tables to release over a codebook, in a plan whose tables have this noise multiplier.

    When noise alone is expected to put the sum of all nodes' tables 0.6 in total variation distance from the
    truth, three tenths of the budget go to the pairs with the target. The declared rows stand for the true ones.
    """
    workload = choose_workload(codebook.code_counts, plan.schema.target_index, plan.schema.unit_rows)
    if plan.settings.get(MarginalSettings.tables.name) == PAIR_TABLES:
        return pair_workload(workload)
    rows = plan.training_rows
    std = summed_noise(plan, table_noise * workload.sensitivity, len(plan.participants))
    is_noise = expected_error(workload, std, rows) > _MOST_ERROR
    return with_target_pairs(workload, _PAIRS_SHARE if is_noise else 0.0)


def reference_std(plan: TrainingPlan, std: float) -> float:
    """Noise on a cell of a node's reference, of tables released with noise `std` (see `Marginals.references`)."""
    contributors = len(plan.participants)
    return summed_noise(plan, std, contributors) / contributors if uses_secure_aggregation(plan) else std


def _event(noise_multiplier: float, distributed: DistributedNoise | None = None) -> GaussianEvent | None:
    return GaussianEvent(noise_multiplier, distributed) if noise_multiplier > 0 else None


def summed_noise(plan: TrainingPlan, std: float, contributors: int) -> float:
    """Noise on a sum of tables that each have `std`, or whose honest ones have it together."""
    return summed_std(std, contributors) if uses_secure_aggregation(plan) else std * math.sqrt(contributors)
