"""How long, in which batches and with how much decay the autoregressive net trains: tables of public figures.

Everything follows from the declared number of rows and from whether privacy is asked for, so that nothing is
read off a table. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from generator.errors import LearningError

CANDIDATE_DECAYS: Final = (24.0, 12.0, 6.0, 3.0, 1.0, 0.3)
"""Strongest first."""
CHOSEN_BELOW_ROWS: Final = 8192
"""Smaller tables choose their decay on held-out rows, where they may (`choose_decay`)."""

_LOCAL: Final = (
    (2_000, 30, 64, 4e-3), (6_000, 24, 128, 4e-3), (24_000, 24, 512, 8e-3), (131_072, 24, 1024, 8e-3),
)  # fmt: skip
"""(rows below, epochs, batch, rate); larger tables: batches of 1,024, at most so many steps."""
_LARGE_BATCH: Final = 1024
_LARGE_RATE: Final = 8e-3
_MOST_STEPS: Final = 1600
_DECAYS: Final = ((200, 24.0), (500, 6.0), (4_000, 3.0), (8_192, 1.0))
"""(rows below, decay), for a federation, which cannot choose on held-out rows. With them 120 rows of the German credit
table are told from others with an area under the curve of .59 (at decay 3: .80), 300 rows .60 (at 3: .66), 700 .57."""
_DECAY: Final = 0.3
_LONGEST_RATE: Final = 3e-2


@dataclass(frozen=True, slots=True)
class Recipe:
    """steps of `batch` expected rows at `rate`, falling linearly to 0 after a short warm-up; decoupled decay
    of the weights; averaging: decay of the running average that is kept."""

    steps: int
    batch: int
    rate: float = 4e-3
    decay: float = _DECAY
    averaging: float = 0.995

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or not self.rate > 0 or not self.decay >= 0:
            raise LearningError(f"{self}: expected steps, batch >= 1, a positive rate and decay >= 0")

    def rate_at(self, fraction: float) -> float:
        """Learning rate when `fraction` of the steps is done."""
        return self.rate * min(1.0, 0.05 + 100 * fraction) * max(1.0 - fraction, 0.0)


def decay_for(rows: int) -> float:
    """Decay that a table of so many rows gets when none is chosen on its rows."""
    return next((decay for below, decay in _DECAYS if rows < below), _DECAY)


def local_recipe(rows: int) -> Recipe:
    """For a table that trains in one place without privacy."""
    for below, epochs, batch, rate in _LOCAL:
        if rows < below:
            steps = max(1, epochs * rows // batch)
            return Recipe(min(steps, _MOST_STEPS), batch, rate, decay_for(rows))
    return Recipe(_MOST_STEPS, _LARGE_BATCH, _LARGE_RATE)


def federated_recipe(rows: int, rounds: int, round_rows: int) -> Recipe:
    """For tables of so many declared rows together, trained by sums of gradients without privacy.

    Small tables get fewer rows a round and no more passes than alone; rounds stay at most `rounds`.
    """
    alone = local_recipe(rows)
    batch = max(1, min(round_rows, max(alone.batch, rows // 8)))
    steps = max(1, min(rounds, alone.steps * alone.batch * 3 // (2 * batch)))
    # fewer steps must be longer ones
    rate = min(_LONGEST_RATE, alone.rate * max(1.0, alone.steps / steps))
    return Recipe(steps=steps, batch=batch, rate=rate, decay=alone.decay, averaging=0.98)


def private_recipe(rounds: int, round_rows: int) -> Recipe:
    """For DP-SGD: noise is its own regularisation, so no decay."""
    return Recipe(steps=rounds, batch=round_rows, rate=2.4e-2, decay=0.0, averaging=0.98)
