"""A fit in a process of its own, so that its CPU time and its memory are its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.2


class ChildFailedError(Exception):
    """The process ended badly or went over its limit; the message says which and ends with its last words."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds (the process and the children it waited for) and the most memory of any one of them."""

    cpu_seconds: float
    peak_rss_bytes: int


def run_child(
    python: Path, module: str, arguments: Sequence[str], log: Path, limit_cpu_seconds: float
) -> Spent:
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
    try:
        status, spent = _wait(child.pid, limit_cpu_seconds)
    except BaseException:
        child.kill()
        child.wait()
        raise
    child.returncode = status
    if status is None:
        raise ChildFailedError(f"stopped after {limit_cpu_seconds:g} CPU-s, the limit")
    if status != 0:
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise ChildFailedError(f"exit status {status}: {' '.join(words):.300}")
    return spent


def _wait(pid: int, limit_cpu_seconds: float) -> tuple[int | None, Spent]:
    stopped = False
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            spent = Spent(usage.ru_utime + usage.ru_stime, rss)
            return (None if stopped else os.waitstatus_to_exitcode(status)), spent
        if not stopped and _cpu_seconds(pid) > limit_cpu_seconds:
            os.kill(pid, 9)
            stopped = True
        time.sleep(_POLL_SECONDS)


def _cpu_seconds(pid: int) -> float:
    """User and system time so far of the process and its waited-for children; 0 where /proc does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
