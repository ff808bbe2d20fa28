"""Whether one row of a model can be refuted in one transaction on chain."""

from __future__ import annotations

from typing import Literal

from provenance.exact.model import decode_model

SizeClass = Literal["fraud-provable", "recomputed"]

MAX_PROVABLE_MULTIPLICATIONS = 64_000
MAX_PROVABLE_BYTES = 80_000


def size_class(model_bytes: bytes) -> SizeClass:
    """ "fraud-provable" if the model is at most 80,000 bytes and a row at most 64,000 multiplications, else
    "recomputed": true rows are still checked by making them again. Raises ModelError on other bytes."""
    model = decode_model(model_bytes)
    if model.multiplications <= MAX_PROVABLE_MULTIPLICATIONS and len(model_bytes) <= MAX_PROVABLE_BYTES:
        return "fraud-provable"
    return "recomputed"
