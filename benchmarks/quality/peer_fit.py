"""Fits of the peers: their environments, the request, the process, the rows read back through our schema.

An environment is made by pip, one a package, never a dependency of ours. Peers that fit tables of codes get the codes
of our own private bins: equal bins for all. The bins cost BINS_PERCENT of rho (zero-concentrated DP, Bun and Steinke
2016); rho is taken from the simple bound rho + 2 sqrt(rho log(1 / delta)) = epsilon, which is below what the peer's
tighter conversion allows, so the whole stays within epsilon.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.case import DELTA, Case, FitReport, JsonObject
from benchmarks.quality.child import run_child
from generator.marginals.bins import base_grid, build_codebook, encode_codes, release_bins
from provenance.exact.codebook import Codebook
from provenance.table.column import Column
from provenance.table.grid import GridKind
from provenance.table.schema import Schema
from provenance.table.table_csv import read_csv, write_csv

_TORCH: Final = "torch==2.13.0"  # a free range takes several GB of CUDA libraries

REQUIREMENTS: Final = {
    "ctgan": (_TORCH, "ctgan==0.12.1"),
    "mostlyai-engine": (_TORCH, "mostlyai-engine==2.7.3"),
    "smartnoise-synth": (_TORCH, "smartnoise-synth==1.0.8", "packaging"),
}
ENVIRONMENTS: Final = {
    **dict.fromkeys(("ctgan", "tvae"), "ctgan"),
    "tabular_argn": "mostlyai-engine",
    **dict.fromkeys(("mst", "aim", "dp_ctgan"), "smartnoise-synth"),
}
"""Of each method of `benchmarks.quality.peers.methods`."""
BINS_PERCENT: Final = 10


def python_of(peers: Path, method: str) -> Path:
    """The interpreter that can run `method`."""
    return peers / ENVIRONMENTS[method] / "bin" / "python"


def make_peers(folder: Path, tell: Callable[[str], None]) -> None:
    """Create every environment below `folder`; one that stands is left alone. About 6 GB, some minutes."""
    for name, requirements in REQUIREMENTS.items():
        home = folder / name
        if (home / ".made").exists():
            continue
        tell(f"{name}: {' '.join(requirements)}")
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        # torch first: resolved together with some of these packages pip takes another build of it
        for requirement in requirements:
            subprocess.run(
                [str(home / "bin" / "python"), "-m", "pip", "install", "-q", requirement], check=True
            )
        # the torchvision that comes along is built for CUDA and breaks the import of transformers beside it
        subprocess.run(
            [str(home / "bin" / "python"), "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio"],
            check=True,
        )
        (home / ".made").touch()


CATEGORY_UP_TO: Final = 20
ON_CODES: Final = ("mst", "aim")

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PeerFits:
    """peers: the folder of environments. limit_cpu_seconds: a fit that needs more is given up."""

    peers: Path
    limit_cpu_seconds: float

    def fit(self, case: Case, train: Values, schema: Schema, folder: Path) -> tuple[Values, FitReport]:
        """Synthetic rows, as many as `train` has, and what they cost. Files stay in `folder`.

        Raises ChildFailedError if the peer fails or needs too long.
        """
        if case.subject not in ON_CODES:
            write_csv(folder / "train.csv", schema, train)
            report = self._run(case, len(train), [peer_column(column) for column in schema.columns], folder)
            return read_csv(folder / "rows.csv", schema, outside="clip"), report
        assert case.epsilon is not None, "MST and AIM are private methods"
        codebook = private_codebook(train, schema, case.epsilon)
        columns = code_columns(codebook)
        _write_cells(folder / "train.csv", [str(c["name"]) for c in columns], code_texts(train, codebook))
        report = self._run(case, len(train), columns, folder)
        with (folder / "rows.csv").open(encoding="utf-8", newline="") as stream:
            codes = np.array(list(csv.reader(stream))[1:], dtype=np.int64)
        return decoded(codes, codebook, case.seed), report

    def _run(self, case: Case, rows: int, columns: Sequence[JsonObject], folder: Path) -> FitReport:
        request = {
            "method": case.subject,
            "train": str(folder / "train.csv"),
            "out": str(folder / "rows.csv"),
            "report": str(folder / "fit.json"),
            "rows": rows,
            "seed": case.seed,
            "epsilon": case.epsilon,
            "delta": DELTA,
            "settings": dict(case.settings),
            "columns": list(columns),
        }
        if case.subject in ON_CODES:
            request["settings"] = {"rho_percent": 100 - BINS_PERCENT, **case.settings}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        run_child(
            python_of(self.peers, case.subject), "benchmarks.quality.peers.methods", [str(folder / "request.json")],
            folder / "log.txt", self.limit_cpu_seconds,
        )  # fmt: skip
        return FitReport.load(folder / "fit.json")


def peer_column(column: Column) -> JsonObject:
    """The public facts of a column; a grid of few points is a list of categories."""
    texts: list[str] = []
    low = high = 0.0
    decimals = 0
    grid = column.grid
    if grid is None:
        texts = list(column.categories)
    elif grid.size <= CATEGORY_UP_TO or grid.kind is GridKind.DATE or column.nullable:
        texts = [grid.text(index) for index in range(grid.size)]
    else:
        low, high, decimals = float(grid.text(0)), float(grid.text(grid.size - 1)), grid.scale
    if texts and column.nullable:
        texts.append(column.missing)
    return {"name": column.name, "categories": [*texts], "low": low, "high": high, "decimals": decimals}


def _write_cells(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def private_codebook(values: Values, schema: Schema, epsilon: float) -> Codebook:
    """Our codebook of these rows, for BINS_PERCENT of the rho of (epsilon, DELTA)."""
    rho = simple_rho(epsilon, DELTA) * BINS_PERCENT / 100
    return build_codebook(schema, release_bins(values, base_grid(schema), 1 / math.sqrt(2 * rho)))


def simple_rho(epsilon: float, delta: float) -> float:
    """rho of zero-concentrated DP that implies (epsilon, delta) by the simple conversion."""
    root = math.sqrt(math.log(1 / delta))
    return (math.sqrt(root**2 + epsilon) - root) ** 2


def code_texts(values: Values, codebook: Codebook) -> list[list[str]]:
    """The rows as texts of codes."""
    return [[str(code) for code in row] for row in encode_codes(values, codebook).tolist()]


def code_columns(codebook: Codebook) -> list[JsonObject]:
    """What a peer is told of the columns: categories "0", "1", ..."""
    return [
        {
            "name": f"c{c}",
            "categories": [str(k) for k in range(count)],
            "low": 0.0,
            "high": 0.0,
            "decimals": 0,
        }
        for c, count in enumerate(codebook.code_counts)
    ]


def decoded(codes: Values, codebook: Codebook, seed: int) -> Values:
    """Grid indices: uniform inside each code, as our sampler draws them."""
    flat = codes + np.array(codebook.offsets[:-1])
    share = np.random.default_rng(seed).random(codes.shape)
    return np.asarray(codebook.low[flat] + (share * codebook.width[flat]).astype(np.int64))
