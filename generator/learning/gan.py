"""The local GAN of FedGAN: a discriminator trained on private rows with DP-SGD, and how it teaches a generator.

Rows are one-hot codes; generated rows are one-hot too, drawn with straight-through Gumbel-softmax, so that the
discriminator cannot tell them by their softness. Its step is `dp_sgd`: Poisson-sampled real rows beside
generated ones. The number of generated rows is public and fixed, so one real row moves the sum by at most
max_grad_norm, a person by that times its rows. The optimiser starts anew each round: a round's only state is
the flat weights. The generator's step reads no private row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import LearningError
from generator.learning.adam import Adam
from generator.learning.dp_sgd import DPSGD, clip_factor
from generator.learning.fit_marginals import MarginalFitter
from generator.learning.nets import MarginalNet
from generator.privacy.units import Units
from provenance.exact.codebook import Codes

FlatState = NDArray[np.float32]
_SLOPE = 0.2
_MOMENTUM = 0.5


@dataclass(frozen=True, slots=True)
class DiscriminatorSettings:
    """`sample_rate` is the Poisson rate of real units, public: expected batch over the DECLARED row count.

    `generated` rows join each batch. `noise_multiplier` 0 trains without privacy: no clipping either.
    unit_rows: the schema's.
    """

    sample_rate: float
    generated: int = 256
    noise_multiplier: float = 0.0
    max_grad_norm: float = 1.0
    learning_rate: float = 2e-3
    hidden: int = 64
    unit_rows: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.sample_rate <= 1 or self.generated < 2 or self.hidden < 1:
            raise LearningError(f"{self}: expected a sample rate in (0, 1], generated >= 2 and hidden >= 1")
        if not (self.noise_multiplier >= 0 and self.max_grad_norm > 0 and self.learning_rate > 0):
            raise LearningError(f"{self}: expected noise >= 0 and a positive norm and learning rate")

    @property
    def dp(self) -> DPSGD | None:
        """The privacy of a step; None without. The sum is not scaled: Adam does not see a scale."""
        if not self.noise_multiplier:
            return None
        return DPSGD(self.sample_rate, self.noise_multiplier, self.max_grad_norm, unit_rows=self.unit_rows)


@dataclass(frozen=True, slots=True)
class DiscriminatorRound:
    """The trained weights, and figures of the LAST step on private rows: local, never to be sent unnoised."""

    state: FlatState
    loss: float


class Discriminator(nn.Module):
    """One-hot rows float32[B, D] -> logits float32[B] of being real."""

    def __init__(self, codes: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [codes, hidden, hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        with torch.no_grad():
            for layer, fan_in in zip(self.layers, widths[:-1], strict=True):
                bound = 1 / math.sqrt(fan_in)
                for parameter in layer.parameters():
                    parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits float32[B] of rows float32[B, D]."""
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            rows = layer(rows) if index == last else functional.leaky_relu(layer(rows), _SLOPE)
        return rows.squeeze(1)


def clipped_sum(
    discriminator: Discriminator, rows: Tensor, labels: Tensor, clip: float | None
) -> NDArray[np.float64]:
    """Sum over rows [B, D] of each row's gradient of the cross-entropy loss, float64[P] in the order of
    `flat_state`, every row's first scaled to Euclidean norm `clip` if it is longer.

    Written out by hand: a layer's gradient of one row is the outer product of what comes back and what went in,
    so its norm is the product of their norms (Goodfellow 2015, arXiv:1510.01799) and no row's gradient is kept.
    In double precision, so that neither the other rows nor the sum's length move what a row adds by more than
    `dp_sgd` leaves for it.
    """
    with torch.no_grad():
        weights = [parameter.double() for parameter in discriminator.parameters()]
        layers = list(zip(weights[::2], weights[1::2], strict=True))
        inputs, sums = [rows.double()], []
        for weight, bias in layers:
            sums.append(functional.linear(inputs[-1], weight, bias))
            inputs.append(functional.leaky_relu(sums[-1], _SLOPE))
        backs = [(sums[-1].squeeze(1).sigmoid() - labels).unsqueeze(1)]
        for (weight, _), before in zip(layers[:0:-1], sums[-2::-1], strict=True):
            backs.insert(0, (backs[0] @ weight) * torch.where(before > 0, 1.0, _SLOPE))
        if clip is not None:
            pairs = list(zip(backs, inputs[:-1], strict=True))
            squares = sum(
                (back.square().sum(1) * (x.square().sum(1) + 1) for back, x in pairs), torch.zeros(())
            )
            factor = clip_factor(squares.sqrt(), clip)
            # Whoever sends the weights can choose them so that single rows overflow; were they left in, the sum
            # would tell, without noise, whether such a row is in the table.
            usable = torch.isfinite(factor) & torch.isfinite(squares)
            backs = [torch.where(usable[:, None], back * factor[:, None], 0.0) for back in backs]
            inputs = [torch.where(usable[:, None], x, 0.0) for x in inputs]
        parts = [(back.T @ x, back.sum(0)) for back, x in zip(backs, inputs[:-1], strict=True)]
        return torch.cat([part.ravel() for pair in parts for part in pair]).numpy()


def flat_state(module: nn.Module) -> FlatState:
    """All parameters as one float32 vector, in definition order: what is averaged."""
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).astype(np.float32)


