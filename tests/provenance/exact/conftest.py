"""Models that several tests of the exact generator share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from provenance.exact.codebook import Codebook
from provenance.exact.model import HiddenLayer, MlpModel, OutputLayer, encode_model
from provenance.values import sha256

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="session")
def vector_models() -> dict[str, bytes]:
    """Model bytes by name, from tests/vectors/model.json."""
    cases = json.loads((VECTORS / "model.json").read_text(encoding="utf-8"))["models"]
    return {case["name"]: bytes.fromhex(case["bytes"][2:]) for case in cases}


@pytest.fixture(scope="session")
def adult_sized_model() -> bytes:
    """A model of the size that an order for Adult has: 64-128-128-237, 15 columns, weights close to the
    bound."""
    random = np.random.default_rng(7)
    counts = (24, 9, 24, 16, 16, 7, 15, 6, 5, 2, 24, 24, 24, 39, 2)
    sizes = (1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 3, 2, 1, 1, 1)
    codes = sum(counts)

    def integers(low: int, high: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return random.integers(low, high + 1, shape)

    low = np.concatenate(
        [np.arange(count) * (256**size // count) for count, size in zip(counts, sizes, strict=True)]
    )
    width = np.repeat([256**size // count for count, size in zip(counts, sizes, strict=True)], counts)
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
    book = Codebook(counts, sizes, low.astype(np.int64), width.astype(np.int64))
    return encode_model(MlpModel(255, 64, sha256(b"schema"), book, hidden, output))
