"""MST (McKenna et al. 2021, arXiv:2108.04978) and AIM (McKenna et al. 2022, arXiv:2201.12677), of the package
`smartnoise-synth` over `mbi`.

Both expect a table of codes. They get the codes of our own private bins, and the share of epsilon (as zero-
concentrated DP) that those bins left over: setting `rho_percent`. So bins, and what a code decodes to, are
the same as ours, and what is compared is the choice of tables and the fit. All other settings are arguments
of the synthesizer.
"""

from __future__ import annotations

from typing import Any

from benchmarks.quality.peers.exchange import Request, Sampler, serve


def mst(request: Request, table: Any) -> Sampler:
    from snsynth.mst.mst import MSTSynthesizer

    return _fitted(MSTSynthesizer, request, table)


def aim(request: Request, table: Any) -> Sampler:
    from snsynth.aim.aim import AIMSynthesizer

    return _fitted(AIMSynthesizer, request, table)


def _fitted(synthesizer: Any, request: Request, table: Any) -> Sampler:
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


if __name__ == "__main__":
    serve({"mst": mst, "aim": aim}, "snsynth.mst.mst", "snsynth.aim.aim")
