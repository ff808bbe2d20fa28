"""Runs cases one after another: fit in a child process, judge, append to the results file.

Files of a case lie in a folder of its own and are used again as long as its fit is complete there, so that an
interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.case import OURS, Case, FitReport
from benchmarks.quality.cases import CONTROLS, REDRAWN, SHUFFLED
from benchmarks.quality.child import ChildFailedError, run_child
from benchmarks.quality.figures import Figures, density_attack, figures_of, population_of
from benchmarks.quality.peer_fit import PeerFits
from benchmarks.quality.results import Result, append
from benchmarks.quality.tables import TABLES, Split
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from provenance.exact.container import Container

OUR_LIMIT_CPU_SECONDS = 900.0

Values = NDArray[np.int64]


@dataclass(frozen=True)
class Runner:
    """results: the file that is appended to. work: where models and rows lie. peers: how peers are run; None refuses
    them. fresh: fits are made again although their files are there.
    """

    results: Path
    work: Path
    peers: PeerFits | None
    fresh: bool = False

    def run(self, case: Case, tell: Callable[[str], None] = lambda _: None) -> Result:
        """Fit, judge and record one case; a fit that fails is a result too."""
        folder = self.work / case.key
        if self.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        split = _split(case)
        try:
            tell("fitting")
            rows, report = self._rows(case, split, folder)
        except ChildFailedError as failure:
            result = Result(case, machine(), failure=str(failure))
        else:
            tell("judging")
            result = Result(case, machine(), self._figures(case, rows, split, folder), report)
        append(self.results, result)
        return result

    def _rows(self, case: Case, split: Split, folder: Path) -> tuple[Values, FitReport | None]:
        if case.subject in CONTROLS:
            return control_rows(case, split.train), None
        if not (folder / "fit.json").exists() or not (folder / "rows.npy").exists():
            if case.subject in OURS:
                (folder / "case.json").write_text(json.dumps(case.document()), encoding="utf-8")
                run_child(
                    Path(sys.executable), "benchmarks.quality.our_fit", [str(folder / "case.json")],
                    folder / "log.txt", OUR_LIMIT_CPU_SECONDS,
                )  # fmt: skip
            else:
                if self.peers is None:
                    raise ChildFailedError("the peers' environments were not named (--peers)")
                rows, _ = self.peers.fit(case, split.train, TABLES[case.table].schema, folder)
                np.save(folder / "rows.npy", rows)
        return np.load(folder / "rows.npy"), FitReport.load(folder / "fit.json")

    def _figures(self, case: Case, rows: Values, split: Split, folder: Path) -> Figures:
        schema = TABLES[case.table].schema
        figures = figures_of(rows, split, schema, case.seed)
        released = sorted(folder.glob("*.tsm"))
        if not released or OURS[case.subject].in_float:
            return figures
        population = population_of(split, case.seed)
        reference = self._reference(case, population)
        containers = [Container.parse(path.read_bytes()) for path in released]
        auc, error = density_attack(containers, reference, split, population, case.seed)
        return replace(figures, density_attack=auc, density_attack_error=error)

    def _reference(self, case: Case, population: Values) -> Container:
        """The density attacker's own model of the population; one a table and seed."""
        path = self.work / f"reference-{case.table}-{case.seed}-{int(case.validation)}.tsm"
        if not path.exists():
            settings = FitSettings(family="autoregressive", seed=case.seed)
            path.write_bytes(fit(population, TABLES[case.table].schema, settings).encode())
        return Container.parse(path.read_bytes())


def control_rows(case: Case, train: Values) -> Values:
    """Rows of a control: the training rows, as many of them redrawn, or their columns shuffled apart."""
    random = np.random.default_rng(case.seed)
    if case.subject == REDRAWN:
        return train[random.integers(0, len(train), len(train))]
    return random.permuted(train, axis=0) if case.subject == SHUFFLED else train


@lru_cache(maxsize=2)
def _table_split(table: str, seed: int) -> Split:
    return TABLES[table].split(seed)


def _split(case: Case) -> Split:
    split = _table_split(case.table, case.seed)
    return split.validation(TABLES[case.table].schema) if case.validation else split


def machine() -> str:
    """The processor in words."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
