"""What the harness and a peer's process say to each other: a request in JSON, CSV tables, a report in JSON.

Runs in the peer's environment (pandas, whatever version it pins), so it imports nothing of this repository.
A number column whose grid has few points is handed over as a category: every peer treats few-valued numbers
better as such. Cells of categories are text, missing ones the category "?".
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Column:
    """A column as the schema declares it: categories, or bounds and the number of decimals."""

    name: str
    categories: list[str]
    low: float
    high: float
    decimals: int

    @property
    def is_category(self) -> bool:
        return bool(self.categories)


@dataclass(frozen=True)
class Request:
    """One fit: which method, on which table, with what privacy and settings, to which files."""

    method: str
    train: Path
    out: Path
    report: Path
    rows: int
    seed: int
    epsilon: float | None
    delta: float
    settings: dict[str, Any]
    columns: list[Column]

    @classmethod
    def load(cls, path: Path) -> Request:
        document = json.loads(path.read_text(encoding="utf-8"))
        columns = [Column(**column) for column in document.pop("columns")]
        for name in ("train", "out", "report"):
            document[name] = Path(document[name])
        return cls(columns=columns, **document)

    @property
    def category_names(self) -> list[str]:
        return [column.name for column in self.columns if column.is_category]


class Sampler(Protocol):
    """A fitted generator: as many rows as asked for, as a pandas data frame."""

    def __call__(self, rows: int) -> Any: ...


Fit = Callable[[Request, Any], Sampler]


def serve(methods: Mapping[str, tuple[Fit, str]]) -> None:
    """Serve the request named on the command line: fit, sample twice (the second time is timed), write.

    methods: by name, how it is fitted and the module that is loaded before the clock starts.
    """
    import pandas as pd

    one_thread()
    warnings.simplefilter("ignore")
    request = Request.load(Path(sys.argv[1]))
    dtypes = {column.name: str if column.is_category else float for column in request.columns}
    fit, module = methods[request.method]
    importlib.import_module(module)
    table = pd.read_csv(request.train, dtype=dtypes, keep_default_na=False)
    started, cpu = time.monotonic(), cpu_seconds()
    sampler = fit(request, table)
    fit_cpu, fit_seconds = cpu_seconds() - cpu, time.monotonic() - started
    fit_rss = peak_rss_bytes()
    rows = sampler(request.rows)
    cpu = cpu_seconds()
    sampler(request.rows)
    sample_cpu = cpu_seconds() - cpu
    write_rows(request, rows)
    report = {
        "fit_cpu_seconds": fit_cpu,
        "fit_seconds": fit_seconds,
        "sample_cpu_seconds": sample_cpu,
        "sample_rows": request.rows,
        "fit_peak_rss_bytes": fit_rss,
    }
    request.report.write_text(json.dumps(report), encoding="utf-8")


def write_rows(request: Request, rows: Any) -> None:
    """The rows as CSV: numbers clipped to the declared bounds and rounded to the declared decimals."""
    for column in request.columns:
        if not column.is_category:
            rounded = rows[column.name].astype(float).clip(column.low, column.high).round(column.decimals)
            rows[column.name] = rounded.astype("int64") if column.decimals == 0 else rounded
    rows[[column.name for column in request.columns]].to_csv(request.out, index=False)


def cpu_seconds() -> float:
    """User and system seconds of this process and of the children it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_rss_bytes() -> int:
    """The most memory that this process, or any child it waited for, ever held.

    From /proc: what getrusage says of a process began with the memory of the one that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    own = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024


def one_thread() -> None:
    """Numerical libraries read this when they are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        os.environ[name] = "1"
