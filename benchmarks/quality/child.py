"""A fit in a process of its own, so that its CPU time and its memory are its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.2


class ChildFailedError(Exception):
    """The process ended badly or went over its limit; the message says which and ends with its last words."""


def run_child(
    python: Path, module: str, arguments: Sequence[str], log: Path, limit_cpu_seconds: float
) -> None:
    """Run `python -m module arguments` on one thread, niced; output goes to `log`.

    Raises ChildFailedError for a bad end, or when the process alone has used more CPU than the limit.
    """
    environment = os.environ | dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [str(python), "-m", module, *arguments], stdout=stream, stderr=stream, cwd=log.parent,
            env=environment,
        )  # fmt: skip
    stopped = False
    try:
        while child.poll() is None:
            if not stopped and _cpu_seconds(child.pid) > limit_cpu_seconds:
                child.kill()
                stopped = True
            time.sleep(_POLL_SECONDS)
    except BaseException:
        child.kill()
        child.wait()
        raise
    if stopped:
        raise ChildFailedError(f"stopped after {limit_cpu_seconds:g} CPU-s, the limit")
    if child.returncode != 0:
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise ChildFailedError(f"exit status {child.returncode}: {' '.join(words):.300}")


def _cpu_seconds(pid: int) -> float:
    """User and system time so far of the process and its waited-for children; 0 where /proc does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
