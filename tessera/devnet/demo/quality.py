"""How good the rows are: what the contributors signed about their own hold-outs, and what a real
test split says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from generator.evaluation.judge import JudgeReport, judge
from provenance.record.manifest import Manifest
from provenance.table.codec import encode_table
from provenance.table.schema import Schema
from tessera.devnet.adult import read_lines


def test_split(schema: Schema) -> NDArray[np.int64]:
    """The bundled test rows as schema indices: nobody in the market has seen them."""
    header, rows = read_lines("adult_test.csv.gz")
    columns = zip(*(row.split(",") for row in rows), strict=True)
    cells = dict(zip(header.split(","), map(list, columns), strict=True))
    return encode_table(schema, cells)


def judge_rows(values: NDArray[np.int64], schema: Schema) -> JudgeReport:
    """Train on the synthetic rows, test on the real test split."""
    return judge(values, test_split(schema), schema)


@dataclass(frozen=True, slots=True)
class QualityView:
    """Everything that the demo says about quality."""

    manifest: Manifest
    report: JudgeReport
    names: dict[str, str]

    def table(self) -> Table:
        table = Table(title="Quality", title_justify="left")
        table.add_column("measured by")
        table.add_column("figure", justify="right")
        table.add_column("how")
        for entry in self.manifest.evaluation:
            name = self.names.get(str(entry.contributor).lower(), str(entry.contributor))
            how = "1 - mean pair TVD of the pool to its own hold-out, with noise, signed"
            table.add_row(name, f"{entry.score_micro / 1e6:.4f}", how)
        if self.report.auc is not None:
            how = "gradient boosting trained on these rows, tested on 16,281 real ones"
            table.add_row("held-out test split", f"AUC {self.report.auc:.4f}", how)
        table.add_row(
            "held-out test split",
            f"TVD {self.report.tvd2:.4f}",
            "mean two-way total variation distance, less is better",
        )
        return table
