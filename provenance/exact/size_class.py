"""Whether one row of a model can be refuted in one transaction on chain."""

from __future__ import annotations

from typing import Final, Literal

from provenance.exact.model import decode_model

SizeClass = Literal["fraud-provable", "recomputed"]
SIZE_CLASSES: Final[tuple[SizeClass, ...]] = ("fraud-provable", "recomputed")
"""The stronger claim first."""

MAX_PROVABLE_MULTIPLICATIONS = 64_000
MAX_PROVABLE_BYTES = 80_000


def size_class(model_bytes: bytes) -> SizeClass:
    """ "fraud-provable" if the model is at most 80,000 bytes and a row at most 64,000 multiplications, else
    "recomputed": true rows are still checked by making them again. Raises ModelError on other bytes."""
    return class_of_size(decode_model(model_bytes).multiplications, len(model_bytes))


def class_of_size(multiplications: int, model_bytes: int) -> SizeClass:
    """The size class of a model with so many multiplications a row and bytes."""
    if multiplications <= MAX_PROVABLE_MULTIPLICATIONS and model_bytes <= MAX_PROVABLE_BYTES:
        return "fraud-provable"
    return "recomputed"


def keeps_promise(found: SizeClass, promised: SizeClass) -> bool:
    """Whether a model of class `found` may be sold as `promised`: smaller than promised is fine."""
    return SIZE_CLASSES.index(found) <= SIZE_CLASSES.index(promised)
