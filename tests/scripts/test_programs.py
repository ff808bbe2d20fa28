"""The thin programs of scripts/ run as files, from any folder, and are the commands that they stand for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(program: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / f"{program}.py"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("contributor_node", "approve"),
        ("coordinator", "--broker-key"),
        ("verify_provenance", "--dataset"),
        ("demo", "--epsilon"),
    ],
)
def test_a_program_shows_the_help_of_its_command(program: str, words: str, tmp_path: Path) -> None:
    done = run(program, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert len((ROOT / "scripts" / f"{program}.py").read_text(encoding="utf-8").splitlines()) < 10


def test_a_program_ends_with_its_command_s_exit_status(tmp_path: Path) -> None:
    missing = run("contributor_node", "status", "--folder", "node", folder=tmp_path)
    assert missing.returncode == 1
    assert "run `tessera node init` first" in missing.stderr
    nothing = run(
        "verify_provenance", "--dataset", "1", "--rpc", "http://127.0.0.1:9", "--store", "x", folder=tmp_path
    )
    assert nothing.returncode == 2
    assert "no such folder" in nothing.stderr
