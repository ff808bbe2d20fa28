"""Vectors as one byte a number: blocks of 32 numbers share a power-of-two step. numpy only.

What rounding loses is returned to the sender, who adds it to the next vector (error feedback, Seide et al.
2014; Karimireddy et al. 2019, arXiv:1901.09847), so that small numbers arrive late and not never. Rounding is
deterministic post-processing: it costs no privacy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from generator.errors import TaskFormatError
from generator.federation.task import Array

BLOCK = 32
STEPS, EXPONENTS = "steps", "exponents"
_LARGEST = 127
_EXPONENT_LIMIT = 100


def compressed(vector: NDArray[np.float32]) -> tuple[dict[str, Array], NDArray[np.float32]]:
    """(arrays of a message, what they leave out float32[P]) of finite numbers float32[P]."""
    blocks = _blocks(vector.astype(np.float64))
    largest = np.abs(blocks).max(axis=1)
    exponents = np.ceil(np.log2(np.maximum(largest, 2.0**-_EXPONENT_LIMIT) / _LARGEST))
    exponents = np.clip(exponents, -_EXPONENT_LIMIT, _EXPONENT_LIMIT)
    steps = np.clip(np.rint(blocks * np.exp2(-exponents)[:, None]), -_LARGEST, _LARGEST)
    arrays: dict[str, Array] = {
        STEPS: steps.reshape(-1)[: len(vector)].astype(np.int8),
        EXPONENTS: exponents.astype(np.int8),
    }
    return arrays, (vector - expanded(arrays, len(vector))).astype(np.float32)


def expanded(arrays: Mapping[str, Array], length: int) -> NDArray[np.float64]:
    """The vector float64[length] of a message; TaskFormatError if it holds another."""
    steps, exponents = arrays.get(STEPS), arrays.get(EXPONENTS)
    blocks = -(-length // BLOCK)
    if (
        steps is None
        or exponents is None
        or {steps.dtype, exponents.dtype} != {np.dtype(np.int8)}
        or (steps.shape, exponents.shape) != ((length,), (blocks,))
    ):
        raise TaskFormatError(f"expected {length} numbers as int8 steps and {blocks} int8 exponents")
    scale = np.exp2(exponents.astype(np.float64))
    return np.asarray((_blocks(steps.astype(np.float64)) * scale[:, None]).reshape(-1)[:length])


def _blocks(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.zeros(-(-len(vector) // BLOCK) * BLOCK)
    padded[: len(vector)] = vector
    return padded.reshape(-1, BLOCK)