def load_flat_state(module: nn.Module, state: NDArray[np.floating[Any]]) -> None:
    """Inverse of `flat_state`. Raises LearningError for another length or values that are not finite."""
    expected = sum(p.numel() for p in module.parameters())
    if state.shape != (expected,) or not np.isfinite(state).all():
        raise LearningError(
            f"discriminator state has shape {state.shape}; expected {expected} finite numbers"
        )
    start = 0
    with torch.no_grad():
        for parameter in module.parameters():
            part = np.ascontiguousarray(state[start : start + parameter.numel()], dtype=np.float32)
            parameter.copy_(torch.from_numpy(part).view_as(parameter))
            start += parameter.numel()


def one_hot(codes: Codes, code_counts: Iterable[int]) -> Tensor:
    """float32[n, D] of codes [n, C]."""
    start = np.cumsum([0, *code_counts])
    rows = torch.zeros(len(codes), int(start[-1]))
    rows.scatter_(1, torch.from_numpy(codes + start[:-1]), 1.0)
    return rows


def sample_rows(net: MarginalNet, logits: Tensor, generator: torch.Generator) -> Tensor:
    """One-hot rows of logits [B, D], one code a column; gradients pass through the softmax (straight-through)."""
    uniform = torch.rand(logits.shape, generator=generator).clamp_(1e-9, 1 - 1e-7)
    soft = net.probabilities(logits - torch.log(-torch.log(uniform)))
    parts = torch.split(soft.detach(), list(net.code_counts), dim=1)
    hard = [functional.one_hot(p.argmax(1), p.shape[1]).to(p.dtype) for p in parts]
    return torch.cat(hard, dim=1) + soft - soft.detach()


def train_discriminator(
    codes: Codes,
    net: MarginalNet,
    state: FlatState,
    settings: DiscriminatorSettings,
    *,
    steps: int,
    seed: int,
    units: Units | None = None,
) -> DiscriminatorRound:
    """One local round of `steps` from `state` on private codes [n, C] against rows of `net`.

    `seed` picks generated rows only. units: of the rows; None where each is its own. The caller has `steps`
    steps at `settings` in its privacy ledger beforehand.
    """
    if steps < 1 or codes.ndim != 2 or codes.shape[1] != len(net.code_counts):
        raise LearningError(
            f"{steps} steps on codes of shape {codes.shape}: expected >= 1 and one code a column"
        )
    discriminator = Discriminator(sum(net.code_counts), settings.hidden, torch.Generator())
    load_flat_state(discriminator, state)
    weights = flat_state(discriminator)
    adam = Adam(weights, np.zeros_like(weights), averaging=0.0, momentum=_MOMENTUM)
    random = torch.Generator().manual_seed(seed)
    loss = math.nan
    dp, sampled = settings.dp, Units(len(codes)) if units is None else units
    for _ in range(steps):
        picked = sampled.poisson_sample(settings.sample_rate) if dp is None else dp.poisson_sample(sampled)
        real = one_hot(codes[picked], net.code_counts)
        gradient, loss = _discriminator_step(discriminator, real, net, settings, random)
        adam.step(gradient, settings.learning_rate)
        load_flat_state(discriminator, weights)
    return DiscriminatorRound(weights, loss)


def _discriminator_step(
    discriminator: Discriminator, real: Tensor, net: MarginalNet, settings: DiscriminatorSettings,
    random: torch.Generator,
) -> tuple[FlatState, float]:  # fmt: skip
    """(gradient of a step, mean loss of its rows: computed on private rows)."""
    with torch.no_grad():
        logits = net(net.draw_latent(settings.generated, random))
        rows = torch.cat([sample_rows(net, logits, random), real])
        labels = torch.cat([torch.zeros(settings.generated), torch.ones(len(real))])
        summed = partial(clipped_sum, discriminator, rows, labels)
        size = sum(parameter.numel() for parameter in discriminator.parameters())
        dp = settings.dp
        gradient = summed(None).astype(np.float32) if dp is None else dp.step(summed, size)
        loss = functional.binary_cross_entropy_with_logits(discriminator(rows), labels)
    return gradient, float(loss)


def adversarial_loss(
    discriminator: Discriminator, net: MarginalNet, weight: float, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """weight * non-saturating GAN loss as a function of the generator's logits, for MarginalFitter.step."""
    discriminator.requires_grad_(False)

    def loss(logits: Tensor) -> Tensor:
        verdict: Tensor = discriminator(sample_rows(net, logits, generator))
        return weight * functional.softplus(-verdict).mean()

    return loss


def generator_steps(
    fitter: MarginalFitter, state: FlatState, settings: DiscriminatorSettings, *, steps: int,
    adversarial: float, marginal: float, first_fraction: float, last_fraction: float,
) -> float:  # fmt: skip
    """`steps` generator steps on marginal * marginal loss + adversarial * loss of the (global) discriminator `state`.

    The learning rate follows the schedule of the whole fit from `first_fraction` to `last_fraction`. Returns
    the last marginal loss. Reads no private row.
    """
    discriminator = Discriminator(sum(fitter.net.code_counts), settings.hidden, torch.Generator())
    load_flat_state(discriminator, state)
    extra = (
        adversarial_loss(discriminator, fitter.net, adversarial, fitter.random) if adversarial > 0 else None
    )
    loss = math.nan
    for step in range(steps):
        fraction = first_fraction + (last_fraction - first_fraction) * step / steps
        loss = fitter.step(fraction, extra, marginal)
    return loss
