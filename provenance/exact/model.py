"""Model bytes "TSM1": a header, a codebook and raw integer arrays, nothing else. Everything big-endian.

`decode_model` accepts exactly the byte strings that `encode_model` writes, checks every field and proves the
2^24 bound, so a decoded model always samples the same rows everywhere. Normative text: docs/spec/model.md.
"""

from __future__ import annotations

from provenance.errors import UnknownVersionError
from provenance.exact.autoregressive import (
    ARCHITECTURE_AUTOREGRESSIVE,
    AutoregressiveModel,
    ColumnStep,
    read_autoregressive,
)
from provenance.exact.layout import EXACT_LIMIT, MAX_MODEL_BYTES, MAX_SHIFT, Reader, check_size, read_header
from provenance.exact.mlp_model import ARCHITECTURE_MLP, HiddenLayer, MlpModel, OutputLayer, read_mlp
from provenance.exact.size_class import ModelSize, SizeClass
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


def model_size(model: Model, model_bytes: int) -> ModelSize:
    """The numbers that decide a model's size class."""
    book = model.codebook
    return ModelSize(model_bytes, model.multiplications, book.columns, book.codes)


def size_class(model_bytes: bytes) -> SizeClass:
    """ "fraud-provable" if a chain can judge every row of the model (docs/spec/model.md, "Size class"), else
    "recomputed": true rows are still checked by making them again. Raises ModelError on other bytes."""
    return model_size(decode_model(model_bytes), len(model_bytes)).size_class
