"""Models that several tests of the exact generator share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    encode_model,
)
from provenance.values import sha256

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="session")
def vector_models() -> dict[str, bytes]:
    """Model bytes by name, from tests/vectors/model.json."""
    cases = json.loads((VECTORS / "model.json").read_text(encoding="utf-8"))["models"]
    return {case["name"]: bytes.fromhex(case["bytes"][2:]) for case in cases}


CODE_COUNTS = (24, 9, 24, 16, 16, 7, 15, 6, 5, 2, 24, 24, 24, 39, 2)
VALUE_WIDTHS = (1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1)


class Integers:
    """Reproducible random arrays."""

    def __init__(self, tag: int) -> None:
        self._random = np.random.default_rng(tag)

    def __call__(self, low: int, high: int, *shape: int) -> NDArray[np.int64]:
        return self._random.integers(low, high + 1, shape)


def adult_sized_codebook() -> Codebook:
    pairs = list(zip(CODE_COUNTS, VALUE_WIDTHS, strict=True))
    low = np.concatenate([np.arange(count) * (256**size // count) for count, size in pairs])
    width = np.repeat([256**size // count for count, size in pairs], CODE_COUNTS)
    return Codebook(CODE_COUNTS, VALUE_WIDTHS, low.astype(np.int64), width.astype(np.int64))


@pytest.fixture(scope="session")
def adult_sized_model() -> bytes:
    """A model of the size that an order for Adult has: 64-128-128-237, 15 columns, weights close to the bound."""
    integers = Integers(7)
    codes = sum(CODE_COUNTS)
    hidden = tuple(
        HiddenLayer(
            integers(-128, 127, out, inputs).astype(np.int8),
            integers(-100_000, 100_000, out).astype(np.int32),
            integers(6, 9, out).astype(np.uint8),
        )
        for out, inputs in ((128, 64), (128, 128))
    )
    output = OutputLayer(
        integers(-128, 127, codes, 128).astype(np.int8),
        integers(5, 8, codes).astype(np.uint8),
        integers(-300, 300, codes).astype(np.int32),
    )
    return encode_model(MlpModel(255, 64, sha256(b"schema"), adult_sized_codebook(), hidden, output))


@pytest.fixture(scope="session")
def adult_sized_autoregressive() -> bytes:
    """Architecture 2 for the same columns, the last drawn first: H 64, G 32."""
    integers = Integers(8)
    order = (14, *range(14))
    steps = tuple(
        ColumnStep(
            integers(-300, 300, 64).astype(np.int32),
            integers(-128, 127, 32, 64).astype(np.int8),
            integers(-100_000, 100_000, 32).astype(np.int32),
            integers(6, 9, 32).astype(np.uint8),
            integers(-128, 127, CODE_COUNTS[column], 32).astype(np.int8),
            integers(5, 8, CODE_COUNTS[column]).astype(np.uint8),
            integers(-300, 300, CODE_COUNTS[column]).astype(np.int32),
        )
        for column in order
    )
    embedding = integers(-128, 127, sum(CODE_COUNTS), 64).astype(np.int8)
    return encode_model(
        AutoregressiveModel(255, sha256(b"schema"), adult_sized_codebook(), order, steps, embedding)
    )
