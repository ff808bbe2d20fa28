"""A copy of the contracts and their tests to build in, so that the checkout's own artifacts stay as they are.

Coverage writes instrumented bytecode and the audit wants one compilation of everything: neither may be left
where the tests and the deployment look for the bytecode that is shipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tessera.errors import TesseraError

ROOT = Path(__file__).resolve().parents[2]


class ToolFailedError(TesseraError):
    """A tool that a check runs ended with an error."""


def copy_contracts(name: str, config: Path | None = None) -> Path:
    """`build/NAME` with contracts, their tests and vectors, and `config` in place of hardhat.config.js."""
    place = ROOT / "build" / name
    shutil.rmtree(place, ignore_errors=True)
    (place / "tests").mkdir(parents=True)
    shutil.copytree(ROOT / "contracts", place / "contracts")
    for folder in ("contracts", "vectors"):
        shutil.copytree(ROOT / "tests" / folder, place / "tests" / folder)
    shutil.copy(ROOT / "package.json", place)
    shutil.copy(config or ROOT / "hardhat.config.js", place / "hardhat.config.js")
    modules = ROOT / "node_modules"
    if not modules.is_dir():
        raise ToolFailedError(f"found no {modules}; run `make setup` first")
    (place / "node_modules").symlink_to(modules.resolve())
    return place


def run_tool(words: Sequence[str | Path], place: Path, log: Path) -> int:
    """Runs a program in `place` with everything it says in `log`; its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        return subprocess.run(
            [str(word) for word in words],
            cwd=place,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=_environment(),
        ).returncode


def require_tool(words: Sequence[str | Path], place: Path, log: Path) -> None:
    """As `run_tool`, but an exit status other than 0 is an error that shows the log's end."""
    status = run_tool(words, place, log)
    if status != 0:
        raise ToolFailedError(
            f"`{' '.join(str(word) for word in words)}` ended with status {status}, expected 0; "
            f"all it said is in {log}, at the end:\n{tail(log)}"
        )


def tail(log: Path, lines: int = 30) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _environment() -> dict[str, str]:
    path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "HARDHAT_DISABLE_TELEMETRY_PROMPT": "true", "NO_COLOR": "1"}
