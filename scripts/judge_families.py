"""How good each family's rows are: fit, sample, judge, over seeds, with and without privacy, alone and federated.

    python scripts/judge_families.py                 # the whole table, about 20 minutes on one core
    python scripts/judge_families.py --short         # one seed and few rounds, to see that it runs

The judge is `generator.evaluation.judge`: gradient boosting trained on the synthetic rows and tested on real test rows
(AUC), and the mean two-way total variation distance (TVD2). As many rows are sampled as were trained on. Real rows
and independently shuffled columns stand beside the families as ceiling and floor. CPU-s are of the whole fit, all
contributors together, on the threads asked for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from generator.evaluation.judge import JudgeReport, judge  # noqa: E402
from generator.families.family import FAMILIES  # noqa: E402
from generator.fitting.fit import FitSettings, fit  # noqa: E402
from provenance.schema import Schema  # noqa: E402
from provenance.table_csv import read_csv  # noqa: E402
from provenance.values import sha256  # noqa: E402
from scripts.terminal import err, exit_status, out  # noqa: E402

DELTA = 1e-5
DATA = ROOT / "scripts" / "data"

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    family: str
    epsilon: float | None
    contributors: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed of one case."""

    report: JudgeReport
    cpu_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The tables and what is asked of each fit."""

    schema: Schema
    train: Values
    test: Values
    seconds: float
    threads: int

    def run(self, case: Case, seed: int) -> Outcome:
        settings = FitSettings(
            family=case.family,
            epsilon=case.epsilon,
            delta=DELTA,
            contributors=case.contributors,
            seconds=self.seconds,
            threads=self.threads,
            seed=seed,
        )
        started, cpu = time.monotonic(), time.process_time()
        container = fit(self.train, self.schema, settings)
        cpu, seconds = time.process_time() - cpu, time.monotonic() - started
        rows = container.sample(sha256(b"judge/%d" % seed), 0, len(self.train))
        return Outcome(judge(rows, self.test, self.schema, seed=seed), cpu, seconds)

    def controls(self, seeds: Sequence[int]) -> dict[str, list[JudgeReport]]:
        """Real rows, and real rows with every column shuffled alone."""
        return {
            "real rows": [judge(self.train, self.test, self.schema, seed=seed) for seed in seeds],
            "columns shuffled alone": [
                judge(
                    np.random.default_rng(seed).permuted(self.train, axis=0),
                    self.test,
                    self.schema,
                    seed=seed,
                )
                for seed in seeds
            ],
        }


def cases(families: Sequence[str]) -> list[Case]:
    """Every family without privacy and at epsilon 3, one contributor and three equal random parts."""
    return [Case(f, epsilon, parts) for f in families for epsilon in (None, 3.0) for parts in (1, 3)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Exit status 0, or 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--train", type=Path, default=DATA / "adult_train.csv.gz")
    parser.add_argument("--test", type=Path, default=DATA / "adult_test.csv.gz")
    parser.add_argument("--schema", type=Path, default=DATA / "adult.schema.json")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="wall time allowed to each fit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="one seed, 5 seconds a fit")
    chosen = parser.parse_args(arguments)
    return exit_status(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> None:
    seeds = range(1 if chosen.short else chosen.seeds)
    schema = Schema.load(chosen.schema)
    bench = Bench(
        schema,
        read_csv(chosen.train, schema),
        read_csv(chosen.test, schema, outside="clip"),
        5.0 if chosen.short else chosen.seconds,
        chosen.threads,
    )
    out.print(_table(bench, cases(chosen.family or FAMILIES), seeds))


def _table(bench: Bench, chosen: Sequence[Case], seeds: Sequence[int]) -> Table:
    table = Table(title=f"{bench.schema.name}: {len(seeds)} seeds, delta {DELTA:g}", title_justify="left")
    for name in ("family", "epsilon", "contributors", "AUC", "worst", "TVD2", "worst", "CPU-s", "seconds"):
        table.add_column(name, justify="left" if name == "family" else "right")
    for name, reports in bench.controls(seeds).items():
        table.add_row(name, "", "", *_figures(reports), "", "")
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("fitting", total=len(chosen) * len(seeds))
        for case in chosen:
            outcomes = []
            for seed in seeds:
                outcomes.append(bench.run(case, seed))
                bar.advance(task)
            epsilon = "none" if case.epsilon is None else f"{case.epsilon:g}"
            cpu = f"{_mean(outcomes, lambda o: o.cpu_seconds):.1f}"
            seconds = f"{_mean(outcomes, lambda o: o.seconds):.1f}"
            figures = _figures([o.report for o in outcomes])
            table.add_row(case.family, epsilon, str(case.contributors), *figures, cpu, seconds)
    return table


def _figures(reports: Sequence[JudgeReport]) -> list[str]:
    aucs = [report.auc for report in reports if report.auc is not None]
    tvds = [report.tvd2 for report in reports]
    auc = [f"{np.mean(aucs):.4f}", f"{min(aucs):.4f}"] if aucs else ["no target", ""]
    return [*auc, f"{np.mean(tvds):.4f}", f"{max(tvds):.4f}"]


def _mean(outcomes: Sequence[Outcome], figure: Callable[[Outcome], float]) -> float:
    return float(np.mean([figure(outcome) for outcome in outcomes]))


if __name__ == "__main__":
    sys.exit(main())
