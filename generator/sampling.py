"""The row function of docs/spec/rows.md in torch, for `provenance.exact.sampler.Sampler` on any device.

Products are float64: every partial sum is an integer below 2^24, divided by a power of two, so float64 carries it
exactly in whatever order a device adds. float32 would too, but a GPU may round float32 inputs to TF32 under a
global switch that anybody can flip; nothing rounds float64, so no switch is touched. All else is int64
arithmetic, whose products are kept below 2^63 by halves. Noise comes from the host: Philox is counted in blocks
there and costs little. So far this ran on CPUs only: CUDA takes the same path, and the tests include it where
there is a GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.errors import DeviceError
from provenance.exact.autoregressive import AutoregressiveModel
from provenance.exact.codebook import Codebook
from provenance.exact.model import MlpModel, Model
from provenance.exact.philox import Words
from provenance.exact.tables import EXP_LAST, load_tables

_HALF = 0xFFFF
_LOW_32 = 0xFFFFFFFF


def forward_on(name: str) -> Callable[[Model], TorchForward]:
    """Makes the batch form of a model on the torch device `name`, `cpu` or `cuda` (`cuda:1`). Raises DeviceError
    if there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device: found {name!r}, expected cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(
            "device: this machine or this build of torch has no CUDA; use cpu, which gives the same rows"
        )
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device: found {name!r}, expected cpu or cuda, which compute in float64")
    return lambda model: TorchForward(model, device)


class TorchForward:
    """One model's arrays on a device."""

    def __init__(self, model: Model, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._exp = self._put(load_tables().exp.astype(np.int64))
        self._columns = _Columns(model.codebook, self._put)
        if isinstance(model, MlpModel):
            self._normal = self._put(load_tables().normal.astype(np.float64))
            self._layers = [_Layer(self._put, h.weights, h.bias, h.shift) for h in model.hidden]
            output = model.output
            self._outputs = [_Layer(self._put, output.weights, output.bias, output.shift)]
        else:
            steps = model.steps
            self._layers = [_Layer(self._put, s.hidden_weights, s.hidden_bias, s.hidden_shift) for s in steps]
            self._outputs = [
                _Layer(self._put, s.output_weights, s.output_bias, s.output_shift) for s in steps
            ]
            self._biases = [self._put(step.input_bias.astype(np.float64)) for step in steps]
            self._embedding = self._put(model.embedding.astype(np.float64))

    @torch.inference_mode()
    def values(self, words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of the rows' noise words uint64[rows, words]."""
        noise = torch.from_numpy(np.ascontiguousarray(words).view(np.int64)).to(self._device)
        if isinstance(self._model, MlpModel):
            codes = self._mlp_codes(self._model, noise)
        else:
            codes = self._autoregressive_codes(self._model, noise)
        column_words = noise[:, self._model.latent_words :]
        columns = [
            self._columns.values(column, drawn, column_words[:, column]) for column, drawn in enumerate(codes)
        ]
        return np.asarray(torch.stack(columns).cpu().numpy(), dtype=np.int64)

    def _mlp_codes(self, model: MlpModel, noise: Tensor) -> list[Tensor]:
        latent = torch.arange(model.latent, device=self._device)
        bytes_of = (noise[:, latent // 8] >> (8 * (latent % 8))) & 0xFF
        x = self._normal[bytes_of]
        for layer in self._layers:
            x = layer.clipped(x, model.a_max)
        logits = self._outputs[0].logits(x)
        book = model.codebook
        words = noise[:, model.latent_words :]
        return [self._draw(logits[:, book.column_codes(c)], words[:, c]) for c in range(book.columns)]

    def _autoregressive_codes(self, model: AutoregressiveModel, noise: Tensor) -> list[Tensor]:
        running = torch.zeros((len(noise), model.width), dtype=torch.float64, device=self._device)
        codes: dict[int, Tensor] = {}
        for step, column in enumerate(model.order):
            x = (running + self._biases[step]).clamp(0, model.a_max)
            logits = self._outputs[step].logits(self._layers[step].clipped(x, model.a_max))
            codes[column] = self._draw(logits, noise[:, column])
            running += self._embedding[model.codebook.column_codes(column)][codes[column]]
        return [codes[column] for column in range(len(codes))]

    def _draw(self, logits: Tensor, words: Tensor) -> Tensor:
        """int64[rows]: the codes, counted from 0 in their column, of logits [rows, m]."""
        distance = (logits.max(dim=1, keepdim=True).values - logits).clamp(max=EXP_LAST)
        cumulative = self._exp[distance.to(torch.int64)].cumsum(dim=1)
        target = _scaled(words & _LOW_32, cumulative[:, -1])
        return (cumulative <= target[:, None]).sum(dim=1)

    def _put(self, array: NDArray[np.int64] | NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device)


class _Layer:
    """Weights and bias of one layer, and 2^shift, as float64."""

    def __init__(
        self,
        put: Callable[[NDArray[np.float64]], Tensor],
        weights: NDArray[np.int8],
        bias: NDArray[np.int32],
        shift: NDArray[np.uint8],
    ) -> None:
        self._weights = put(weights.astype(np.float64).T.copy())
        self._bias = put(bias.astype(np.float64))
        self._divisor = put(np.ldexp(1.0, shift.astype(np.int32)))

    def clipped(self, x: Tensor, a_max: int) -> Tensor:
        """clip((W x + b) >> shift, 0, a_max)."""
        return torch.floor((x @ self._weights + self._bias) / self._divisor).clamp(0, a_max)

    def logits(self, x: Tensor) -> Tensor:
        """((W x) >> shift) + b."""
        return torch.floor(x @ self._weights / self._divisor) + self._bias


class _Columns:
    """The codebook: low and width of every code."""

    def __init__(self, book: Codebook, put: Callable[[NDArray[np.int64]], Tensor]) -> None:
        self._book = book
        self._low, self._width = put(book.low), put(book.width)

    def values(self, column: int, codes: Tensor, words: Tensor) -> Tensor:
        """low + ((word >> 32) * width >> 32) of one column's codes."""
        at = self._book.column_codes(column)
        return self._low[at][codes] + _scaled((words >> 32) & _LOW_32, self._width[at][codes])


def _scaled(noise: Tensor, factor: Tensor) -> Tensor:
    """(noise * factor) >> 32 of two numbers below 2^32, by halves of 16 bits: no product reaches 2^63."""
    low = ((noise & _HALF) * factor) >> 16
    return ((noise >> 16) * factor + low) >> 16
