"""From a float autoregressive net to the bytes of the exact integer generator.

Each channel of the running vector gets one unit, the same for embedding and inputs (they are only added):
the smallest at which its embedding fits int8 and its calibrated inputs fit 0..255. Each neuron of each
column gets a unit of its own. Matrices get the largest power-of-two shift a neuron at which weights fit int8
and partial sums stay below 2^24. Biases absorb the mean rounding error on calibration rows, and half a unit
for the floor shift. Logits are in 1/64 nat. `provenance.exact.encode_model` proves the bound again.

Calibration rows are drawn from the float net itself with a fixed generator, column after column with the
integers quantised so far; no private row is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.learning.autoregressive import (
    EMBEDDING,
    HIDDEN_BIAS,
    HIDDEN_WEIGHTS,
    INPUT_BIAS,
    OUTPUT_BIAS,
    OUTPUT_WEIGHTS,
    Flat,
    NetShape,
    sample_codes,
)
from generator.learning.draw_order import DrawOrder
from generator.learning.quantise import LARGEST_QUANTILE, LOGIT_UNITS_A_NAT, MAX_BIAS, WEIGHT_MAX, shifts
from provenance.exact.autoregressive import AutoregressiveModel, ColumnStep
from provenance.exact.codebook import Codebook
from provenance.exact.model import encode_model
from provenance.values import Digest

_CALIBRATION_ROWS = 4096
_ACTIVATION_MAX = 255
_CALIBRATION_SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Column:
    """One column's float matrices."""

    input_bias: Floats
    hidden_weights: Floats
    hidden_bias: Floats
    output_weights: Floats
    output_bias: Floats


@dataclass(frozen=True, slots=True)
class _Signals:
    """Values of calibration rows [B, n], in floats and as the integer generator has them; the float value of
    one integer step of each [n]."""

    exact: Floats
    integer: Floats
    unit: Floats


@dataclass(frozen=True, slots=True)
class _Layer:
    """Integers, still as floats."""

    weights: Floats
    bias: Floats
    shift: Floats


def quantise_autoregressive(
    shape: NetShape,
    flat: Flat,
    codebook: Codebook,
    order: DrawOrder,
    schema_digest: Digest,
) -> bytes:
    """Model bytes of a net, whose weights are in draw order; the codebook is in the schema's. Raises LearningError
    for a net of other codes or weights that are not finite, ModelError (provenance) if the model breaks the
    specification."""
    if order.code_counts(codebook) != shape.code_counts:
        raise LearningError("net and codebook have different codes; quantise with the codebook of the fit")
    shape.check(flat)
    codes = sample_codes(
        shape, flat, _CALIBRATION_ROWS, np.random.Generator(np.random.PCG64(_CALIBRATION_SEED))
    )
    embedding = shape.view(flat, EMBEDDING).astype(np.float64)
    embedding[shape.offsets[-2] :] = 0.0
    unit = _channel_units(shape, flat, codes, embedding)
    integers = np.rint(embedding / unit).astype(np.int8)
    exact = np.zeros((len(codes), shape.width))
    running = np.zeros((len(codes), shape.width))
    steps = []
    for c, start in enumerate(shape.offsets[:-1]):
        steps.append(_column_step(_column(shape, flat, c), exact, running, unit))
        exact += embedding[start + codes[:, c]]
        running += integers[start + codes[:, c]]
    in_codebook = np.empty_like(integers)
    in_codebook[order.codes(codebook)] = integers
    return encode_model(
        AutoregressiveModel(
            _ACTIVATION_MAX, schema_digest, codebook, order.columns, tuple(steps), in_codebook
        )
    )


def _column(shape: NetShape, flat: Flat, c: int) -> _Column:
    own = slice(shape.offsets[c], shape.offsets[c + 1])
    matrices = (
        shape.view(flat, INPUT_BIAS)[c],
        shape.view(flat, HIDDEN_WEIGHTS)[c],
        shape.view(flat, HIDDEN_BIAS)[c],
        shape.view(flat, OUTPUT_WEIGHTS)[own],
        shape.view(flat, OUTPUT_BIAS)[own],
    )
    return _Column(*(matrix.astype(np.float64) for matrix in matrices))


