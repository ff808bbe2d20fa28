"""The gate on what small tables' shared net has learnt by heart, where several contributors train without privacy.

A federation cannot try one decay after another as a lone contributor does, and a decay that suits one table
lets another be learnt by heart. So before the last step every node says how well the net's likelihood, over that
of the untrained net (independent columns), tells its training rows from those that it held out, for nets on the
straight line from the untrained to the trained one. The furthest of them that passes is kept. Beside the coordinator's
side here, the node's is `autoregressive_node.answer_gate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from generator.errors import TaskFormatError
from generator.federation.aggregate import Flagged
from generator.federation.plan import TrainingPlan
from generator.federation.task import Result, from_fixed, meta_of
from generator.learning.autoregressive import Flat
from generator.learning.memorisation import MEMORISATION_GATE, passes_gate
from provenance.api.tasks import StepResult

GATE: Final = "gate"
UNTRAINED: Final = "untrained"
FOUND: Final = "memorisation"
SHARES: Final = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
"""Of the way from the untrained net to the trained one."""
_ROWS_FACTOR = 3


def between(untrained: Flat, trained: Flat, share: float) -> Flat:
    """The net at `share` of the way."""
    return np.asarray(untrained + np.float32(share) * (trained - untrained), dtype=np.float32)


def kept_share(plan: TrainingPlan, results: Sequence[Result], flagged: list[Flagged]) -> float:
    """The largest of SHARES whose net passes by the nodes' answers together; 0 where nobody held a row out.

    Each node counts by its pairs of a seen and an unseen row. An answer that no table gives is flagged and left out.
    """
    pairs, total = np.zeros(len(SHARES)), 0.0
    seen = unseen = 0
    for result in results:
        sent = result.arrays.get(FOUND, np.empty(0))
        areas = from_fixed(sent) if sent.dtype == np.int64 else np.empty(0)
        most = _ROWS_FACTOR * plan.participant(result.node).declared_rows
        own_seen, own_unseen = _counts(result, most)
        if own_seen < 0 or areas.shape != pairs.shape or not ((areas >= 0) & (areas <= 1)).all():
            flagged.append(Flagged(result.node, GATE, f"no areas under a curve, or no counts up to {most}"))
            continue
        if own_seen and own_unseen:
            pairs += own_seen * own_unseen * areas
            total += own_seen * own_unseen
            seen, unseen = seen + own_seen, unseen + own_unseen
    if not total:
        return SHARES[-1]
    passing = (s for s, area in zip(SHARES, pairs / total, strict=True) if passes_gate(area, seen, unseen))
    return next(passing, SHARES[-1])


def notes_of(share: float) -> tuple[str, ...]:
    """What readers should know of a share that was kept."""
    if share == 1.0:
        return ()
    return (
        f"{share:.0%} of what the net learnt is kept: more tells the rows that trained from others (area under the "
        f"curve above {MEMORISATION_GATE:.2f}). More rows keep more",
    )


def _counts(result: Result, most: int) -> tuple[int, int]:
    """(seen, unseen) rows, each of 0 .. most; (-1, -1) where the node does not say so."""
    try:
        told = meta_of(StepResult, result)
    except TaskFormatError:
        return -1, -1
    seen, unseen = told.seen_rows, told.unseen_rows
    if seen is None or unseen is None or max(seen, unseen) > most:
        return -1, -1
    return seen, unseen
