"""Architecture 1: latent noise bytes through hidden layers to the logits of all columns at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError
from provenance.exact.codebook import Codebook
from provenance.exact.layout import (
    Header,
    Reader,
    check_frame,
    check_layer,
    encode_codebook,
    hidden_bound,
    output_bound,
    read_codebook,
)
from provenance.exact.tables import TABLES_DIGEST
from provenance.values import Digest

ARCHITECTURE_MLP = 1
MAX_HIDDEN_LAYERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class HiddenLayer:
    """x -> clip((weights @ x + bias) >> shift, 0, a_max). weights int8[out, in], bias
    int32[out], shift uint8[out]."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    shift: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class OutputLayer:
    """x -> ((weights @ x) >> shift) + bias, logits in 1/64 nat. weights int8[D, in], shift
    uint8[D], bias int32[D]."""

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

    @property
    def latent_words(self) -> int:
        """Noise words of a row before the columns' own: eight latent inputs each."""
        return -(-self.latent // 8)

    def encode(self) -> bytes:
        """Model bytes, without any check."""
        book, output = self.codebook, self.output
        header = Header(
            ARCHITECTURE_MLP, self.a_max, book.columns, book.codes, self.latent, len(self.hidden), 0,
            self.schema_digest, self.tables_digest,
        )  # fmt: skip
        parts = [header.encode()]
        parts += [len(layer.bias).to_bytes(2, "big") for layer in self.hidden]
        parts.append(encode_codebook(book))
        for layer in self.hidden:
            parts += [layer.weights.tobytes(), layer.bias.astype(">i4").tobytes(), layer.shift.tobytes()]
        parts += [output.weights.tobytes(), output.shift.tobytes(), output.bias.astype(">i4").tobytes()]
        return b"".join(parts)

    def check_shapes(self) -> None:
        """Raises ModelError if an array has another shape or type, or a field an unknown value."""
        check_frame(self.a_max, self.tables_digest, latent_bytes=self.latent)
        if not 1 <= len(self.hidden) <= MAX_HIDDEN_LAYERS:
            raise ModelError(
                f"model: found {len(self.hidden)} hidden layers, expected 1 to {MAX_HIDDEN_LAYERS}"
            )
        inputs = self.latent
        layers: list[HiddenLayer | OutputLayer] = [*self.hidden, self.output]
        for i, layer in enumerate(layers):
            width = self.codebook.codes if i == len(self.hidden) else len(layer.bias)
            check_layer(f"layer {i}", layer.weights, layer.bias, layer.shift, (width, inputs))
            inputs = width

    def prove_bound(self) -> int:
        """The largest partial sum; raises ModelError from 2^24 on. Latent inputs are at most 125, so a_max
        bounds them too."""
        hidden = [
            hidden_bound(f"hidden layer {i}", layer.weights, layer.bias, self.a_max)
            for i, layer in enumerate(self.hidden)
        ]
        return max(*hidden, output_bound("output", self.output.weights, self.output.bias, self.a_max))


def read_mlp(header: Header, reader: Reader) -> MlpModel:
    """The model after its header, unchecked but for lengths, depth and codebook."""
    if header.hidden_width:
        raise ModelError(f"model: the reserved field is {header.hidden_width}, expected 0")
    if not 1 <= header.depth <= MAX_HIDDEN_LAYERS:
        raise ModelError(f"model: found {header.depth} hidden layers, expected 1 to {MAX_HIDDEN_LAYERS}")
    widths = [int(width) for width in reader.array(">u2", (header.depth,), "hidden widths")]
    book = read_codebook(reader, header)
    hidden = []
    inputs = header.inputs
    for i, width in enumerate(widths):
        weights = reader.int8((width, inputs), f"weights of layer {i}")
        bias = reader.int32(width, f"bias of layer {i}")
        hidden.append(HiddenLayer(weights, bias, reader.uint8(width, f"shift of layer {i}")))
        inputs = width
    weights = reader.int8((header.codes, inputs), "weights of the output")
    shift = reader.uint8(header.codes, "shift of the output")
    output = OutputLayer(weights, shift, reader.int32(header.codes, "bias of the output"))
    return MlpModel(
        header.a_max, header.inputs, header.schema_digest, book, tuple(hidden), output, header.tables_digest
    )