def _channel_units(shape: NetShape, flat: Flat, codes: NDArray[np.int64], embedding: Floats) -> Floats:
    """Float value of one integer step of each channel [H]."""
    largest = np.zeros(shape.width)
    running = np.zeros((len(codes), shape.width))
    for c, start in enumerate(shape.offsets[:-1]):
        inputs = running + shape.view(flat, INPUT_BIAS)[c]
        largest = np.maximum(largest, np.quantile(inputs, LARGEST_QUANTILE, axis=0))
        running += embedding[start + codes[:, c]]
    unit = np.maximum(largest / _ACTIVATION_MAX, np.abs(embedding).max(axis=0) / WEIGHT_MAX)
    return np.where(unit > 0, unit, 1.0)


def _column_step(column: _Column, exact: Floats, running: Floats, unit: Floats) -> ColumnStep:
    """exact: the float running vector of calibration rows [B, H]; running: the integer one."""
    input_bias = np.rint((exact + column.input_bias - running * unit).mean(axis=0) / unit)
    inputs = _Signals(
        np.maximum(exact + column.input_bias, 0.0), np.clip(running + input_bias, 0, _ACTIVATION_MAX), unit
    )
    hidden, neurons = _hidden(column, inputs)
    output = _output(column, neurons)
    return ColumnStep(
        input_bias.astype(np.int32),
        hidden.weights.astype(np.int8),
        hidden.bias.astype(np.int32),
        hidden.shift.astype(np.uint8),
        output.weights.astype(np.int8),
        output.shift.astype(np.uint8),
        output.bias.astype(np.int32),
    )


def _hidden(column: _Column, inputs: _Signals) -> tuple[_Layer, _Signals]:
    sums = inputs.exact @ column.hidden_weights.T + column.hidden_bias
    exact = np.maximum(sums, 0.0)
    unit = np.quantile(exact, LARGEST_QUANTILE, axis=0) / _ACTIVATION_MAX
    # a neuron that rarely fires must still fit its weights
    unit = np.maximum(unit, np.abs(column.hidden_weights * inputs.unit).max(axis=1) / WEIGHT_MAX)
    unit = np.where(unit > 0, unit, 1.0)
    scaled = column.hidden_weights * inputs.unit / unit[:, None]
    shift = shifts(scaled, np.abs(column.hidden_bias) / unit + 1, _ACTIVATION_MAX)
    factor = np.exp2(shift)
    weights = np.rint(scaled * factor[:, None])
    products = inputs.integer @ weights.T
    bias = np.rint((sums / unit * factor - products).mean(axis=0) + factor / 2)
    # below this a neuron is silent whatever comes in; a dead one of tiny weights would break the bound
    bias = np.maximum(bias, -np.abs(weights).sum(axis=1) * _ACTIVATION_MAX - 1)
    integer = np.clip(np.floor((products + bias) / factor), 0, _ACTIVATION_MAX)
    return _Layer(weights, bias, shift), _Signals(exact, integer, unit)


def _output(column: _Column, neurons: _Signals) -> _Layer:
    scaled = column.output_weights * neurons.unit * LOGIT_UNITS_A_NAT
    if np.abs(scaled).max() > WEIGHT_MAX:
        raise LearningError(
            f"an output weight is {np.abs(scaled).max():.0f} logit units a step, more than {WEIGHT_MAX}; "
            "training diverged: lower the learning rate"
        )
    shift = shifts(scaled, np.zeros(len(scaled)), _ACTIVATION_MAX)
    factor = np.exp2(shift)
    weights = np.rint(scaled * factor[:, None])
    wanted = (neurons.exact @ column.output_weights.T + column.output_bias) * LOGIT_UNITS_A_NAT
    mean = (wanted - np.floor(neurons.integer @ weights.T / factor)).mean(axis=0)
    # a softmax does not see a constant; a small bias is a safe one
    return _Layer(weights, np.rint(np.clip(mean - mean.max(), -MAX_BIAS, 0)), shift)
