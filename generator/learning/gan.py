"""The local GAN of FedGAN: a discriminator trained on private rows with DP-SGD, and how it teaches a
generator.

Rows are one-hot codes; generated rows are one-hot too, drawn with straight-through Gumbel-softmax, so that
the discriminator cannot tell them by their softness. DP-SGD (Abadi et al. 2016) through Opacus's per-sample
gradients: Poisson-sampled real rows, ONE backward over cat(real, generated), every row's gradient clipped,
Gaussian noise on the sum. The number of generated rows is public and fixed, so one real row moves the sum by
at most the clip norm; a round of `steps` is one SubsampledGaussianEvent(noise_multiplier, sample_rate,
steps). Batches and noise come from the operating system's entropy. The optimiser starts anew each round: a
round's only state is the flat weights.

The generator's step uses a plain copy of the discriminator that never had gradient hooks, and reads no
private row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn import functional

from generator.learning.errors import LearningError
from generator.learning.fit_marginals import MarginalFitter
from generator.learning.nets import MarginalNet
from generator.privacy import noise

FlatState = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DiscriminatorSettings:
    """`sample_rate` is the Poisson rate of real rows, public: expected batch over the DECLARED row count.

    `generated` rows join each batch. `noise_multiplier` 0 trains without privacy (plain Adam, no clipping).
    """

    sample_rate: float
    generated: int = 256
    noise_multiplier: float = 0.0
    clip_norm: float = 1.0
    learning_rate: float = 2e-3
    hidden: int = 64

    def __post_init__(self) -> None:
        if not 0 < self.sample_rate <= 1 or self.generated < 2 or self.hidden < 1:
            raise LearningError(f"{self}: expected a sample rate in (0, 1], generated >= 2 and hidden >= 1")
        if not (self.noise_multiplier >= 0 and self.clip_norm > 0 and self.learning_rate > 0):
            raise LearningError(f"{self}: expected noise >= 0 and a positive clip norm and learning rate")


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
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            rows = layer(rows) if index == last else functional.leaky_relu(layer(rows), 0.2)
        return rows.squeeze(1)


class OsEntropyDPOptimizer(DPOptimizer):  # type: ignore[misc]
    """Opacus's optimiser with noise from the operating system, that refuses gradients of more than one
    backward.
    """

    def clip_and_accumulate(self) -> None:
        if self.accumulated_iterations != 1:
            raise LearningError(
                f"{self.accumulated_iterations} backward passes before one DP step; expected one over "
                "cat(real, generated), or a row would be clipped twice and count double"
            )
        # Whoever sends the weights can choose them so that single rows overflow. Clipping leaves not-a-number as
        # it is, and whether the sum is one would tell, without noise, whether such a row is in the table.
        for parameter in self.params:
            parameter.grad_sample.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        super().clip_and_accumulate()

    def add_noise(self) -> None:
        for parameter in self.params:
            drawn = noise.gaussian(tuple(parameter.shape), self.noise_multiplier * self.max_grad_norm)
            parameter.grad = parameter.summed_grad + torch.from_numpy(drawn).to(parameter.dtype)


def new_discriminator(codes: int, hidden: int, seed: int) -> Discriminator:
    """A discriminator over `codes` codes in all; equal seeds give equal weights on every node."""
    return Discriminator(codes, hidden, torch.Generator().manual_seed(seed))


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


def one_hot(codes: NDArray[np.int64], code_counts: Iterable[int]) -> Tensor:
    """float32[n, D] of codes int64[n, C]."""
    start = np.cumsum([0, *code_counts])
    rows = torch.zeros(len(codes), int(start[-1]))
    rows.scatter_(1, torch.from_numpy(codes + start[:-1]), 1.0)
    return rows


def sample_rows(net: MarginalNet, logits: Tensor, generator: torch.Generator) -> Tensor:
    """One-hot rows of logits [B, D], one code a column; gradients pass through the softmax
    (straight-through).
    """
    uniform = torch.rand(logits.shape, generator=generator).clamp_(1e-9, 1 - 1e-7)
    soft = net.probabilities(logits - torch.log(-torch.log(uniform)))
    parts = torch.split(soft.detach(), list(net.code_counts), dim=1)
    hard = [functional.one_hot(p.argmax(1), p.shape[1]).to(p.dtype) for p in parts]
    return torch.cat(hard, dim=1) + soft - soft.detach()


def train_discriminator(
    codes: NDArray[np.int64],
    net: MarginalNet,
    state: FlatState,
    settings: DiscriminatorSettings,
    *,
    steps: int,
    seed: int,
) -> DiscriminatorRound:
    """One local round of `steps` from `state` on private codes int64[n, C] against rows of `net`.

    `seed` picks generated rows only. The caller has `steps` steps at `settings` in its privacy ledger
    beforehand.
    """
    if steps < 1 or codes.ndim != 2 or codes.shape[1] != len(net.code_counts):
        raise LearningError(
            f"{steps} steps on codes of shape {codes.shape}: expected >= 1 and one code a column"
        )
    discriminator = Discriminator(sum(net.code_counts), settings.hidden, torch.Generator())
    load_flat_state(discriminator, state)
    module: nn.Module = discriminator
    optimiser: Any = torch.optim.Adam(discriminator.parameters(), lr=settings.learning_rate, betas=(0.5, 0.9))
    private = settings.noise_multiplier > 0
    if private:
        module = GradSampleModule(discriminator, loss_reduction="sum")
        optimiser = OsEntropyDPOptimizer(
            optimiser, noise_multiplier=settings.noise_multiplier, max_grad_norm=settings.clip_norm,
            expected_batch_size=None, loss_reduction="sum",
        )  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    loss = math.nan
    for _ in range(steps):
        picked = noise.poisson_sample(len(codes), settings.sample_rate)
        loss = _discriminator_step(
            module, optimiser, one_hot(codes[picked], net.code_counts), net, settings, random
        )
    return DiscriminatorRound(flat_state(discriminator), loss)


def _discriminator_step(
    module: nn.Module, optimiser: Any, real: Tensor, net: MarginalNet, settings: DiscriminatorSettings,
    random: torch.Generator,
) -> float:  # fmt: skip
    with torch.no_grad():
        logits = net(net.draw_latent(settings.generated, random))
        generated = sample_rows(net, logits, random)
    # inputs that require a gradient keep Opacus's full backward hooks silent and change nothing else
    rows = torch.cat([real, generated]).requires_grad_(True)
    labels = torch.cat([torch.ones(len(real)), torch.zeros(len(generated))])
    loss = functional.binary_cross_entropy_with_logits(module(rows), labels, reduction="sum")
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach()) / max(len(rows), 1)


def adversarial_loss(
    discriminator: Discriminator, net: MarginalNet, weight: float, generator: torch.Generator
) -> Callable[[Tensor], Tensor]:
    """weight * non-saturating GAN loss as a function of the generator's logits, for MarginalFitter.step."""
    if isinstance(discriminator, GradSampleModule) or any(
        hasattr(p, "grad_sample") for p in discriminator.parameters()
    ):
        raise LearningError("the generator's step got a discriminator with DP hooks; give it a plain copy")
    discriminator.requires_grad_(False)

    def loss(logits: Tensor) -> Tensor:
        verdict: Tensor = discriminator(sample_rows(net, logits, generator))
        return weight * functional.softplus(-verdict).mean()

    return loss


def generator_steps(
    fitter: MarginalFitter, state: FlatState, settings: DiscriminatorSettings, *, steps: int,
    adversarial: float, marginal: float, first_fraction: float, last_fraction: float,
) -> float:  # fmt: skip
    """`steps` generator steps on marginal * marginal loss + adversarial * loss of the (global) discriminator
    `state`.

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
