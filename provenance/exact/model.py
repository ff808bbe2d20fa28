"""Model bytes "TSM1": a header, a codebook and raw integer arrays, nothing else. Everything big-endian.

`decode_model` accepts exactly the byte strings that `encode_model` writes, checks every field and proves the
2^24 bound, so a decoded model always samples the same rows everywhere. Normative text: docs/spec/model.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError, UnknownVersionError
from provenance.exact.codebook import Codebook
from provenance.exact.tables import TABLES_DIGEST
from provenance.values import Digest, sha256

MAGIC = b"TSM1"
ARCHITECTURE_MLP = 1
ACTIVATION_CLIPS = (127, 255)
MAX_HIDDEN_LAYERS = 4
MAX_SHIFT = 31
EXACT_LIMIT = 2**24
MAX_MODEL_BYTES = 2**24
_HEADER = struct.Struct(">4sBBHHHBBH32s32s")
_LARGEST_U16 = 65_535


@dataclass(frozen=True, slots=True, eq=False)
class HiddenLayer:
    """x -> clip((weights @ x + bias) >> shift, 0, a_max). weights int8[out, in], bias int32[out], shift
    uint8[out]."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    shift: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class OutputLayer:
    """x -> ((weights @ x) >> shift) + bias, logits in 1/64 nat. weights int8[D, in], shift uint8[D], bias
    int32[D]."""

    weights: NDArray[np.int8]
    shift: NDArray[np.uint8]
    bias: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class MlpModel:
    """Architecture 1. `latent` noise bytes enter the first layer; one logit a code leaves the last."""

    a_max: int
    latent: int
    schema_digest: Digest
    codebook: Codebook
    hidden: tuple[HiddenLayer, ...]
    output: OutputLayer
    tables_digest: Digest = TABLES_DIGEST

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one row."""
        return sum(layer.weights.size for layer in self.hidden) + self.output.weights.size


def encode_model(model: MlpModel) -> bytes:
    """The bytes of `model`. Raises ModelError if a field breaks a rule or the 2^24 bound does not hold."""
    _check_shapes(model)
    prove_bound(model)
    book = model.codebook
    parts = [
        _HEADER.pack(
            MAGIC, ARCHITECTURE_MLP, model.a_max, book.columns, book.codes, model.latent,
            len(model.hidden), 0, 0, model.schema_digest, model.tables_digest,
        ),
        b"".join(struct.pack(">H", len(layer.bias)) for layer in model.hidden),
        b"".join(map(struct.Struct(">HB").pack, book.code_counts, book.value_widths)),
        np.stack([book.low, book.width], axis=1).astype(">u4").tobytes(),
    ]  # fmt: skip
    for layer in model.hidden:
        parts += [layer.weights.tobytes(), layer.bias.astype(">i4").tobytes(), layer.shift.tobytes()]
    output = model.output
    parts += [output.weights.tobytes(), output.shift.tobytes(), output.bias.astype(">i4").tobytes()]
    data = b"".join(parts)
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(f"the model has {len(data):,} bytes, expected at most {MAX_MODEL_BYTES:,}")
    return data


def decode_model(data: bytes) -> MlpModel:
    """The model in `data`. Raises ModelError on any violation of docs/spec/model.md, UnknownVersionError on
    another magic or architecture."""
    reader = _Reader(data)
    magic, architecture, a_max, columns, codes, latent, depth, zero_1, zero_2, schema, tables = (
        _HEADER.unpack(reader.take(_HEADER.size, "header"))
    )
    if magic != MAGIC or architecture != ARCHITECTURE_MLP:
        raise UnknownVersionError(
            f"model: found magic {magic!r} and architecture {architecture}, expected {MAGIC!r} and "
            f"{ARCHITECTURE_MLP}; a newer release may know it"
        )
    if zero_1 or zero_2:
        raise ModelError(f"model: reserved bytes are {zero_1}, {zero_2}, expected 0")
    if not 1 <= depth <= MAX_HIDDEN_LAYERS:
        raise ModelError(f"model: found {depth} hidden layers, expected 1 to {MAX_HIDDEN_LAYERS}")
    widths = [int(width) for width in reader.array(">u2", (depth,), "hidden widths")]
    book = _read_codebook(reader, columns, codes)
    hidden, output = _read_layers(reader, latent, widths, codes)
    reader.finish()
    model = MlpModel(a_max, latent, Digest(schema), book, hidden, output, Digest(tables))
    _check_shapes(model)
    prove_bound(model)
    return model


def _read_codebook(reader: _Reader, columns: int, codes: int) -> Codebook:
    rows = list(struct.iter_unpack(">HB", reader.take(3 * columns, "columns")))
    counts = tuple(int(count) for count, _ in rows)
    if sum(counts) != codes:
        raise ModelError(f"model: the columns have {sum(counts)} codes, the header says {codes}")
    ranges = reader.array(">u4", (codes, 2), "code ranges").astype(np.int64)
    return Codebook(counts, tuple(int(size) for _, size in rows), ranges[:, 0].copy(), ranges[:, 1].copy())


def _read_layers(
    reader: _Reader, latent: int, widths: list[int], codes: int
) -> tuple[tuple[HiddenLayer, ...], OutputLayer]:
    hidden = []
    inputs = latent
    for i, width in enumerate(widths):
        weights = reader.array(">i1", (width, inputs), f"weights of layer {i}").astype(np.int8)
        bias = reader.array(">i4", (width,), f"bias of layer {i}").astype(np.int32)
        shift = reader.array(">u1", (width,), f"shift of layer {i}").astype(np.uint8)
        hidden.append(HiddenLayer(weights, bias, shift))
        inputs = width
    weights = reader.array(">i1", (codes, inputs), "weights of the output").astype(np.int8)
    shift = reader.array(">u1", (codes,), "shift of the output").astype(np.uint8)
    bias = reader.array(">i4", (codes,), "bias of the output").astype(np.int32)
    return tuple(hidden), OutputLayer(weights, shift, bias)


def model_digest(data: bytes) -> Digest:
    """SHA-256 of model bytes: what is committed on chain."""
    return sha256(data)


def prove_bound(model: MlpModel) -> int:
    """The largest partial sum any float32 product of `model` can reach. Raises ModelError if it is 2^24 or
    more.

    Hidden neurons: sum |w| * a_max + |b|; outputs: sum |w| * a_max and |b| apart, because the bias is added
    to the shifted integer. Latent inputs are at most 125, so a_max bounds them too.
    """
    worst = 0
    for i, layer in enumerate(model.hidden):
        sums = np.abs(layer.weights.astype(np.int64)).sum(axis=1) * model.a_max
        worst = max(worst, _largest(sums + np.abs(layer.bias.astype(np.int64)), f"hidden layer {i}"))
    sums = np.abs(model.output.weights.astype(np.int64)).sum(axis=1) * model.a_max
    worst = max(worst, _largest(sums, "output layer"))
    return max(worst, _largest(np.abs(model.output.bias.astype(np.int64)), "output bias"))


def _largest(sums: NDArray[np.int64], place: str) -> int:
    largest = int(sums.max())
    if largest >= EXACT_LIMIT:
        raise ModelError(
            f"{place}, neuron {int(sums.argmax())}: found a worst partial sum of {largest:,}, expected "
            "below 2^24; quantise to smaller weights or biases"
        )
    return largest


def _check_shapes(model: MlpModel) -> None:
    if model.a_max not in ACTIVATION_CLIPS:
        raise ModelError(f"model: found a_max {model.a_max}, expected 127 or 255")
    if model.tables_digest != TABLES_DIGEST:
        raise ModelError(f"model: made for tables {model.tables_digest}, this release has {TABLES_DIGEST}")
    if not 1 <= model.latent <= _LARGEST_U16:
        raise ModelError(f"model: found {model.latent} latent bytes, expected 1 to {_LARGEST_U16}")
    if not 1 <= len(model.hidden) <= MAX_HIDDEN_LAYERS:
        raise ModelError(f"model: found {len(model.hidden)} hidden layers, expected 1 to {MAX_HIDDEN_LAYERS}")
    inputs = model.latent
    layers: list[HiddenLayer | OutputLayer] = [*model.hidden, model.output]
    for i, layer in enumerate(layers):
        width = model.codebook.codes if i == len(model.hidden) else len(layer.bias)
        shapes = (layer.weights.shape, layer.bias.shape, layer.shift.shape)
        if not 1 <= width <= _LARGEST_U16 or shapes != ((width, inputs), (width,), (width,)):
            raise ModelError(
                f"layer {i}: found shapes {shapes}, expected {((width, inputs), (width,), (width,))}"
            )
        kinds = [array.dtype.name for array in (layer.weights, layer.bias, layer.shift)]
        if kinds != ["int8", "int32", "uint8"]:
            raise ModelError(
                f"layer {i}: found types {kinds}, expected int8 weights, int32 bias, uint8 shift"
            )
        if (layer.shift > MAX_SHIFT).any():
            raise ModelError(f"layer {i}: found a shift of {layer.shift.max()}, expected at most {MAX_SHIFT}")
        inputs = width


class _Reader:
    """Takes fields off the front of model bytes."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_MODEL_BYTES:
            raise ModelError(f"the model has {len(data):,} bytes, expected at most {MAX_MODEL_BYTES:,}")
        self._data = data
        self._position = 0

    def take(self, length: int, what: str) -> bytes:
        left = len(self._data) - self._position
        if length > left:
            raise ModelError(
                f"model: {what} needs {length} bytes at {self._position}, found {left}; it is cut off"
            )
        self._position += length
        return self._data[self._position - length : self._position]

    def array(self, kind: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic]:
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self.take(count * dtype.itemsize, what), dtype=dtype).reshape(shape)

    def finish(self) -> None:
        if self._position != len(self._data):
            raise ModelError(
                f"model: {len(self._data) - self._position} bytes follow the last field, expected none"
            )
