"""The peers' methods, each imported in its own environment only.

- CTGAN and TVAE of the package `ctgan` (Xu et al. 2019, arXiv:1907.00503). Business Source Licence: measured here and
  nothing else.
- TabularARGN of the package `mostlyai-engine` (Tiwald et al. 2025, arXiv:2501.12012).
- MST (McKenna et al. 2021, arXiv:2108.04978) and AIM (McKenna et al. 2022, arXiv:2201.12677), of the package
  `smartnoise-synth` over `mbi`.
- DP-CTGAN of the package `smartnoise-synth` (Fang et al. 2022; Rosenblatt et al. 2020, arXiv:2011.05537).
"""

from __future__ import annotations

import tempfile
from typing import Any

from benchmarks.quality.peers.exchange import Request, Sampler, serve

RARE = "_RARE_"


def ctgan(request: Request, table: Any) -> Sampler:
    """Settings: epochs; all others the package's defaults."""
    from ctgan import CTGAN

    return _fitted_gan(CTGAN(enable_gpu=False, **request.settings), request, table)


def tvae(request: Request, table: Any) -> Sampler:
    from ctgan import TVAE

    return _fitted_gan(TVAE(enable_gpu=False, **request.settings), request, table)


def _fitted_gan(model: Any, request: Request, table: Any) -> Sampler:
    model.set_random_state(request.seed)
    model.fit(table, request.category_names)
    return lambda rows: model.sample(rows)


def tabular_argn(request: Request, table: Any) -> Sampler:
    """Settings are its arguments; it decides itself when to stop.

    Its protection of rare values, on by default, writes a mark in their place, which no schema knows: such a cell
    counts as the column's most frequent value.
    """
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


def mst(request: Request, table: Any) -> Sampler:
    from snsynth.mst.mst import MSTSynthesizer

    return _fitted_marginals(MSTSynthesizer, request, table)


def aim(request: Request, table: Any) -> Sampler:
    from snsynth.aim.aim import AIMSynthesizer

    return _fitted_marginals(AIMSynthesizer, request, table)


def _fitted_marginals(synthesizer: Any, request: Request, table: Any) -> Sampler:
    """Both expect a table of codes: those of our own private bins, and the share of epsilon (as zero-concentrated DP)
    that those bins left over, setting `rho_percent`.

    So bins, and what a code decodes to, are the same as ours, and what is compared is the choice of tables and the
    fit. All other settings are arguments of the synthesizer.
    """
    import numpy as np
    import pandas as pd
    from snsynth.transform.label import LabelTransformer
    from snsynth.transform.table import TableTransformer

    np.random.seed(request.seed)
    settings = dict(request.settings)
    epsilon = _left(request.epsilon or 0.0, request.delta, settings.pop("rho_percent") / 100)
    most = max(len(column.categories) for column in request.columns)
    public = pd.DataFrame(
        {c.name: [c.categories[i % len(c.categories)] for i in range(most)] for c in request.columns}
    )
    transformer = TableTransformer([LabelTransformer(nullable=False) for _ in request.columns])
    transformer.fit(public)
    model = synthesizer(epsilon=epsilon, delta=request.delta, **settings)
    model.fit(table, transformer=transformer)
    return lambda rows: model.sample(rows)


def _left(epsilon: float, delta: float, share: float) -> float:
    """The epsilon whose rho, by the synthesizer's own conversion, is `share` of the whole's."""
    from snsynth.utils import cdp_rho

    rho = share * cdp_rho(epsilon, delta)
    low, high = 0.0, epsilon
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if cdp_rho(middle, delta) <= rho else (low, middle)
    return low


def dp_ctgan(request: Request, table: Any) -> Sampler:
    """With the schema's bounds as public knowledge. Settings are its arguments; it stops when epsilon is spent.

    It seeds torch with 0 itself: seeds differ by their conditions and, where tables are split, their rows.
    """
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


METHODS = {
    "ctgan": (ctgan, "ctgan"),
    "tvae": (tvae, "ctgan"),
    "tabular_argn": (tabular_argn, "mostlyai.engine"),
    "mst": (mst, "snsynth.mst.mst"),
    "aim": (aim, "snsynth.aim.aim"),
    "dp_ctgan": (dp_ctgan, "snsynth.pytorch.nn.dpctgan"),
}
"""By name: how it is fitted, and the module that is loaded before the clock starts."""

if __name__ == "__main__":
    serve(METHODS)
