"""Words and Markdown tables of the page, and means over seeds with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.quality.case import FitReport
from benchmarks.quality.figures import Figures
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


HEAD: Final = """# Benchmarks

Written by `benchmarks/run_quality.py` from [its results](benchmarks/results.jsonl); edit neither. Losses stay
in the tables. Machine: {machines}, one thread a fit, other work beside it: CPU seconds, not wall time, are given.

## How it is measured

- **Tables.** Adult with its own test split; German credit (1,000 rows) and telescope (19,020 rows) split 70 / 30,
  stratified by target, another split for every seed. As many rows are drawn as were trained on. Mean over seeds;
  the worst beside it.
- **AUC**: gradient boosting trained on synthetic rows and tested on real test rows. **TVD1, TVD2**: mean total
  variation distance of all univariate and two-way tables, numbers in 20 quantile bins of the real rows, to the test
  rows and (TVD2 to train) to the training rows. *Real rows* are the training rows themselves: the ceiling. *Real
  rows redrawn* are as many of them with replacement: what the training rows' own law scores, sampling error and
  nothing else. *Columns shuffled* has every column right and no dependence: the floor.
- **density, coverage** (Naeem et al. 2020) against test rows, 5 neighbours, 3,000 rows of each.
- **copies**: synthetic rows equal to a training row in every column; beside it the same rate of the test rows.
- **attack, rows**: membership inference from synthetic rows alone, the same for everybody: is the nearest synthetic
  row nearer than the nearest row of a population that the attacker knows? AUC, 0.5 is a coin; real rows show its
  power. **attack, density**: log density under the released model over that of a model of the population, for ours
  only.
- **fit CPU-s**: all contributors together, from the loaded table to the model; **peak MB**: of that process,
  imports included. **rows/CPU-s**: ours integer codes in memory, peers their data frame, the second call. **sent
  kB**: the most that one contributor sent.
- **Privacy.** epsilon is end to end, add or remove one row, delta 1e-5; with several contributors each adds its
  whole noise alone, but under *sums masked* its part of it, and then only sums are seen. The declared schema
  (categories, ranges) is public for everybody. MST and AIM get the codes of our private bins and 90 % of rho (the
  bins take 10 %), so the bins and their decoding are the same as ours. DP-CTGAN gets the schema's bounds; what its
  accountant says is believed (its sampler of conditions counts categories without noise, which that accountant
  leaves out).
- **Settings.** Ours run with the defaults of `tessera fit` on every table. Peers run with their packages' defaults
  but for those listed below; where several were tried the validation split (a fifth of the training rows) decided.
  TabularARGN's marks for rare values count as the column's most frequent one.
- **each alone, pooled**: every contributor fits its own rows with no help, and the shards are pooled. A federated
  family that does not beat this has earned nothing.

In intervals the seeds are paired; with three seeds they are wide.
"""

TAIL: Final = """## Again

```
pip install 'tessera-market[generator,evaluate]'
python -m benchmarks.run_quality --make-peers ~/tessera-peers
python -m benchmarks.run_quality --long --peers ~/tessera-peers      # goes on where it was interrupted
python -m benchmarks.run_quality --long --only ours --fresh          # ours again; also: parts, more
python -m benchmarks.run_quality --write                             # this page alone
```
"""
