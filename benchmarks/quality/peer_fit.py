"""Fits of the peers: the request, the process, the rows read back through our schema."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.case import DELTA, Case, FitReport, JsonObject
from benchmarks.quality.child import run_child
from benchmarks.quality.peer_codes import (
    BINS_PERCENT,
    code_columns,
    code_texts,
    decoded,
    private_codebook,
)
from benchmarks.quality.peer_environment import METHODS, python_of
from provenance.table.column import Column
from provenance.table.grid import GridKind
from provenance.table.schema import Schema
from provenance.table.table_csv import read_csv, write_csv

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
            python_of(self.peers, case.subject), METHODS[case.subject][1], [str(folder / "request.json")],
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
