"""Every program of benchmarks/ runs as `python -m benchmarks.NAME`, explains itself and has a short mode."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text("utf-8")
)


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


def test_there_are_programs() -> None:
    assert PROGRAMS == [
        "compare_rows",
        "run_gas",
        "run_quality",
        "sampler",
        "tamper_study",
        "worst_challenge",
    ]


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_shows_an_example_and_the_short_mode(name: str) -> None:
    shown = run(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"    python -m benchmarks.{name} " in shown.stdout
    assert "--short" in shown.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_readme_says_what_it_is_for(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "benchmarks" / "README.md").read_text("utf-8")


def test_the_sampler_s_short_mode_prints_rates() -> None:
    done = run("sampler", "--short")
    assert done.returncode == 0, done.stderr
    assert "autoregressive: " in done.stdout
    assert "mlp: " in done.stdout


def test_the_comparison_s_short_mode_agrees() -> None:
    done = run("compare_rows", "--short")
    assert done.returncode == 0, done.stderr
    assert "240 rows" in done.stdout
    assert "0 differ" in done.stdout


def test_the_costliest_of_some_hundred_shapes_fits_a_transaction() -> None:
    done = run("worst_challenge", "--short")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a conditioned row: " in done.stdout
