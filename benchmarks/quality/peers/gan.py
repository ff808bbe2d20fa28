"""CTGAN and TVAE of the package `ctgan` (Xu et al. 2019, arXiv:1907.00503). Business Source Licence: it is
measured here and nothing else. Settings: epochs; all others the package's defaults.
"""

from __future__ import annotations

from typing import Any

from benchmarks.quality.peers.exchange import Request, Sampler, serve


def ctgan(request: Request, table: Any) -> Sampler:
    from ctgan import CTGAN

    return _fitted(CTGAN(enable_gpu=False, **request.settings), request, table)


def tvae(request: Request, table: Any) -> Sampler:
    from ctgan import TVAE

    return _fitted(TVAE(enable_gpu=False, **request.settings), request, table)


def _fitted(model: Any, request: Request, table: Any) -> Sampler:
    model.set_random_state(request.seed)
    model.fit(table, request.category_names)
    return lambda rows: model.sample(rows)


if __name__ == "__main__":
    serve({"ctgan": ctgan, "tvae": tvae}, "ctgan")
