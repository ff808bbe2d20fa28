"""What a released model, or its rows alone, tell about who was in the table.

The attacker sees the model, as every buyer does, and scores a row by log p(row) - log q(row): p the released
model's exact density (`density`), q one fitted on other rows of the same population, so that rows which are
merely common do not count (van Breugel et al. 2023, arXiv:2302.12580, with the density itself in the place of
one estimated from samples). Members score higher as far as the model learnt rows by heart. A generator whose
density nobody has is attacked by fitting one of ours to its rows first.

`sample_attack` sees synthetic rows alone, so that it can be turned on any generator. The attacker holds rows of
unknown history, half of which trained, and other rows of the same population that did not. A row whose nearest
synthetic row is nearer than its nearest population row looks like a member: the density ratio with one-neighbour
densities. 0.5 is a coin; this is a lower bound on what leaks, and who holds the model can do better. Not a
privacy proof; under differential privacy the statement of the accountant is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

from generator.errors import EvaluationError
from generator.evaluation.mixed_space import EQUAL, MixedSpace, nearest
from provenance.table.schema import Schema

Floats = NDArray[np.float64]
CANDIDATES: Final = 2_000
MIN_ROWS: Final = 20
Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AttackReport:
    """auc: area under the ROC curve of telling members from others, 0.5 for chance; error: its standard error
    by the method of DeLong.
    """

    auc: float
    error: float
    members: int
    others: int

    @property
    def upper(self) -> float:
        """End of the 95 % interval."""
        return min(1.0, self.auc + 1.96 * self.error)

    @property
    def lower(self) -> float:
        """Start of the 95 % interval."""
        return max(0.0, self.auc - 1.96 * self.error)


@dataclass(frozen=True, slots=True)
class HitRate:
    """Share of the members that are told (true positives) at a threshold that a share of at most `false_rate` of the
    others passes (false positives). low, high: 95 % limits (Clopper and Pearson 1934) at that threshold.
    """

    false_rate: float
    rate: float
    low: float
    high: float


def attack(members: Floats, others: Floats) -> AttackReport:
    """Judge scores float64[n] of rows that trained and float64[m] of rows that did not."""
    first, second = _scores(members), _scores(others)
    n, m = len(first), len(second)
    pooled = rankdata(np.concatenate([first, second]))
    above = (pooled[:n] - rankdata(first)) / m
    below = 1 - (pooled[n:] - rankdata(second)) / n
    error = math.sqrt(float(above.var(ddof=1)) / n + float(below.var(ddof=1)) / m)
    return AttackReport(float(above.mean()), error, n, m)


def hit_rate(members: Floats, others: Floats, false_rate: float) -> HitRate | None:
    """None where fewer than 1 / false_rate others are too few to set the threshold by."""
    if len(others) * false_rate < 1 - 1e-9:
        return None
    most = int(len(others) * false_rate + 1e-9)
    hits, count = int((members > np.sort(others)[-1 - most]).sum()), len(members)
    low = float(beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0
    return HitRate(false_rate, hits / count, low, high)


def _scores(values: Floats) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 4 or not np.isfinite(scores).all():
        raise EvaluationError(
            f"scores have shape {scores.shape}: expected one finite number a row, of at least four rows"
        )
    return scores


def sample_attack(
    synthetic: Values, training: Values, others: Values, schema: Schema, *, seed: int = 0
) -> AttackReport:
    """Attack with int64[n, C] synthetic rows; `others` never trained: half are candidates, half the population.

    EvaluationError below MIN_ROWS training rows or twice as many others.
    """
    if len(training) < MIN_ROWS or len(others) < 2 * MIN_ROWS:
        raise EvaluationError(
            f"the attack needs {MIN_ROWS} training rows and {2 * MIN_ROWS} others, found {len(training)} and "
            f"{len(others)}"
        )
    random = np.random.default_rng(seed)
    mixed = random.permutation(others)
    count = min(CANDIDATES, len(training), len(mixed) // 2)
    members = training[random.choice(len(training), count, replace=False)]
    candidates, population = np.concatenate([members, mixed[:count]]), mixed[count:]
    space = MixedSpace(schema, population)
    points = space.points(candidates)
    to_synthetic = nearest(points, space.points(synthetic), 1)
    to_population = nearest(points, space.points(population), 1)
    score = np.log(to_population + EQUAL) - np.log(to_synthetic + EQUAL)
    return attack(score[:count].astype(np.float64), score[count:].astype(np.float64))
