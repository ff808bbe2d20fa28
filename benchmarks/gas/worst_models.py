"""Shapes of models and conditions, without meaning, as bytes that a reader takes: what the gas search tries."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from provenance.exact.size_class import (
    MAX_CONDITION_BYTES,
    MAX_PROVABLE_CODES,
    MAX_PROVABLE_COLUMNS,
    ModelSize,
    PrefixSize,
    prefix_size,
)
from provenance.exact.tables import TABLES_DIGEST

_HEADER = struct.Struct(">4sBBHHHBBH32s32s")
_LARGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Shape:
    """widths: latent inputs and hidden widths of architecture 1, (H, G) of architecture 2. codes: of each column,
    in draw order. allowed: codes that the conditions leave of the first columns, 0 for a free one. ranges: into how
    many ranges the first conditioned column is cut, up to what the order may send.
    """

    architecture: int
    widths: tuple[int, ...]
    codes: tuple[int, ...]
    value_width: int = 4
    allowed: tuple[int, ...] = ()
    ranges: int = 1

    @property
    def multiplications(self) -> int:
        """As model.md, "Size class"."""
        total = sum(self.codes)
        if self.architecture == 1:
            return sum(a * b for a, b in pairwise((*self.widths, total)))
        return self.widths[1] * (self.widths[0] * len(self.codes) + total)

    @property
    def model_bytes(self) -> int:
        """Length of `model`."""
        columns, total = len(self.codes), sum(self.codes)
        start = 80 + 3 * columns + 8 * total
        if self.architecture == 1:
            layers = sum(a * b + 5 * b for a, b in pairwise((*self.widths, total)))
            return start + 2 * (len(self.widths) - 1) + layers
        width, neurons = self.widths
        steps = columns * (4 * width + neurons * width + 5 * neurons) + total * (neurons + 5)
        return start + 2 * columns + steps + total * width

    @property
    def is_in_class(self) -> bool:
        """Whether a promise of the class takes the model and its conditions."""
        size = ModelSize(self.model_bytes, self.multiplications, len(self.codes), sum(self.codes))
        if (
            self.value_width == 1 and max(self.codes) > 256
        ):  # several codes of one value: `prefix` would miscount
            return False
        return (
            not size.beyond() and not self.prefix.beyond() and len(self.conditions()) <= MAX_CONDITION_BYTES
        )

    def model(self) -> bytes:
        """Small weights other than zero; the last code of each column is the likeliest, so that a draw looks at all."""
        columns, total = len(self.codes), sum(self.codes)
        mlp = self.architecture == 1
        depth, inputs, neurons = (len(self.widths) - 1, self.widths[0], 0) if mlp else (0, *self.widths)
        header = _HEADER.pack(
            b"TSM1",
            self.architecture,
            255,
            columns,
            total,
            inputs,
            depth,
            0,
            neurons,
            bytes(32),
            TABLES_DIGEST,
        )
        parts = [header]
        parts += [struct.pack(">H", width) for width in self.widths[1:] if mlp]
        parts += [struct.pack(">HB", count, self.value_width) for count in self.codes]
        parts += [self._code(i) for count in self.codes for i in range(count)]
        if mlp:
            for a, b in pairwise(self.widths):
                parts += [b"\x01" * (a * b), struct.pack(">i", 0x01010101 >> 4) * b, b"\x1f" * b]
            logits = b"".join(_biases(count) for count in self.codes)
            parts += [b"\x01" * (self.widths[-1] * total), b"\x1f" * total, logits]
            return b"".join(parts)
        parts += [struct.pack(">H", i) for i in range(columns)]
        for count in self.codes:
            parts += [struct.pack(">i", 0x00101010) * inputs, b"\x01" * (inputs * neurons)]
            parts += [struct.pack(">i", 0x00101010) * neurons, b"\x1f" * neurons]
            parts += [b"\x01" * (neurons * count), b"\x1f" * count, _biases(count)]
        parts.append(b"\x01" * (total * inputs))
        return b"".join(parts)

    def conditions(self) -> bytes:
        """One segment of all rows; empty for none."""
        named = [(column, count) for column, count in enumerate(self.allowed) if count]
        if not named:
            return b""
        parts = [struct.pack(">HIH", 1, _LARGEST, len(named))]
        for column, count in named:
            high = self._low(count - 1) + self._width - 1
            cut = self.ranges if column == named[0][0] else 1
            lows = [2 * i for i in range(max(1, min(cut, high // 2)))]
            parts.append(struct.pack(">HI", column, len(lows)))
            parts += [struct.pack(">II", low, low if low < lows[-1] else high) for low in lows]
        return b"".join(parts)

    @property
    def prefix(self) -> PrefixSize:
        """The prefix steps under the conditions."""
        if self.architecture == 1:
            return PrefixSize()
        left = [self.allowed[i] if i < len(self.allowed) else 0 for i in range(len(self.codes))]
        counts = [a or b for a, b in zip(left, self.codes, strict=True)]
        inputs, neurons = self.widths
        return prefix_size(inputs, neurons, self.codes, counts, [bool(count) for count in left])

    def _low(self, code: int) -> int:
        return code * self._width

    @property
    def _width(self) -> int:
        return {1: 1, 2: 16}.get(self.value_width, 4096)

    def _code(self, code: int) -> bytes:
        return struct.pack(">II", self._low(code) % 256**self.value_width, self._width)


def _biases(count: int) -> bytes:
    return struct.pack(">i", -0x00101010) * (count - 1) + struct.pack(">i", 0x00101010)


def random_shape(random: Random, conditioned: bool) -> Shape:
    """Any, in the class or not."""
    architecture = random.choice((1, 2))
    columns = _log(random, MAX_PROVABLE_COLUMNS)
    most = max(1, MAX_PROVABLE_CODES // columns)
    codes = tuple(_log(random, most) for _ in range(columns))
    if architecture == 1:
        widths = tuple(_log(random, 512) for _ in range(random.randint(2, 5)))
    else:
        widths = (_log(random, 256), _log(random, 256))
    shape = Shape(architecture, widths, codes, random.randint(1, 4))
    return _conditioned(shape, random) if conditioned else shape


def mutated(shape: Shape, random: Random) -> Shape:
    """One or two of its numbers changed."""
    for _ in range(random.randint(1, 2)):
        kind = random.randrange(6)
        if kind == 0:
            at = random.randrange(len(shape.widths))
            width = _moved(shape.widths[at], random)
            shape = replace(shape, widths=(*shape.widths[:at], width, *shape.widths[at + 1 :]))
        elif kind == 1:
            codes = list(shape.codes)
            at = random.randrange(len(codes))
            codes[at] = _moved(codes[at], random)
            shape = replace(shape, codes=tuple(codes))
        elif kind == 2:
            more = random.choice((1, 1, 4, 16))
            codes_ = shape.codes + (random.choice(shape.codes),) * more
            shape = replace(shape, codes=codes_)
        elif kind == 3 and len(shape.codes) > 1:
            drop = min(random.choice((1, 1, 4, 16)), len(shape.codes) - 1)
            shape = replace(shape, codes=shape.codes[drop:])
        elif kind == 4:
            shape = replace(shape, value_width=random.randint(1, 4))
        elif shape.allowed:
            shape = _conditioned(shape, random)
    allowed = tuple(min(a, b) for a, b in zip(shape.allowed, shape.codes, strict=False))
    return replace(shape, allowed=allowed, codes=tuple(min(count, 4095) for count in shape.codes))


def _conditioned(shape: Shape, random: Random) -> Shape:
    if shape.allowed and random.random() < 0.7:
        allowed = list(shape.allowed)
        at = random.randrange(len(allowed))
        allowed[at] = random.choice((0, 1, 2, _moved(max(1, allowed[at]), random)))
        if random.random() < 0.3:
            allowed.append(1)
    else:
        allowed = [random.choice((0, 1, 2, _log(random, 256))) for _ in range(random.randint(1, 18))]
    ranges = random.choice((1, shape.ranges, _log(random, 1020)))
    shape = replace(shape, allowed=tuple(min(a, b) for a, b in zip(allowed, shape.codes, strict=False)))
    return replace(shape, ranges=ranges)


def _log(random: Random, most: int) -> int:
    """1 .. most, small numbers as often as large ones."""
    return max(1, min(most, round(math.exp(random.random() * math.log(most)))))


def _moved(value: int, random: Random) -> int:
    step = random.choice((-32, -8, -1, 1, 8, 32, value // 2, -(value // 2), value))
    return max(1, min(65_535, value + step))
