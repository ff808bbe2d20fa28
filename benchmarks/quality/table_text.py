"""Markdown tables of figures, and means over seeds with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.quality.figures import Figures
from benchmarks.quality.fit_report import FitReport
from benchmarks.quality.results import Result

# two-sided 95 % points of Student's t for 1, 2, ... degrees of freedom
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of paired differences over seeds, and half the width of its 95 % interval (None for one seed)."""

    mean: float
    half: float | None
    seeds: int

    @property
    def text(self) -> str:
        """Signed, with the interval."""
        if self.half is None:
            return f"{self.mean:+.4f} (1 seed)"
        return f"{self.mean:+.4f} ± {self.half:.4f}"


def difference(
    first: Sequence[Result], second: Sequence[Result], figure: Callable[[Figures], float]
) -> Difference | None:
    """First minus second over the seeds that both have; None where there are none."""
    ours, theirs = (
        {r.case.seed: figure(r.figures) for r in results if r.figures is not None}
        for results in (first, second)
    )
    paired = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not paired:
        return None
    mean = math.fsum(paired) / len(paired)
    if len(paired) == 1:
        return Difference(mean, None, 1)
    spread = math.sqrt(math.fsum((x - mean) ** 2 for x in paired) / (len(paired) - 1))
    t95 = _T95[min(len(paired) - 2, len(_T95) - 1)]
    return Difference(mean, t95 * spread / math.sqrt(len(paired)), len(paired))


def figure_mean(results: Sequence[Result], figure: Callable[[Figures], float | None]) -> float | None:
    """Mean over the seeds that have the figure; None if none has."""
    return _mean([figure(result.figures) for result in results if result.figures is not None])


def report_mean(results: Sequence[Result], figure: Callable[[FitReport], float | None]) -> float | None:
    """As `figure_mean`, of what the fits cost."""
    return _mean([figure(result.report) for result in results if result.report is not None])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def number(value: float | None, digits: int) -> str:
    """Fixed digits, thousands separated; empty for None."""
    return "" if value is None else f"{value:,.{digits}f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table whose first `left` columns are text and the others numbers."""
    rule = ["---" if i < left else "--:" for i in range(len(header))]
    return ["| " + " | ".join(row) + " |" for row in (header, rule, *rows)]
