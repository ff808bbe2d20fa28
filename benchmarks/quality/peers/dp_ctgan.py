"""DP-CTGAN of the package `smartnoise-synth` (Fang et al. 2022; Rosenblatt et al. 2020, arXiv:2011.05537), with
the schema's bounds as public knowledge. Settings are its arguments; it stops when epsilon is spent. It seeds
torch with 0 itself: seeds differ by their conditions and, where tables are split, their rows.
"""

from __future__ import annotations

from typing import Any

from benchmarks.quality.peers.exchange import Request, Sampler, serve


def dp_ctgan(request: Request, table: Any) -> Sampler:
    import numpy as np
    from snsynth.pytorch.nn.dpctgan import DPCTGAN
    from snsynth.transform import MinMaxTransformer, OneHotEncoder
    from snsynth.transform.chain import ChainTransformer
    from snsynth.transform.label import LabelTransformer
    from snsynth.transform.table import TableTransformer

    np.random.seed(request.seed)
    transformer = TableTransformer(
        [
            ChainTransformer([LabelTransformer(nullable=False), OneHotEncoder()])
            if column.is_category
            else MinMaxTransformer(lower=column.low, upper=column.high, nullable=False)
            for column in request.columns
        ]
    )
    model = DPCTGAN(
        epsilon=float(request.epsilon or 0),
        delta=request.delta,
        cuda=False,
        verbose=False,
        **request.settings,
    )
    model.fit(table, transformer=transformer)
    return lambda rows: model.sample(rows)


if __name__ == "__main__":
    serve({"dp_ctgan": dp_ctgan}, "snsynth.pytorch.nn.dpctgan")
