"""DP-SGD of the local discriminator: clipping, noise and sampling against slow loops and formulas."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from generator.errors import LearningError
from generator.learning import gan
from generator.learning.fit_marginals import MarginalFitSettings, MarginalFitter, new_net
from generator.learning.gan import (
    Discriminator,
    DiscriminatorSettings,
    clipped_sum,
    flat_state,
    generator_steps,
    load_flat_state,
    one_hot,
    sample_rows,
    train_discriminator,
)
from generator.learning.nets import MarginalNet, NetSettings
from generator.marginals.measure import table_counts
from generator.marginals.target import MarginalTarget, target_from_counts
from generator.marginals.workload import choose_workload
from generator.privacy import noise
from provenance.exact.codebook import Codebook

COUNTS = (3, 4, 2)
NET = NetSettings(8, (16,))
BOOK = Codebook(COUNTS, (1,) * 3, np.concatenate([np.arange(c) for c in COUNTS]), np.ones(9, dtype=np.int64))


def codes(rows: int = 400) -> NDArray[np.int64]:
    first = np.random.default_rng(0).integers(0, 2, rows)
    return np.stack([first, first * 3, first], axis=1)


def target() -> MarginalTarget:
    workload = choose_workload(COUNTS, None)
    return target_from_counts(table_counts(codes(), workload), workload, 0.0, len(codes()))


def net() -> MarginalNet:
    return MarginalNet(COUNTS, NET, torch.Generator().manual_seed(0))


def new_discriminator(codes: int, hidden: int, seed: int) -> Discriminator:
    return Discriminator(codes, hidden, torch.Generator().manual_seed(seed))


def slow_gradients(
    discriminator: Discriminator, rows: torch.Tensor, labels: torch.Tensor
) -> NDArray[np.float32]:
    """Each row's gradient by autograd, float32[B, P]."""
    gradients = []
    for row, label in zip(rows, labels, strict=True):
        discriminator.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(discriminator(row[None]), label[None])
        loss.backward()  # type: ignore[no-untyped-call]
        parts = [p.grad.numpy().ravel().copy() for p in discriminator.parameters() if p.grad is not None]
        gradients.append(np.concatenate(parts))
    return np.stack(gradients)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 0.0},
        {"sample_rate": 1.5},
        {"generated": 1},
        {"noise_multiplier": -1.0},
        {"max_grad_norm": 0.0},
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


def test_each_row_is_clipped_by_itself_to_exactly_the_max_grad_norm() -> None:
    rows, labels = one_hot(codes(12), COUNTS), torch.arange(12) % 2.0
    critic = new_discriminator(9, 8, 1)
    slow = slow_gradients(critic, rows, labels)
    lengths = np.linalg.norm(slow, axis=1)
    clip = float(np.median(lengths))
    wanted = (slow * np.minimum(1.0, clip / lengths)[:, None]).sum(0)
    assert clipped_sum(critic, rows, labels, clip) == pytest.approx(wanted, abs=1e-5)
    assert clipped_sum(critic, rows, labels, None) == pytest.approx(slow.sum(0), abs=1e-5)
    for row, label, length in zip(rows, labels, lengths, strict=True):
        alone = float(np.linalg.norm(clipped_sum(critic, row[None], label[None], clip)))
        assert alone == pytest.approx(min(length, clip), rel=1e-4)


@pytest.mark.parametrize(("factor", "right"), [(0.97, False), (1.0, True), (1.03, False)])
def test_noise_on_the_sum_has_multiplier_times_max_grad_norm_no_less_and_no_more(
    factor: float, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check itself is checked: three per cent to either side are noticed."""
    gaussian = noise.gaussian
    monkeypatch.setattr(noise, "gaussian", lambda *asked: np.rint(factor * gaussian(*asked)).astype(np.int64))
    rows, labels, critic = one_hot(codes(4), COUNTS), torch.ones(4), new_discriminator(9, 16, 1)
    settings = DiscriminatorSettings(0.1, noise_multiplier=6.0, max_grad_norm=0.5)
    exact = clipped_sum(critic, rows, labels, 0.5)
    assert settings.dp is not None
    summed = partial(clipped_sum, critic, rows, labels)
    drawn = np.concatenate([settings.dp.release(summed, len(exact)) - exact for _ in range(100)])
    assert len(drawn) > 40_000
    is_close = drawn.std() == pytest.approx(3.0, rel=5 / np.sqrt(2 * len(drawn)))
    assert bool(is_close) is right
    assert abs(drawn.mean()) < 5 * 3 / np.sqrt(len(drawn))


@pytest.mark.parametrize("noise_multiplier", [0.0, 1.0])
def test_a_round_clips_and_noises_only_under_privacy(
    noise_multiplier: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips: list[float | None] = []

    def spy(*args: Any) -> np.ndarray:
        clips.append(args[-1])
        return clipped_sum(*args)

    monkeypatch.setattr(gan, "clipped_sum", spy)
    settings = DiscriminatorSettings(
        0.1, generated=16, noise_multiplier=noise_multiplier, max_grad_norm=0.7, hidden=8
    )
    train_discriminator(codes(), net(), flat_state(new_discriminator(9, 8, 0)), settings, steps=3, seed=1)
    assert clips == [pytest.approx(0.7, rel=1e-2) if noise_multiplier else None] * 3


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
    fit = MarginalFitSettings(net=NET, batch=64)
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


def test_what_a_row_adds_does_not_depend_on_the_others_or_on_its_place() -> None:
    critic, rows, labels = new_discriminator(9, 8, 1), one_hot(codes(200), COUNTS), torch.arange(200) % 2.0
    alone = [
        clipped_sum(critic, row[None], label[None], 0.1) for row, label in zip(rows, labels, strict=True)
    ]
    order = np.random.default_rng(3).permutation(200)[:171]
    together = clipped_sum(critic, rows[order], labels[order], 0.1)
    assert np.abs(together - np.sum([alone[row] for row in order], axis=0)).max() < 200 * 0.1 * 2.0**-45


def test_weights_that_overflow_leave_a_finite_release_of_bounded_sensitivity() -> None:
    """A coordinator that chooses the weights must not learn from a not-a-number who is in the table."""
    critic = new_discriminator(9, 8, 1)
    rows, labels = one_hot(np.array([[0, 0, 0], [1, 3, 1]]), COUNTS), torch.ones(2)
    with torch.no_grad():
        first = next(critic.parameters())
        first[:, [1, 3 + 3]] = 3e38  # overflows for the second row alone
    assert not np.isfinite(slow_gradients(critic, rows, labels)).all()
    summed = clipped_sum(critic, rows, labels, 0.5)
    assert np.isfinite(summed).all()
    assert float(np.linalg.norm(summed)) <= 2 * 0.5 * (1 + 1e-4)
    assert np.allclose(summed, clipped_sum(critic, rows[:1], labels[:1], 0.5))


def test_a_round_from_overflowing_weights_sends_finite_weights() -> None:
    start = np.full(flat_state(new_discriminator(9, 8, 1)).shape, 3e38, dtype=np.float32)
    settings = DiscriminatorSettings(0.3, generated=8, noise_multiplier=1.0, hidden=8)
    assert np.isfinite(train_discriminator(codes(), net(), start, settings, steps=2, seed=1).state).all()
