"""Model bytes "TSM1": a header, a codebook and raw integer arrays, nothing else. Everything big-endian.

`decode_model` accepts exactly the byte strings that `encode_model` writes, checks every field and proves the
2^24 bound, so a decoded model always samples the same rows everywhere. Normative text: docs/spec/model.md.
"""

from __future__ import annotations

from typing import Final, Literal

from provenance.errors import UnknownVersionError
from provenance.exact.autoregressive import (
    ARCHITECTURE_AUTOREGRESSIVE,
    AutoregressiveModel,
    ColumnStep,
    read_autoregressive,
)
from provenance.exact.layout import EXACT_LIMIT, MAX_MODEL_BYTES, MAX_SHIFT, Reader, check_size, read_header
from provenance.exact.mlp_model import ARCHITECTURE_MLP, HiddenLayer, MlpModel, OutputLayer, read_mlp
from provenance.values import Digest, sha256

__all__ = [
    "EXACT_LIMIT",
    "MAX_MODEL_BYTES",
    "MAX_SHIFT",
    "AutoregressiveModel",
    "ColumnStep",
    "HiddenLayer",
    "MlpModel",
    "Model",
    "OutputLayer",
    "decode_model",
    "encode_model",
    "model_digest",
    "prove_bound",
]

Model = MlpModel | AutoregressiveModel
"""Every architecture has a codebook, schema_digest, multiplications, latent_words."""
SizeClass = Literal["fraud-provable", "recomputed"]
SIZE_CLASSES: Final[tuple[SizeClass, ...]] = ("fraud-provable", "recomputed")
"""The stronger claim first."""
MAX_PROVABLE_MULTIPLICATIONS = 64_000
MAX_PROVABLE_BYTES = 80_000


def encode_model(model: Model) -> bytes:
    """The bytes of `model`. Raises ModelError if a field breaks a rule or the 2^24 bound does not hold."""
    model.check_shapes()
    model.prove_bound()
    data = model.encode()
    check_size(data)
    return data


def decode_model(data: bytes) -> Model:
    """The model in `data`. Raises ModelError on any violation of docs/spec/model.md, UnknownVersionError on
    another magic or architecture."""
    reader = Reader(data)
    header = read_header(reader)
    model: Model
    if header.architecture == ARCHITECTURE_MLP:
        model = read_mlp(header, reader)
    elif header.architecture == ARCHITECTURE_AUTOREGRESSIVE:
        model = read_autoregressive(header, reader)
    else:
        raise UnknownVersionError(
            f"model: found architecture {header.architecture}, expected {ARCHITECTURE_MLP} or "
            f"{ARCHITECTURE_AUTOREGRESSIVE}; a newer release may know it"
        )
    reader.finish()
    model.check_shapes()
    model.prove_bound()
    return model


def model_digest(data: bytes) -> Digest:
    """SHA-256 of model bytes: what is committed on chain."""
    return sha256(data)


def prove_bound(model: Model) -> int:
    """The largest partial sum any float32 product of `model` can reach. Raises ModelError if it is 2^24 or
    more. Hidden neurons: sum |w| * a_max + |b|; outputs: sum |w| * a_max and |b| apart; the running vector of
    architecture 2: its worst codes' sum plus |input bias|."""
    return model.prove_bound()


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
