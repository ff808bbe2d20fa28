"""`tessera fit` on the terminal: progress while it works, a closing table, the model file written whole or
not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from generator.fitting.fit import FitProgress, check_settings, fit
from generator.fitting.settings import FitSettings
from provenance.canonical import JsonValue
from provenance.exact.container import Container
from provenance.exact.size_class import size_class
from provenance.table.schema import Schema
from tessera.errors import UsageError
from tessera.local.table_file import read_table
from tessera.terminal import err, out


@dataclass(frozen=True, slots=True)
class Cost:
    """What a fit took: wall time, CPU time of all threads, the process's largest memory (None: not told here)."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None


def run_fit(table: Path, schema_file: Path, to: Path, settings: FitSettings) -> None:
    """Fit `table` and write the container to `to`."""
    schema = Schema.load(schema_file)
    if to.is_dir() or not to.parent.is_dir():
        raise UsageError(f"{to} cannot be written: expected the name of a file in a folder that exists")
    started, cpu = time.monotonic(), time.process_time()
    with _shown() as progress:
        check_settings(schema, settings)
        container = fit(read_table(table, schema), schema, settings, progress)
    part = to.with_name(to.name + ".part")
    part.write_bytes(container.encode())
    part.replace(to)
    cost = Cost(time.monotonic() - started, time.process_time() - cpu, peak_bytes())
    out.print(_closing(container, to, settings, cost))


@contextmanager
def _shown() -> Iterator[Callable[[FitProgress], None] | None]:
    """A bar on a terminal; silence elsewhere."""
    if not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=1.0, figures="")

        def show(seen: FitProgress) -> None:
            figures = [f"{name} {value:.3g}" for name, value in seen.losses.items()]
            figures += [] if seen.epsilon is None else [f"epsilon {seen.epsilon:.3g}"]
            bar.update(task, completed=seen.fraction, description=seen.stage, figures="  ".join(figures))

        yield show


def _closing(container: Container, to: Path, settings: FitSettings, cost: Cost) -> Table:
    table = Table(title=str(to), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    spent = container.privacy.get("epsilonMicro")
    privacy = "none" if not isinstance(spent, int) else f"epsilon {spent / 1e6:.4g}, delta {settings.delta:g}"
    for name, value in (
        ("family", container.family),
        ("parts", f"{len(container.parts)}, {container.model_bytes:,} bytes of models"),
        ("a row on chain", _on_chain(container)),
        ("privacy of each row", privacy if settings.epsilon is not None else "none"),
        ("seconds", f"{cost.seconds:.1f}"),
        ("CPU-seconds", f"{cost.cpu_seconds / len(container.parts):.1f} a contributor, reading included"),
        (
            "memory",
            "not measured here" if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:.0f} MB at most",
        ),
        ("SHA-256", str(container.digest)),
        *(("note", str(note)) for note in _notes(container)),
    ):
        table.add_row(name, value)
    return table


def _notes(container: Container) -> Sequence[JsonValue]:
    notes = container.fit.get("notes")
    return notes if isinstance(notes, list) else ()


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


def _on_chain(container: Container) -> str:
    """Whether one transaction is large enough to make a row again."""
    if all(size_class(part.model_bytes) == "fraud-provable" for part in container.parts):
        return "small enough to be recomputed in one transaction"
    return "too large for one transaction; rows are recomputed off chain only"
