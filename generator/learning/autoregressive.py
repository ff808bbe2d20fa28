"""The autoregressive net: column after column, each seeing the codes before it through one running vector.

For column c: a = relu(acc + input_bias[c]), g = relu(hidden_weights[c] @ a + hidden_bias[c]), logits =
output_weights[c] @ g + output_bias[c]; then acc += embedding[code]. It is the float twin of
`provenance.exact.autoregressive`, and an exact likelihood: log p(row) is the sum of its columns'.

All weights are one flat float32 vector, so that optimiser, messages and averages know no layers; `NetShape`
says where each matrix lies. numpy only: a coordinator without torch begins and steps a net.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from generator.errors import LearningError

Flat = NDArray[np.float32]
Real = TypeVar("Real", bound=np.floating[Any])

EMBEDDING, INPUT_BIAS = "embedding", "input_bias"
HIDDEN_WEIGHTS, HIDDEN_BIAS = "hidden_weights", "hidden_bias"
OUTPUT_WEIGHTS, OUTPUT_BIAS = "output_weights", "output_bias"
DECAYED = (EMBEDDING, HIDDEN_WEIGHTS, OUTPUT_WEIGHTS)
"""What weight decay pulls to zero: weights, and no bias, so that the strongest decay leaves the marginals."""
_PROBABILITY_FLOOR = 1e-5


@dataclass(frozen=True)
class NetShape:
    """code_counts of the columns; width of the running vector (H); neurons of a column's hidden layer (G).

    ordered: how many of each column's first codes are neighbours in this order, as a number's bins are; 0 for
    categories, empty for all 0. It steers learning (`descent`) and changes no output.
    """

    code_counts: tuple[int, ...]
    width: int = 64
    neurons: int = 32
    ordered: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.code_counts or min(self.code_counts) < 1 or self.width < 1 or self.neurons < 1:
            raise LearningError(f"{self}: expected at least one column, code and neuron everywhere")
        limits = zip(self.ordered, self.code_counts, strict=False)
        if len(self.ordered) not in (0, self.columns) or any(not 0 <= own <= all_ for own, all_ in limits):
            raise LearningError(
                f"{self}: expected ordered codes for each column or none, at most all of a column's"
            )

    @property
    def columns(self) -> int:
        """Number of columns C."""
        return len(self.code_counts)

    @property
    def codes(self) -> int:
        """Codes of all columns together, D."""
        return sum(self.code_counts)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First code of each column, and D at the end."""
        return (0, *np.cumsum(self.code_counts).tolist())

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """Where each column's codes lie among the D."""
        return tuple(slice(start, stop) for start, stop in pairwise(self.offsets))

    @cached_property
    def parts(self) -> Mapping[str, tuple[slice, tuple[int, ...]]]:
        """Where each matrix lies in the flat vector, and its shape."""
        c, d, h, g = self.columns, self.codes, self.width, self.neurons
        shapes = {
            EMBEDDING: (d, h),
            INPUT_BIAS: (c, h),
            HIDDEN_WEIGHTS: (c, g, h),
            HIDDEN_BIAS: (c, g),
            OUTPUT_WEIGHTS: (d, g),
            OUTPUT_BIAS: (d,),
        }
        ends = np.cumsum([math.prod(shape) for shape in shapes.values()]).tolist()
        starts = [0, *ends[:-1]]
        return {
            name: (slice(start, end), shape)
            for (name, shape), start, end in zip(shapes.items(), starts, ends, strict=True)
        }

    @property
    def size(self) -> int:
        """Numbers in the flat vector."""
        return int(self.parts[OUTPUT_BIAS][0].stop)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one row."""
        return self.neurons * (self.columns * self.width + self.codes)

    def view(self, flat: NDArray[Real], name: str) -> NDArray[Real]:
        """One matrix of a flat vector, sharing its memory."""
        where, shape = self.parts[name]
        return flat[where].reshape(shape)

    def check(self, flat: NDArray[np.floating]) -> None:
        """LearningError unless `flat` is a vector of this shape and finite."""
        if flat.shape != (self.size,) or not np.isfinite(flat).all():
            raise LearningError(f"weights have shape {flat.shape}; expected {self.size} finite numbers")


def initial_weights(shape: NetShape, univariate: NDArray[np.float64], random: np.random.Generator) -> Flat:
    """Weights before the first step: random, output biases at the log marginals float64[D].

    So the net begins near independent columns and learns only how they depend. Equal generators give equal
    weights on every machine.
    """
    if univariate.shape != (shape.codes,):
        raise LearningError(f"univariate marginals have shape {univariate.shape}; expected ({shape.codes},)")
    flat = np.zeros(shape.size, dtype=np.float32)
    scales = {
        EMBEDDING: 0.3,
        HIDDEN_WEIGHTS: math.sqrt(1 / shape.width),
        OUTPUT_WEIGHTS: 0.3 / math.sqrt(shape.neurons),
    }
    for name, scale in scales.items():
        where, _ = shape.parts[name]
        flat[where] = random.standard_normal(where.stop - where.start) * scale
    where, _ = shape.parts[INPUT_BIAS]
    flat[where] = random.uniform(0.0, 0.5, where.stop - where.start)
    shape.view(flat, HIDDEN_BIAS)[:] = 0.1
    # codes of the last column feed nothing
    shape.view(flat, EMBEDDING)[shape.offsets[-2] :] = 0.0
    bias = shape.view(flat, OUTPUT_BIAS)
    for start, stop in zip(shape.offsets[:-1], shape.offsets[1:], strict=True):
        part = np.log(np.clip(univariate[start:stop], _PROBABILITY_FLOOR, None))
        bias[start:stop] = part - part.mean()
    return flat


def decay_mask(shape: NetShape) -> Flat:
    """1 where weight decay acts, 0 elsewhere."""
    mask = np.zeros(shape.size, dtype=np.float32)
    for name in DECAYED:
        mask[shape.parts[name][0]] = 1.0
    return mask


def sample_codes(shape: NetShape, flat: Flat, rows: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Codes int64[rows, C] drawn from the float net: what quantisation is calibrated on, no private row."""
    running = np.zeros((rows, shape.width), dtype=np.float32)
    return np.stack([draw_column(shape, flat, c, running, random) for c in range(shape.columns)], axis=1)


def column_logits(
    shape: NetShape, flat: Flat, column: int, running: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Logits float32[rows, m] of a column's codes at running vectors float32[rows, H]."""
    own = shape.spans[column]
    active = np.maximum(running + shape.view(flat, INPUT_BIAS)[column], 0.0)
    sums = active @ shape.view(flat, HIDDEN_WEIGHTS)[column].T + shape.view(flat, HIDDEN_BIAS)[column]
    neurons = np.maximum(sums, 0.0)
    logits = neurons @ shape.view(flat, OUTPUT_WEIGHTS)[own].T + shape.view(flat, OUTPUT_BIAS)[own]
    return np.asarray(logits, dtype=np.float32)


def draw_column(
    shape: NetShape, flat: Flat, column: int, running: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.int64]:
    """Codes int64[rows] of a column; their embeddings are added to `running` in place."""
    logits = column_logits(shape, flat, column, running)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1, dtype=np.float64)
    drawn = random.random(len(running)) * weights[:, -1]
    codes = np.minimum((weights <= drawn[:, None]).sum(axis=1), weights.shape[1] - 1)
    running += shape.view(flat, EMBEDDING)[shape.spans[column]][codes]
    return np.asarray(codes, dtype=np.int64)
