"""The house rules on imports hold, and the guard bites: each planted violation is caught."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("backend", "benchmarks", "generator", "provenance", "scripts", "tessera")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "abi", "data")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        ("generator", "import backend"),
        ("backend", "import generator"),
        ("provenance", "import generator"),
        ("provenance", "import backend"),
        ("provenance", "import torch"),
        ("backend", "import torch"),
        ("generator", "import fastapi"),
        ("generator", "import sqlalchemy"),
        ("backend", "import web3"),
        ("provenance/exact", "import web3"),
        ("provenance/api", "import provenance.chain.ports"),
        ("provenance/api", "import provenance.store.cid"),
    ],
)
def test_planted_violation_is_caught(copy: Path, place: str, statement: str) -> None:
    (copy / place / "planted.py").write_text(f'"""Planted."""\n\n{statement}\n')
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert "planted" in result.stdout


def test_imports_point_one_way() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_importing_provenance_loads_nothing_heavy() -> None:
    code = "import sys, provenance; print(sorted({'numpy','web3','torch','cryptography'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
