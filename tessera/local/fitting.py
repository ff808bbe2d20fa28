"""`tessera fit`: a table and a schema in, a model file out, written whole or not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from generator.evaluation.membership import AttackReport
from generator.fitting.aside import set_aside
from generator.fitting.audit import quick_attack
from generator.fitting.fit import FitProgress, FitProgressCallback, check_settings, fit
from generator.fitting.settings import FitSettings
from generator.privacy.owner import OwnedTable
from provenance.exact.container import Container
from provenance.files import READABLE, write_whole
from provenance.table.schema import Schema
from tessera.errors import UsageError
from tessera.local.owned import owned_rows


@dataclass(frozen=True, slots=True)
class FitResult:
    """What was written, where the table's ledger is, and what it took: wall time, CPU time of all threads, the
    process's largest memory (None: not told here). attack: on a model without epsilon, for its owner's eyes; None where
    epsilon bounds it, or of too few rows.
    """

    container: Container
    table: OwnedTable
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    aside_rows: int
    attack: AttackReport | None
    attack_cpu_seconds: float


def fit_file(
    table: Path,
    schema_file: Path,
    to: Path,
    settings: FitSettings,
    progress: FitProgressCallback | None = None,
) -> FitResult:
    """Fit `table` and write the container to `to`. Raises what `tessera.fit` raises."""
    schema = Schema.load(schema_file)
    if to.is_dir() or not to.parent.is_dir():
        raise UsageError(f"{to} cannot be written: expected the name of a file in a folder that exists")
    started, cpu = time.monotonic(), time.process_time()
    check_settings(schema, settings)
    owned, rows = owned_rows(table, schema)
    aside = set_aside(rows, owned.split_secret(), settings.epsilon)
    container = fit(rows.where(~aside), schema, settings, progress, ledger=owned.ledger())
    write_whole(to, container.encode(), mode=READABLE)
    took, used, peak = time.monotonic() - started, time.process_time() - cpu, peak_bytes()
    attack = None
    if settings.epsilon is None:
        if progress is not None:
            progress(FitProgress("attacking the model", 1.0, {}, None))
        attack = quick_attack(container, rows, aside, settings.threads)
    more = time.process_time() - cpu - used
    return FitResult(container, owned, took, used, peak, int(aside.sum()), attack, more)


def peak_bytes() -> int | None:
    """Peak resident memory of this program, None where the system does not tell.

    Linux's getrusage counts what the parent held at the fork too, /proc does not; macOS's counts in bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024 if "VmHWM" in lines else None
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
