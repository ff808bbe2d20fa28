"""A fit that is ended by KILL leaves no row behind: what lies in its temporary folder nobody can open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROWS = 1500
SCHEMA = {
    "format": "tessera-schema/1",
    "name": "planted",
    "target": None,
    "columns": [
        {
            "name": name,
            "type": "integer",
            "minimum": 0,
            "maximum": 999_999,
            "multipleOf": 1,
            "nullable": False,
        }
        for name in ("a", "b", "c")
    ],
}


def pieces(values: np.ndarray) -> list[bytes]:
    """Rows and columns as any array of integers would hold them."""
    found = []
    for kind in ("<i4", "<i8", ">i4", ">i8"):
        of_kind = values.astype(kind)
        found += [row.tobytes() for row in of_kind] + [of_kind[:8, k].tobytes() for k in range(3)]
    return [*found, *(",".join(map(str, row)).encode() for row in values.tolist())]


def left_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_killed_fit_leaves_nothing_that_opens(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(100_000, 999_999, (ROWS, 3))
    table, schema, temporary = tmp_path / "table.csv", tmp_path / "schema.json", tmp_path / "tmp"
    temporary.mkdir()
    table.write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in values.tolist()))
    schema.write_text(json.dumps(SCHEMA))
    out = tmp_path / "model.tsm"
    options = ["--schema", str(schema), "--out", str(out), "--epsilon", "3", "--seconds", "120"]
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "TESSERA_OWNER": str(tmp_path / "owner"),
        "OMP_NUM_THREADS": "1",
    }
    fit = subprocess.Popen([sys.executable, "-m", "tessera", "fit", str(table), *options], env=environment)
    try:
        give_up = time.monotonic() + 60
        while not any(path.parent.name == "results" for path in left_in(temporary)):
            assert fit.poll() is None, "it is still at work"
            assert time.monotonic() < give_up
            time.sleep(0.02)
    finally:
        fit.kill()
        fit.wait()
    left = left_in(temporary)
    assert not out.exists()
    assert any(path.name == "table.safetensors" for path in left), (
        "the table was there, and was not taken away"
    )
    rows = pieces(values)
    for path, data in left.items():
        assert not any(piece in data for piece in rows), path
    assert any(piece in table.read_bytes() for piece in rows)
