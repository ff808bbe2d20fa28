"""Which contributor holds which row: splits for benchmarks of federated fits.

Public experiments on public tables: nothing here is private, and every split is repeatable by its seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.errors import EvaluationError

Indices = NDArray[np.int64]

_ATTEMPTS = 1000


def dirichlet_owners(
    classes: Indices, contributors: int, concentration: float, seed: int, *, fewest_rows: int = 100
) -> Indices:
    """Owner int64[n] of each row: the rows of every class are dealt by shares drawn from a symmetric Dirichlet.

    classes: a column int64[n], such as marital status. concentration: 0.1 gives nearly every class to one or
    two contributors, 100 deals evenly. Drawn again until every contributor holds `fewest_rows` (Yurochkin et
    al. 2019 and Li et al. 2022, arXiv:2102.02079, do so); EvaluationError when that does not come about.
    """
    if contributors < 1 or not concentration > 0 or len(classes) < contributors * fewest_rows:
        raise EvaluationError(
            f"{len(classes)} rows to {contributors} contributors at concentration {concentration}: expected "
            f"positive numbers and {fewest_rows} rows for each"
        )
    random = np.random.default_rng(seed)
    names, which = np.unique(classes, return_inverse=True)
    for _ in range(_ATTEMPTS):
        shares = random.dirichlet(np.full(contributors, concentration), len(names))
        edges = np.cumsum(shares, axis=1)[which]
        owners = (random.random(len(classes))[:, None] > edges[:, :-1]).sum(axis=1)
        if np.bincount(owners, minlength=contributors).min() >= fewest_rows:
            return np.asarray(owners, dtype=np.int64)
    raise EvaluationError(
        f"no split of {len(classes)} rows gave each of {contributors} contributors {fewest_rows}: ask for fewer"
    )
