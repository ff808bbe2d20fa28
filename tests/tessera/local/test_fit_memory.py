"""A contributor with a small machine can fit: one thread, and less than 600 MB at the worst moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from generator.families.settings import FAMILIES

ROOT = Path(__file__).parents[3]
LIMIT_BYTES = 600_000_000
PROGRAM = """
import sys
from tessera.local.fitting import peak_bytes
from tessera.cli.app import app
app(sys.argv[1:], standalone_mode=False)
unused = {"torch._dynamo", "sympy", "opacus"} & set(sys.modules)
assert not unused, f"{unused} were imported, and no family needs them"
print("peak", peak_bytes())
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_adult_is_fitted_in_less_than_600_mb(family: str, tmp_path: Path) -> None:
    data = ROOT / "tessera" / "devnet" / "data"
    words = [
        "fit", data / "adult_train.csv.gz", "--schema", data / "adult.schema.json", "--out", tmp_path / "m.tsm",
        "--family", family, "--threads", 1, "--seconds", 4,
    ]  # fmt: skip
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert "CPU-seconds" in run.stdout
    assert int(run.stdout.split("peak ")[-1]) < LIMIT_BYTES
