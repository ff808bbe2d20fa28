"""TabularARGN of the package `mostlyai-engine` (Tiwald et al. 2025, arXiv:2501.12012). Settings are its
arguments; it decides itself when to stop. Its protection of rare values, on by default, writes a mark in their
place, which no schema knows: such a cell counts as the column's most frequent value.
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.quality.peers.exchange import Request, Sampler, serve

RARE = "_RARE_"


def tabular_argn(request: Request, table: Any) -> Sampler:
    from mostlyai.engine import TabularARGN

    workspace = tempfile.TemporaryDirectory(prefix="argn-")
    model = TabularARGN(
        device="cpu",
        random_state=request.seed,
        workspace_dir=workspace.name,
        tgt_encoding_types={
            column.name: "TABULAR_CATEGORICAL" if column.is_category else "TABULAR_NUMERIC_AUTO"
            for column in request.columns
        },
        **request.settings,
    )
    model.fit(table)

    def sample(rows: int) -> Any:
        assert workspace.name, "the folder lives as long as the sampler"
        drawn = model.sample(n_samples=rows)
        for name in (column.name for column in request.columns if column.is_category):
            drawn[name] = drawn[name].mask(drawn[name] == RARE, table[name].mode()[0])
        return drawn

    return sample


if __name__ == "__main__":
    serve({"tabular_argn": tabular_argn}, "mostlyai.engine")
