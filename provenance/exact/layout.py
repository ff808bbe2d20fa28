"""What the architectures' model bytes have in common: the header, the codebook section, reading and checking.

Normative text: docs/spec/model.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError, UnknownVersionError
from provenance.exact.codebook import Codebook
from provenance.exact.tables import TABLES_DIGEST
from provenance.values import Digest

MAGIC = b"TSM1"
ACTIVATION_CLIPS = (127, 255)
MAX_SHIFT = 31
EXACT_LIMIT = 2**24
MAX_MODEL_BYTES = 2**24
LARGEST_U16 = 65_535
_HEADER = struct.Struct(">4sBBHHHBBH32s32s")


@dataclass(frozen=True, slots=True)
class Header:
    """The first 80 bytes. `inputs` is the latent width Z of architecture 1 and the width H of the running
    vector of architecture 2; `depth` is 0 in architecture 2, `hidden_width` is 0 in architecture 1."""

    architecture: int
    a_max: int
    columns: int
    codes: int
    inputs: int
    depth: int
    hidden_width: int
    schema_digest: Digest
    tables_digest: Digest

    def encode(self) -> bytes:
        """The header's bytes."""
        return _HEADER.pack(
            MAGIC, self.architecture, self.a_max, self.columns, self.codes, self.inputs, self.depth, 0,
            self.hidden_width, self.schema_digest, self.tables_digest,
        )  # fmt: skip


class Reader:
    """Takes fields off the front of model bytes. Raises ModelError when they are cut off or too long."""

    def __init__(self, data: bytes) -> None:
        check_size(data)
        self._data = data
        self._position = 0

    def take(self, length: int, what: str) -> bytes:
        """The next `length` bytes."""
        left = len(self._data) - self._position
        if length > left:
            raise ModelError(
                f"model: {what} needs {length} bytes at {self._position}, found {left}; it is cut off"
            )
        self._position += length
        return self._data[self._position - length : self._position]

    def array(self, kind: str, shape: tuple[int, ...], what: str) -> NDArray[np.generic]:
        """The next array of dtype `kind`."""
        dtype = np.dtype(kind)
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self.take(count * dtype.itemsize, what), dtype=dtype).reshape(shape)

    def int8(self, shape: tuple[int, ...], what: str) -> NDArray[np.int8]:
        """The next int8 array."""
        return self.array(">i1", shape, what).astype(np.int8)

    def int32(self, length: int, what: str) -> NDArray[np.int32]:
        """The next int32 vector."""
        return self.array(">i4", (length,), what).astype(np.int32)

    def uint8(self, length: int, what: str) -> NDArray[np.uint8]:
        """The next uint8 vector."""
        return self.array(">u1", (length,), what).astype(np.uint8)

    def finish(self) -> None:
        """Raises ModelError if anything is left."""
        if self._position != len(self._data):
            raise ModelError(
                f"model: {len(self._data) - self._position} bytes follow the last field, expected none"
            )


def read_header(reader: Reader) -> Header:
    """The header; raises UnknownVersionError on another magic. The architecture is the caller's to judge."""
    magic, architecture, a_max, columns, codes, inputs, depth, zero, hidden_width, schema, tables = (
        _HEADER.unpack(reader.take(_HEADER.size, "header"))
    )
    if magic != MAGIC:
        raise UnknownVersionError(
            f"model: found magic {magic!r}, expected {MAGIC!r}; a newer release may know it"
        )
    if zero:
        raise ModelError(f"model: the reserved byte is {zero}, expected 0")
    return Header(
        architecture, a_max, columns, codes, inputs, depth, hidden_width, Digest(schema), Digest(tables)
    )


