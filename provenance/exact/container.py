"""`.tsm` files: one or more exact models with their schema, as `tessera fit` writes them.

    "tessera-model/1\\n" | u32 big-endian length | canonical JSON header | model bytes of all parts

A part is the model of one contributor with a weight of 65,536ths. Row r belongs to the part whose
cumulative weight first exceeds (r * 40503) mod 65536 and keeps its number r inside the part, whose shard
index is the part's index. So a row depends on file, seed and r only, never on how many rows are asked for.
The header is read strictly; every part must have its digest and fit the schema.
Normative text: docs/spec/container.md.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import JsonValue, decode, encode
from provenance.document import Reader
from provenance.errors import DocumentError, IntegrityError, ModelError
from provenance.exact.model import decode_model
from provenance.exact.sampler import sampler_for
from provenance.table.schema import Schema
from provenance.values import Digest, sha256

MAGIC: Final = b"tessera-model/1\n"
WEIGHT_SUM: Final = 65_536
_SPREAD: Final = 40_503  # odd, so r -> r * 40503 mod 65536 visits every residue once in 65,536 rows
_LENGTH = struct.Struct(">I")
_MAX_HEADER_BYTES: Final = 2**24


@dataclass(frozen=True, slots=True)
class Part:
    """One model and the number of 65,536ths of the rows that it makes."""

    weight: int
    model_bytes: bytes

    @property
    def digest(self) -> Digest:
        """SHA-256 of the model bytes."""
        return sha256(self.model_bytes)


@dataclass(frozen=True)
class Container:
    """A `.tsm` file. Construction checks every part against the schema; raises ModelError or DocumentError."""

    schema: Schema
    family: str
    spec_version: int
    parts: tuple[Part, ...]
    privacy: Mapping[str, JsonValue]
    fit: Mapping[str, JsonValue]

    def __post_init__(self) -> None:
        if not self.parts or sum(part.weight for part in self.parts) != WEIGHT_SUM:
            raise DocumentError(
                f"model file: weights {[p.weight for p in self.parts]}, expected the sum {WEIGHT_SUM:,}"
            )
        if any(part.weight < 1 for part in self.parts):
            raise DocumentError("model file: found a part of weight below 1, leave it out")
        sampler_for(self.spec_version)
        for index, part in enumerate(self.parts):
            model = decode_model(part.model_bytes)
            if model.schema_digest != self.schema.digest:
                raise ModelError(
                    f"part {index} was made for schema {model.schema_digest}, the file's schema is "
                    f"{self.schema.digest}; fit the model again"
                )
            model.codebook.check_schema(self.schema)

    def encode(self) -> bytes:
        """The bytes of the file."""
        header = encode(
            {
                "schema": self.schema.document(),
                "family": self.family,
                "specVersion": self.spec_version,
                "parts": [
                    {
                        "weight": part.weight,
                        "modelBytes": len(part.model_bytes),
                        "digest": str(part.digest),
                    }
                    for part in self.parts
                ],
                "privacy": dict(self.privacy),
                "fit": dict(self.fit),
            }
        )
        models = b"".join(part.model_bytes for part in self.parts)
        return MAGIC + _LENGTH.pack(len(header)) + header + models

    @classmethod
    def parse(cls, data: bytes) -> Container:
        """Reads a file. Raises MalformedError (not such a file) or IntegrityError (a model was changed)."""
        if not data.startswith(MAGIC):
            raise DocumentError(
                f"model file: found {data[: len(MAGIC)]!r}, expected the first line {MAGIC!r}; "
                "name a file written by `tessera fit`"
            )
        start = len(MAGIC) + _LENGTH.size
        if len(data) < start:
            raise DocumentError("model file: it ends inside its first bytes; copy it again")
        (length,) = _LENGTH.unpack(data[len(MAGIC) : start])
        if length > min(_MAX_HEADER_BYTES, len(data) - start):
            raise DocumentError(f"model file: the header claims {length:,} bytes, more than the file has")
        reader = Reader(
            decode(data[start : start + length]),
            "model file",
            ("schema", "family", "specVersion", "parts", "privacy", "fit"),
        )
        container = cls(
            Schema.parse(reader.member("schema")),
            reader.text("family"),
            reader.integer("specVersion", 0, 65535),
            _read_parts(reader.array("parts"), data[start + length :]),
            reader.mapping("privacy"),
            reader.mapping("fit"),
        )
        if container.encode() != data:
            raise DocumentError("model file: its schema is not in canonical form; write it with this release")
        return container

    @property
    def digest(self) -> Digest:
        """SHA-256 of the file."""
        return sha256(self.encode())

    def part_of_row(self, rows: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Index of the part that makes each of the row numbers uint64[n]."""
        ends = np.cumsum([part.weight for part in self.parts])
        residues = (rows % np.uint64(WEIGHT_SUM)).astype(np.int64) * _SPREAD % WEIGHT_SUM
        return np.searchsorted(ends, residues, side="right").astype(np.int64)

    @cached_property
    def model_bytes(self) -> int:
        """Bytes of all models together."""
        return sum(len(part.model_bytes) for part in self.parts)


def part_weights(rows: Sequence[int]) -> tuple[int, ...]:
    """65,536ths in proportion to `rows` (each at least 1), by largest remainder; ties go to the earlier part."""
    if not rows or min(rows) < 1:
        raise DocumentError(f"weights for rows {list(rows)}: expected at least one part, each with rows")
    spare, total = WEIGHT_SUM - len(rows), sum(rows)
    weights = [1 + spare * each // total for each in rows]
    remainders = sorted(range(len(rows)), key=lambda i: (-(spare * rows[i] % total), i))
    for index in remainders[: WEIGHT_SUM - sum(weights)]:
        weights[index] += 1
    return tuple(weights)


def _read_parts(entries: Sequence[JsonValue], models: bytes) -> tuple[Part, ...]:
    parts, position = [], 0
    for index, entry in enumerate(entries):
        reader = Reader(entry, f"model file.parts[{index}]", ("weight", "modelBytes", "digest"))
        size = reader.integer("modelBytes", 1)
        part = Part(reader.integer("weight", 1, WEIGHT_SUM), models[position : position + size])
        if len(part.model_bytes) != size or part.digest != reader.digest("digest"):
            raise IntegrityError(
                f"model file: part {index} has digest {part.digest}, the header says "
                f"{reader.digest('digest')}; "
                "the file was changed or cut off, copy it again"
            )
        parts.append(part)
        position += size
    if position != len(models):
        raise IntegrityError(
            f"model file: {len(models) - position} bytes follow the last model, expected none"
        )
    return tuple(parts)
