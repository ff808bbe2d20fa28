"""From a float net to the bytes of the exact integer generator.

Each hidden channel gets its own unit (channel equalisation: its largest calibrated activation becomes
127), each neuron the largest power-of-two shift at which its weights fit int8; half a unit is added before
the floor shift, so it rounds. Biases absorb the mean rounding error on a calibration batch. Logits are in
1/64 nat. The 2^24 bound is proved from the integers by `provenance.exact.encode_model`; a neuron that would
break it gets a smaller shift instead.

No private row is read: calibration runs on latent vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.learning.nets import LATENT_CENTRE, LATENT_SCALE, MarginalNet
from provenance.exact.codebook import Codebook
from provenance.exact.model import EXACT_LIMIT, MAX_SHIFT, HiddenLayer, MlpModel, OutputLayer, encode_model
from provenance.exact.tables import load_tables
from provenance.values import Digest

LOGIT_UNITS_A_NAT = 64
WEIGHT_MAX = 127
_CALIBRATION_ROWS = 8192
_CALIBRATION_SEED = 0
LARGEST_QUANTILE = 0.9995
_ACTIVATION_MAX = 127
MAX_BIAS = 1 << 22

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Calibration:
    """The same latent batch in floats and as the integer generator would see it, feature-major [features, B].

    `unit` is the float value of one integer step of each feature.
    """

    exact: Floats
    integer: Floats
    unit: Floats


def quantise(net: MarginalNet, codebook: Codebook, schema_digest: Digest) -> bytes:
    """Model bytes of `net`. Raises LearningError for a net of other codes or with weights that are not
    finite, ModelError (provenance) if the model breaks the specification."""
    if tuple(codebook.code_counts) != net.code_counts:
        raise LearningError("net and codebook have different codes; quantise with the codebook of the fit")
    layers = net.folded_layers()
    if not all(np.isfinite(weight).all() and np.isfinite(bias).all() for weight, bias in layers):
        raise LearningError(
            "the net holds a weight that is not finite; training diverged, lower the learning rate"
        )
    weight, bias = layers[0]
    # latent = (byte - 64) / 21 is folded into the first layer
    layers[0] = (weight / LATENT_SCALE, bias - weight.sum(axis=1) * LATENT_CENTRE / LATENT_SCALE)
    state = _latent_batch(net.settings.latent)
    hidden: list[HiddenLayer] = []
    for weight, bias in layers[:-1]:
        layer, state = _hidden_layer(weight, bias, state)
        hidden.append(layer)
    output = _output_layer(*layers[-1], state, codebook)
    return encode_model(
        MlpModel(_ACTIVATION_MAX, net.settings.latent, schema_digest, codebook, tuple(hidden), output)
    )


def _latent_batch(latent: int) -> _Calibration:
    index = torch.randint(
        0, 256, (latent, _CALIBRATION_ROWS), generator=torch.Generator().manual_seed(_CALIBRATION_SEED)
    )
    bytes_in = load_tables().normal[index.numpy()].astype(np.float64)
    return _Calibration(bytes_in, bytes_in, np.ones(latent))


def _hidden_layer(weight: Floats, bias: Floats, state: _Calibration) -> tuple[HiddenLayer, _Calibration]:
    exact = np.maximum(weight @ state.exact + bias[:, None], 0.0)
    unit = np.quantile(exact, LARGEST_QUANTILE, axis=1) / _ACTIVATION_MAX
    unit = np.where(unit > 0, unit, 1.0)
    unit = np.maximum(unit, np.abs(weight * state.unit).max(axis=1) / WEIGHT_MAX)
    scaled = weight * state.unit / unit[:, None]
    wanted = (weight @ state.exact + bias[:, None]) / unit[:, None]
    shift = shifts(scaled, np.abs(bias) / unit + 1, _ACTIVATION_MAX)
    factor = np.exp2(shift)[:, None]
    integers = np.rint(scaled * factor)
    # the bias also takes up the mean error that rounding made so far
    mean = (wanted * factor - integers @ state.integer).mean(axis=1)
    bias_integers = np.rint(mean + factor[:, 0] / 2)
    integer = np.clip(
        np.floor((integers @ state.integer + bias_integers[:, None]) / factor), 0, _ACTIVATION_MAX
    )
    layer = HiddenLayer(integers.astype(np.int8), bias_integers.astype(np.int32), shift.astype(np.uint8))
    return layer, _Calibration(exact, integer, unit)


def _output_layer(weight: Floats, bias: Floats, state: _Calibration, codebook: Codebook) -> OutputLayer:
    scaled = weight * state.unit * LOGIT_UNITS_A_NAT
    if np.abs(scaled).max() > WEIGHT_MAX:
        raise LearningError(
            f"an output weight is {np.abs(scaled).max():.0f} logit units a step, more than {WEIGHT_MAX}; training "
            "diverged: lower the learning rate"
        )
    shift = shifts(scaled, np.zeros(len(bias)), _ACTIVATION_MAX)
    factor = np.exp2(shift)[:, None]
    integers = np.rint(scaled * factor)
    mean = np.empty(len(bias))
    for column in range(codebook.columns):  # one at a time: a batch's logits of all columns may be large
        codes = codebook.column_codes(column)
        wanted = (weight[codes] @ state.exact + bias[codes, None]) * LOGIT_UNITS_A_NAT
        actual = np.floor(integers[codes] @ state.integer / factor[codes])
        mean[codes] = (wanted - actual).mean(axis=1)
        mean[codes] -= mean[codes].max()  # a softmax does not see a constant; a small bias is a safe one
    bias_integers = np.rint(np.clip(mean, -MAX_BIAS, 0))
    return OutputLayer(integers.astype(np.int8), shift.astype(np.uint8), bias_integers.astype(np.int32))


def shifts(scaled: Floats, bias: Floats, a_max: int) -> Floats:
    """Largest shift of each neuron at which weights fit int8 and the partial sum stays below 2^24."""
    largest = np.maximum(np.abs(scaled).max(axis=1), 2.0**-40)
    by_weight = np.floor(np.log2(WEIGHT_MAX / largest))
    # twice the bias leaves room for the rounding half and the mean correction
    sums = (np.abs(scaled).sum(axis=1) + scaled.shape[1]) * a_max + 2 * bias
    by_sum = np.floor(np.log2(EXACT_LIMIT / 2 / np.maximum(sums, 1.0)))
    return np.asarray(np.clip(np.minimum(by_weight, by_sum), 0, MAX_SHIFT))
