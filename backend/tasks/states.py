"""States of leased work, for node tasks and coordination jobs alike."""

from __future__ import annotations

from enum import StrEnum


class WorkState(StrEnum):
    """queued -> leased -> done | refused; an expired lease counts as queued; cancelled ends what is not
    done.
    """

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


WAITING = (WorkState.QUEUED, WorkState.LEASED)
