"""The generator network: latent bytes -> two hidden ReLU layers -> one softmax a column.

The latent inputs are exactly those of the integer generator: (NORMAL[byte] - 64) / 21 for uniform bytes, so
that training sees the distribution that sampling will use. Columns are independent given the latent vector;
how they depend on each other is in how the latent vector moves all softmaxes at once.

Hidden layers are batch-normalised while they train (it lets the learning rate be three times higher) with the
statistics of the batch alone. The generator that is kept has none of it: `folded_layers` folds the
statistics of one large fixed latent batch into plain weights and biases. No private row enters these
statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import LearningError
from provenance.exact.tables import load_tables

LATENT_CENTRE = 64
LATENT_SCALE = 21
_NORM_EPSILON = 1e-5
_FOLDING_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class NetSettings:
    """Width of the latent vector and of each hidden layer. 64-128-128 stays below 80 kB for 400 codes."""

    latent: int = 64
    hidden: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        if self.latent < 1 or not 1 <= len(self.hidden) <= 4 or min(self.hidden) < 1:
            raise LearningError(f"{self}: expected one to four hidden layers and positive widths")


class MarginalNet(nn.Module):
    """`forward(latent float32[B, Z]) -> logits float32[B, D]`, D the codes of all columns together."""

    def __init__(self, code_counts: Sequence[int], settings: NetSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.code_counts = tuple(int(count) for count in code_counts)
        self.settings = settings
        widths = [settings.latent, *settings.hidden, sum(self.code_counts)]
        self.layers = nn.ModuleList(nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(widths))
        with torch.no_grad():
            for layer in self.linears:
                std = (2.0 / layer.in_features) ** 0.5
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
                layer.bias.zero_()
            self.linears[-1].weight.mul_(0.5)
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(width)) for width in settings.hidden)
        latents = (load_tables().normal.astype(np.float32) - LATENT_CENTRE) / LATENT_SCALE
        self.register_buffer("_latents", torch.from_numpy(latents), persistent=False)

    @property
    def linears(self) -> list[nn.Linear]:
        """The layers, typed."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, latent: Tensor) -> Tensor:
        """Logits of a batch of at least two latent vectors, normalised by the batch's own statistics."""
        layers = self.linears
        for layer, gain in zip(layers[:-1], self.gains, strict=True):
            sums = functional.linear(latent, layer.weight)
            normal = functional.batch_norm(
                sums, None, None, gain, layer.bias, training=True, eps=_NORM_EPSILON
            )
            latent = torch.relu(normal)
        output: Tensor = layers[-1](latent)
        return output

    def folded_layers(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """(weight [out, in], bias [out]) of plain layers, ReLU between them: what is quantised.
        Deterministic.
        """
        folded = []
        values = self.draw_latent(_FOLDING_ROWS, torch.Generator().manual_seed(0)).numpy().astype(np.float64)
        layers = self.linears
        for layer, gain in zip(layers[:-1], self.gains, strict=True):
            weight = _array(layer.weight)
            sums = values @ weight.T
            scale = _array(gain) / np.sqrt(sums.var(axis=0) + _NORM_EPSILON)
            bias = _array(layer.bias) - sums.mean(axis=0) * scale
            folded.append((weight * scale[:, None], bias))
            values = np.maximum(sums * scale + bias, 0.0)
        return [*folded, (_array(layers[-1].weight), _array(layers[-1].bias))]

    def draw_latent(self, rows: int, generator: torch.Generator) -> Tensor:
        """Latent vectors float32[rows, Z] as the integer generator draws them."""
        index = torch.randint(0, 256, (rows, self.settings.latent), generator=generator)
        table: Tensor = self.get_buffer("_latents")
        return table[index]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax within each column: float32[B, D]."""
        parts = torch.split(logits, list(self.code_counts), dim=1)
        return torch.cat([part.softmax(dim=1) for part in parts], dim=1)

    def set_output_bias(self, univariate: NDArray[np.float64]) -> None:
        """Start from the univariate marginals float64[D]: the net then only has to learn dependence."""
        with torch.no_grad():
            floor = np.log(np.clip(univariate, 1e-4, None))
            self.linears[-1].bias.copy_(torch.from_numpy(floor.astype(np.float32)))


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)
