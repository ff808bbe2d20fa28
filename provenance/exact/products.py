"""Exact products: integers carried by floats, so that BLAS may run at full speed.

Every partial sum is below 2^24 (proved when the model was decoded), so float32 products are exact in any
order. A shift is folded into weights and bias: dividing by a power of two rounds nothing, and flooring the sum
gives the shifted integer. Arrays are feature-major, [features, rows], unless said otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.exact.layout import EXACT_LIMIT, magnitudes
from provenance.exact.tables import EXP_LAST

Floats = NDArray[np.floating[Any]]
FloatType = type[np.floating[Any]]

# BLAS is fastest on thin matrices of some hundred rows (seen with OpenBLAS); the size changes no bit
TILE_ROWS = 480


def product(weights: Floats, x: Floats, out: Floats) -> None:
    """out[out, rows] <- weights[out, in] @ x[in, rows], a tile of rows at a time."""
    rows = x.shape[1]
    whole = rows - rows % TILE_ROWS
    if whole:
        np.matmul(weights, _tiles(x[:, :whole]), out=_tiles(out[:, :whole]))
    if whole < rows:
        np.matmul(weights, x[:, whole:], out=out[:, whole:])


def activate(x: Floats, a_max: np.floating[Any]) -> None:
    """x <- clip(floor(x), 0, a_max), in place."""
    # the bounds are integers, so the order of clip and floor does not matter
    x.clip(0, a_max, out=x)
    np.floor(x, out=x)


def folded_hidden(
    weights: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8], dtype: FloatType
) -> Floats:
    """[out, in + 1]: weights and, for an input that is always 1, the bias, both divided by 2^shift."""
    both = np.concatenate([weights.astype(np.float64), bias[:, None]], axis=1)
    return _matrix(np.ldexp(both, -shift.astype(np.int32)[:, None]), dtype)


def folded_output(
    weights: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8], dtype: FloatType
) -> Floats:
    """[out, in + 1]: gives *costs*, whose floor is the negated logit -(((W x) >> shift) + bias).

    -(n >> s) is the floor of (2^s - 1 - n) / 2^s: so weights are negated and the last input, always 1, carries
    (2^s - 1) / 2^s - bias.
    """
    short = _short(shift)
    weighted = np.ldexp(-weights.astype(np.float64), -short[:, None])
    constant = 1 - np.ldexp(1.0, -short) - bias
    return _matrix(np.concatenate([weighted, constant[:, None]], axis=1), dtype)


def cost_type(
    weights: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8], a_max: int, dtype: FloatType
) -> FloatType:
    """`dtype` if it carries every sum of `folded_output` exactly, and every distance of a cost from another up
    to the weights table's end; else float64, which always does."""
    short = _short(shift)
    largest = magnitudes(weights).sum(axis=1) * a_max + ((magnitudes(bias) + 1) << short)
    fits = largest.max() < EXACT_LIMIT and (EXP_LAST << int(short.max())) < EXACT_LIMIT
    return dtype if fits else np.float64


def _short(shift: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Output sums stay below 2^24: from 24 on a shift leaves the sign, whichever it is."""
    return np.minimum(shift, 24).astype(np.int64)


def _matrix(values: NDArray[np.float64], dtype: FloatType) -> Floats:
    """Column-major, as BLAS reads weights fastest."""
    return np.asfortranarray(values.astype(dtype))


def _tiles(matrix: Floats) -> Floats:
    """[features, rows] seen as [tiles, features, TILE_ROWS]."""
    return matrix.reshape(len(matrix), -1, TILE_ROWS).transpose(1, 0, 2)
