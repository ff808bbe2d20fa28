"""DP-SGD of the local discriminator: clipping, noise and sampling against slow loops and formulas."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from opacus import GradSampleModule
from torch.nn import functional

from generator.learning.errors import LearningError
from generator.learning.fit_marginals import FitSettings, MarginalFitter, new_net
from generator.learning.gan import (
    Discriminator,
    DiscriminatorSettings,
    OsEntropyDPOptimizer,
    adversarial_loss,
    flat_state,
    generator_steps,
    load_flat_state,
    new_discriminator,
    one_hot,
    sample_rows,
    train_discriminator,
)
from generator.learning.nets import MarginalNet, NetSettings
from generator.marginals.measure import table_counts
from generator.marginals.target import MarginalTarget, target_from_counts
from generator.marginals.workload import choose_workload
from provenance.exact.codebook import Codebook

COUNTS = (3, 4, 2)
NET = NetSettings(8, (16,))
BOOK = Codebook(COUNTS, (1,) * 3, np.concatenate([np.arange(c) for c in COUNTS]), np.ones(9, dtype=np.int64))


def codes(rows: int = 400) -> NDArray[np.int64]:
    first = np.random.default_rng(0).integers(0, 2, rows)
    return np.stack([first, first * 3, first], axis=1)


def target() -> MarginalTarget:
    workload = choose_workload(COUNTS, None)
    return target_from_counts(table_counts(codes(), workload), workload, 0.0)


def net() -> MarginalNet:
    return MarginalNet(COUNTS, NET, torch.Generator().manual_seed(0))


def wrapped(
    noise_multiplier: float, clip: float
) -> tuple[Discriminator, GradSampleModule, OsEntropyDPOptimizer]:
    plain = new_discriminator(9, 8, 1)
    module = GradSampleModule(plain, loss_reduction="sum")
    optimiser = OsEntropyDPOptimizer(
        torch.optim.SGD(plain.parameters(), lr=1.0), noise_multiplier=noise_multiplier, max_grad_norm=clip,
        expected_batch_size=None, loss_reduction="sum",
    )  # fmt: skip
    return plain, module, optimiser


def backward(module: torch.nn.Module, rows: torch.Tensor, labels: torch.Tensor) -> None:
    rows = rows.clone().requires_grad_()
    loss = functional.binary_cross_entropy_with_logits(module(rows), labels, reduction="sum")
    loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 0.0},
        {"sample_rate": 1.5},
        {"generated": 1},
        {"noise_multiplier": -1.0},
        {"clip_norm": 0.0},
    ],
)
def test_refuses_settings_without_a_guarantee(change: dict[str, float]) -> None:
    with pytest.raises(LearningError):
        DiscriminatorSettings(**{"sample_rate": 0.1, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["short", "nan"])
def test_refuses_a_state_that_is_damaged(damage: str) -> None:
    state = flat_state(new_discriminator(9, 8, 0))
    state = state[1:] if damage == "short" else np.where(np.arange(len(state)) == 3, np.nan, state)
    with pytest.raises(LearningError, match="discriminator state"):
        load_flat_state(new_discriminator(9, 8, 0), state)


def test_refuses_two_backward_passes_before_one_private_step() -> None:
    _, module, optimiser = wrapped(1.0, 1.0)
    for label in (0.0, 1.0):
        backward(module, one_hot(codes(4), COUNTS), torch.full((4,), label))
    with pytest.raises(LearningError, match="2 backward passes"):
        optimiser.step()


def test_refuses_to_teach_a_generator_with_a_hooked_discriminator() -> None:
    plain, module, _ = wrapped(1.0, 1.0)
    for discriminator in (module, plain):
        with pytest.raises(LearningError, match="plain copy"):
            adversarial_loss(discriminator, net(), 1.0, torch.Generator())


def test_private_step_without_noise_is_the_slow_loop_of_clipped_gradients() -> None:
    rows, labels, clip = one_hot(codes(12), COUNTS), torch.arange(12) % 2.0, 0.4
    plain, module, optimiser = wrapped(0.0, clip)
    before = flat_state(plain)
    summed, clipped = np.zeros_like(before), 0
    for row, label in zip(rows, labels, strict=True):
        single = new_discriminator(9, 8, 1)
        backward(single, row[None], label[None])
        gradient = np.concatenate([p.grad.numpy().ravel() for p in single.parameters() if p.grad is not None])
        norm = float(np.linalg.norm(gradient))
        clipped += norm > clip
        summed += gradient * min(1.0, clip / norm)
    backward(module, rows, labels)
    optimiser.step()
    assert clipped > 0
    assert np.allclose(before - flat_state(plain), summed, atol=1e-5)


def test_noise_on_the_sum_has_multiplier_times_clip_norm() -> None:
    rows, labels = one_hot(codes(4), COUNTS), torch.ones(4)
    exact_plain, exact_module, exact_optimiser = wrapped(0.0, 0.5)
    backward(exact_module, rows, labels)
    exact_optimiser.step()
    drawn = []
    for _ in range(30):
        plain, module, optimiser = wrapped(6.0, 0.5)
        backward(module, rows, labels)
        optimiser.step()
        drawn.append(flat_state(plain) - flat_state(exact_plain))
    noise = np.concatenate(drawn)
    assert noise.std() == pytest.approx(3.0, rel=5 / np.sqrt(2 * noise.size))


def test_private_rounds_are_never_the_same_twice_and_plain_weights_come_back() -> None:
    settings = DiscriminatorSettings(0.1, generated=16, noise_multiplier=1.0, hidden=8)
    state = flat_state(new_discriminator(9, 8, 0))
    rounds = [train_discriminator(codes(), net(), state, settings, steps=2, seed=1).state for _ in range(2)]
    assert rounds[0].shape == state.shape
    assert not np.array_equal(rounds[0], rounds[1])


def test_an_empty_poisson_batch_is_a_step_like_any_other() -> None:
    settings = DiscriminatorSettings(1e-9, generated=16, noise_multiplier=1.0, hidden=8)
    state = flat_state(new_discriminator(9, 8, 0))
    trained = train_discriminator(codes(), net(), state, settings, steps=2, seed=1)
    assert np.isfinite(trained.state).all()


def test_a_discriminator_learns_to_tell_rows_and_privacy_does_not_stop_it() -> None:
    for noise_multiplier in (0.0, 0.5):
        settings = DiscriminatorSettings(0.3, 64, noise_multiplier, learning_rate=1e-2, hidden=16)
        state = flat_state(new_discriminator(9, 16, 0))
        untaught = net()
        trained = train_discriminator(codes(), untaught, state, settings, steps=40, seed=1)
        judge = new_discriminator(9, 16, 0)
        load_flat_state(judge, trained.state)
        with torch.no_grad():
            random = torch.Generator().manual_seed(9)
            made = sample_rows(untaught, untaught(untaught.draw_latent(400, random)), random)
            assert judge(one_hot(codes(), COUNTS)).mean() > judge(made).mean() + 1.0


def test_generated_rows_are_one_hot_and_carry_gradients() -> None:
    generator = net()
    random = torch.Generator().manual_seed(0)
    logits = generator(generator.draw_latent(50, random))
    rows = sample_rows(generator, logits, random)
    for part in torch.split(rows, list(COUNTS), dim=1):
        assert torch.allclose(part.sum(1), torch.ones(50))
        assert torch.allclose(part.max(1).values, torch.ones(50))
    (rows * torch.arange(9.0)).sum().backward()  # type: ignore[no-untyped-call]
    assert generator.linears[-1].weight.grad is not None
    assert generator.linears[-1].weight.grad.abs().sum() > 0


def test_generator_steps_move_towards_rows_that_the_discriminator_calls_real() -> None:
    settings = DiscriminatorSettings(0.3, 64, learning_rate=1e-2, hidden=16)
    fit = FitSettings(net=NET, batch=64)
    generator = new_net(BOOK, target(), NET, 0)
    trained = train_discriminator(
        codes(), generator, flat_state(new_discriminator(9, 16, 0)), settings, steps=60, seed=1
    )
    judge = new_discriminator(9, 16, 0)
    load_flat_state(judge, trained.state)

    def verdict() -> float:
        random = torch.Generator().manual_seed(4)
        with torch.no_grad():
            logits = generator(generator.draw_latent(2000, random))
            return float(judge(sample_rows(generator, logits, random)).mean())

    before = verdict()
    fitter = MarginalFitter(generator, target(), fit, 0)
    loss = generator_steps(
        fitter,
        trained.state,
        settings,
        steps=60,
        adversarial=5.0,
        marginal=1.0,
        first_fraction=0.0,
        last_fraction=0.5,
    )
    assert np.isfinite(loss)
    assert verdict() > before + 0.5


def test_weights_that_overflow_leave_a_finite_release_of_bounded_sensitivity() -> None:
    """A coordinator that chooses the weights must not learn from a not-a-number who is in the table."""
    plain, module, optimiser = wrapped(1.0, 0.5)
    rows = one_hot(np.array([[0, 0, 0], [1, 3, 1]]), COUNTS)
    with torch.no_grad():
        first = next(plain.parameters())
        first[:, [1, 3 + 3]] = 3e38  # overflows for the second row alone
    backward(module, rows, torch.ones(2))
    assert not all(torch.isfinite(sample).all() for sample in optimiser.grad_samples)
    optimiser.clip_and_accumulate()
    summed = torch.cat([parameter.summed_grad.ravel() for parameter in optimiser.params])
    assert torch.isfinite(summed).all()
    assert float(summed.norm()) <= 2 * 0.5 * (1 + 1e-4)


def test_a_round_from_overflowing_weights_sends_finite_weights() -> None:
    start = np.full(flat_state(new_discriminator(9, 8, 1)).shape, 3e38, dtype=np.float32)
    settings = DiscriminatorSettings(0.3, generated=8, noise_multiplier=1.0, hidden=8)
    assert np.isfinite(train_discriminator(codes(), net(), start, settings, steps=2, seed=1).state).all()