def read_codebook(reader: Reader, header: Header) -> Codebook:
    """The codebook section."""
    rows = list(struct.iter_unpack(">HB", reader.take(3 * header.columns, "columns")))
    counts = tuple(int(count) for count, _ in rows)
    if sum(counts) != header.codes:
        raise ModelError(f"model: the columns have {sum(counts)} codes, the header says {header.codes}")
    ranges = reader.array(">u4", (header.codes, 2), "code ranges").astype(np.int64)
    return Codebook(counts, tuple(int(size) for _, size in rows), ranges[:, 0].copy(), ranges[:, 1].copy())


def encode_codebook(book: Codebook) -> bytes:
    """The bytes of the codebook section."""
    columns = b"".join(map(struct.Struct(">HB").pack, book.code_counts, book.value_widths))
    return columns + np.stack([book.low, book.width], axis=1).astype(">u4").tobytes()


def check_size(data: bytes) -> None:
    """Raises ModelError if model bytes are too long."""
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(f"the model has {len(data):,} bytes, expected at most {MAX_MODEL_BYTES:,}")


def check_frame(a_max: int, tables_digest: Digest, **widths: int) -> None:
    """Raises ModelError unless the clip and the tables are known and the named widths fit a u16."""
    if a_max not in ACTIVATION_CLIPS:
        raise ModelError(f"model: found a_max {a_max}, expected 127 or 255")
    if tables_digest != TABLES_DIGEST:
        raise ModelError(f"model: made for tables {tables_digest}, this release has {TABLES_DIGEST}")
    for name, width in widths.items():
        if not 1 <= width <= LARGEST_U16:
            raise ModelError(f"model: found {width} {name.replace('_', ' ')}, expected 1 to {LARGEST_U16}")


def check_layer(
    place: str,
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    shift: NDArray[np.uint8],
    shape: tuple[int, int],
) -> None:
    """Raises ModelError unless weights have `shape`, bias and shift one entry a neuron, and the right types."""
    shapes = (weights.shape, bias.shape, shift.shape)
    if not 1 <= shape[0] <= LARGEST_U16 or shapes != (shape, shape[:1], shape[:1]):
        raise ModelError(f"{place}: found shapes {shapes}, expected {(shape, shape[:1], shape[:1])}")
    kinds = [array.dtype.name for array in (weights, bias, shift)]
    if kinds != ["int8", "int32", "uint8"]:
        raise ModelError(f"{place}: found types {kinds}, expected int8 weights, int32 bias, uint8 shift")
    if (shift > MAX_SHIFT).any():
        raise ModelError(f"{place}: found a shift of {shift.max()}, expected at most {MAX_SHIFT}")


def hidden_bound(place: str, weights: NDArray[np.int8], bias: NDArray[np.int32], a_max: int) -> int:
    """The largest partial sum of a hidden layer: sum |w| * a_max + |b|. Raises ModelError from 2^24 on."""
    return exact_sum(magnitudes(weights).sum(axis=1) * a_max + magnitudes(bias), place)


def output_bound(place: str, weights: NDArray[np.int8], bias: NDArray[np.int32], a_max: int) -> int:
    """The largest of sum |w| * a_max and |b|, apart because the bias is added to the shifted integer. Raises
    ModelError from 2^24 on."""
    largest = exact_sum(magnitudes(weights).sum(axis=1) * a_max, f"{place} layer")
    return max(largest, exact_sum(magnitudes(bias), f"{place} bias"))


def magnitudes(array: NDArray[np.int8] | NDArray[np.int32]) -> NDArray[np.int64]:
    """Absolute values, as int64 (the smallest int8 and int32 have no negative of their own type)."""
    return np.abs(array.astype(np.int64))


def exact_sum(sums: NDArray[np.int64], place: str) -> int:
    """The largest of `sums`, int64[neurons]; raises ModelError unless float32 carries it exactly."""
    largest = int(sums.max())
    if largest >= EXACT_LIMIT:
        raise ModelError(
            f"{place}, neuron {int(sums.argmax())}: found a worst partial sum of {largest:,}, expected "
            "below 2^24; quantise to smaller weights or biases"
        )
    return largest
