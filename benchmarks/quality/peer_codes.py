"""Codes of our own private bins for peers that fit tables of codes: equal bins for all.

The bins cost BINS_PERCENT of rho (zero-concentrated DP, Bun and Steinke 2016); rho is taken from the simple
bound rho + 2 sqrt(rho log(1 / delta)) = epsilon, which is below what the peer's tighter conversion allows, so
the whole stays within epsilon.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.case import DELTA, JsonObject
from generator.marginals.bins import base_grid, build_codebook, encode_codes, release_bins
from provenance.exact.codebook import Codebook
from provenance.table.schema import Schema

BINS_PERCENT: Final = 10

Values = NDArray[np.int64]


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
