"""A membership inference attack that sees synthetic rows alone, so that it can be turned on any generator.

The attacker holds rows of unknown history, half of which trained, and other rows of the same population that
did not. A row whose nearest synthetic row is nearer than its nearest population row looks like a member: the
density ratio of DOMIAS (van Breugel et al. 2023, arXiv:2302.12580) with one-neighbour densities. 0.5 is a coin;
this is a lower bound on what leaks, and who holds the model can do better. Not a privacy proof; under
differential privacy the statement of the accountant is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.membership import AttackReport, attack
from generator.evaluation.mixed_space import EQUAL, MixedSpace, nearest
from provenance.table.schema import Schema

SUSPECTS: Final = 2_000
MIN_ROWS: Final = 20

Values = NDArray[np.int64]


def sample_attack(
    synthetic: Values, training: Values, others: Values, schema: Schema, *, seed: int = 0
) -> AttackReport:
    """Attack with int64[n, C] synthetic rows; `others` never trained: half are suspects, half the population.

    EvaluationError below MIN_ROWS training rows or twice as many others.
    """
    if len(training) < MIN_ROWS or len(others) < 2 * MIN_ROWS:
        raise EvaluationError(
            f"the attack needs {MIN_ROWS} training rows and {2 * MIN_ROWS} others, found {len(training)} and "
            f"{len(others)}"
        )
    random = np.random.default_rng(seed)
    mixed = random.permutation(others)
    count = min(SUSPECTS, len(training), len(mixed) // 2)
    members = training[random.choice(len(training), count, replace=False)]
    suspects, population = np.concatenate([members, mixed[:count]]), mixed[count:]
    space = MixedSpace(schema, population)
    points = space.points(suspects)
    to_synthetic = nearest(points, space.points(synthetic), 1)
    to_population = nearest(points, space.points(population), 1)
    score = np.log(to_population + EQUAL) - np.log(to_synthetic + EQUAL)
    return attack(score[:count].astype(np.float64), score[count:].astype(np.float64))
