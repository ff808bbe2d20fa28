"""Density and coverage (Naeem et al. 2020, arXiv:2002.09797): are synthetic rows where real rows are, and are
real rows reached?

Around each real row lies a ball that just holds its k nearest real rows. density: how many balls a synthetic row lies
in, over k (1 for fresh rows of the same distribution; above 1 where rows crowd at the modes). coverage: share of
the balls that hold a synthetic row. A ball holds its edge, because tables repeat rows; ties then raise the density
of real rows above 1, so compare with that of training rows. At most `ROWS` rows of each side are drawn, equally
many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.mixed_space import EQUAL, MixedSpace, nearest, squared_distances
from provenance.table.schema import Schema

NEIGHBOURS: Final = 5
ROWS: Final = 3_000

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DensityCoverage:
    """density >= 0, about 1 for fresh rows of the same distribution; coverage in [0, 1]."""

    density: float
    coverage: float


def density_coverage(synthetic: Values, real: Values, schema: Schema, *, seed: int = 0) -> DensityCoverage:
    """Of int64[n, C] against real rows int64[m, C] that never trained. EvaluationError below 10 rows."""
    count = min(len(synthetic), len(real), ROWS)
    if count < 2 * NEIGHBOURS:
        raise EvaluationError(f"density and coverage need {2 * NEIGHBOURS} rows of each side, found {count}")
    random = np.random.default_rng(seed)
    space = MixedSpace(schema, real)
    ours = space.points(synthetic[random.choice(len(synthetic), count, replace=False)])
    theirs = space.points(real[random.choice(len(real), count, replace=False)])
    radii = nearest(theirs, theirs, NEIGHBOURS, same=True)
    limits = (radii**2 + EQUAL**2)[None, :]
    inside = squared_distances(ours, theirs) <= limits
    return DensityCoverage(float(inside.sum() / (NEIGHBOURS * count)), float(inside.any(axis=0).mean()))
