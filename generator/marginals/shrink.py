"""Released tables without what is most probably noise: cells moved towards independence given the target's class.

A cell of a table deviates from that independence by some fraction of it. How large the fraction is on average, over
all cells of all tables, shows in the release itself: what its deviations have beyond the noise. Each cell keeps the
part of its deviation that the noise does not explain (the Wiener filter; an empirical Bayes estimate, Efron and
Morris 1973, with one prior for all tables). Large cells keep nearly all of it, cells below the noise next to
nothing, exact tables are left as they are. The net that is fitted pools the evidence of many cells, so a cell counts
as noise only by a hundredth of its noise: who shrinks cell by cell loses what the net would have found (by the
whole noise the telescope's narrow joint bins go from TVD2 .205 to .251). Post-processing: free of privacy cost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.marginals.classes import ClassMarginals
from generator.marginals.target import MarginalTarget

Floats = NDArray[np.float64]
POOLED_CELLS = 100.0
_LEAST_VARIANCE = 1e-9


def shrunk_tables(target: MarginalTarget, classes: ClassMarginals) -> Floats:
    """The probabilities float64[K] of the workload's cells, shrunk; those of pairs with the target as they are."""
    if target.std == 0:
        return target.probabilities
    workload = target.workload
    noise = (target.std / np.repeat(workload.weights, workload.sizes)) ** 2
    prior, shrinkable = _independent(target, classes)
    deviation = target.probabilities - prior
    beyond_noise = float((deviation**2 - noise)[shrinkable].sum())
    relative = max(beyond_noise / float((prior[shrinkable] ** 2).sum()), _LEAST_VARIANCE)
    known = POOLED_CELLS * relative * prior**2
    return np.where(shrinkable, prior + known / (known + noise) * deviation, target.probabilities)


def _independent(target: MarginalTarget, classes: ClassMarginals) -> tuple[Floats, NDArray[np.bool_]]:
    """(what every cell would be if columns depended on the class alone, which cells that says something about)."""
    workload = target.workload
    start = np.cumsum([0, *workload.code_counts])
    prior = np.zeros(workload.cells)
    shrinkable = np.zeros(workload.cells, dtype=np.bool_)
    for index, table in enumerate(workload.tables):
        if workload.target is not None and len(table) == 2:
            continue
        own = slice(int(workload.offsets[index]), int(workload.offsets[index + 1]))
        first, second = (slice(int(start[column]), int(start[column + 1])) for column in table[:2])
        prior[own] = np.moveaxis(classes.independent(first, second), 0, 2).ravel()
        shrinkable[own] = True
    return prior, shrinkable
