"""The autoregressive net: likelihood, gradients by hand, DP-SGD's release, recipes and integers."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from generator.errors import LearningError
from generator.learning import fit_autoregressive
from generator.learning.adam import Adam
from generator.learning.autoregressive import (
    EMBEDDING,
    HIDDEN_BIAS,
    HIDDEN_WEIGHTS,
    INPUT_BIAS,
    OUTPUT_BIAS,
    OUTPUT_WEIGHTS,
    NetShape,
    decay_mask,
    initial_weights,
    sample_codes,
)
from generator.learning.autoregressive_gradient import AutoregressiveGradient
from generator.learning.dp_sgd import _ARITHMETIC, DPSGD
from generator.learning.draw_order import DrawOrder
from generator.learning.fit_autoregressive import (
    choose_decay,
    train,
    train_privately,
)
from generator.learning.quantise_autoregressive import quantise_autoregressive
from generator.learning.recipes import Recipe
from provenance.exact.codebook import Codebook
from provenance.exact.model import AutoregressiveModel, decode_model
from provenance.exact.sampler import Sampler
from provenance.values import Digest

SHAPE = NetShape((3, 4, 2), width=8, neurons=6)


def weights_of(shape: NetShape, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    flat = initial_weights(shape, np.full(shape.codes, 0.3), random)
    flat += random.standard_normal(shape.size).astype(np.float32) * 0.2
    return flat


def codes_of(shape: NetShape, rows: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, m, rows) for m in shape.code_counts], axis=1)


def xor_codes(rows: int, seed: int) -> np.ndarray:
    """Three columns, any two of them independent: the third is their sum modulo 3, nine times in ten."""
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 3, (2, rows))
    c = np.where(random.random(rows) < 0.9, (a + b) % 3, random.integers(0, 3, rows))
    return np.stack([a, b, c], axis=1)


def slow_loss(shape: NetShape, flat: torch.Tensor, codes: np.ndarray) -> torch.Tensor:
    """-log p of each row, as the specification says it, by autograd's means."""
    view = {name: flat[where].reshape(size) for name, (where, size) in shape.parts.items()}
    losses = []
    for row in codes:
        running, loss = torch.zeros(shape.width), torch.zeros(())
        for c, code in enumerate(row):
            own = slice(shape.offsets[c], shape.offsets[c + 1])
            active = torch.relu(running + view[INPUT_BIAS][c])
            neurons = torch.relu(view[HIDDEN_WEIGHTS][c] @ active + view[HIDDEN_BIAS][c])
            logits = view[OUTPUT_WEIGHTS][own] @ neurons + view[OUTPUT_BIAS][own]
            loss = loss - torch.log_softmax(logits, 0)[int(code)]
            running = running + view[EMBEDDING][own.start + int(code)]
        losses.append(loss)
    return torch.stack(losses)


def slow_gradients(shape: NetShape, flat: np.ndarray, codes: np.ndarray) -> np.ndarray:
    weights = torch.from_numpy(flat).requires_grad_(True)
    losses = slow_loss(shape, weights, codes)
    return np.stack([torch.autograd.grad(loss, weights, retain_graph=True)[0].numpy() for loss in losses])


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"neurons": 0}, {"code_counts": ()}, {"code_counts": (3, 0)}]
)
def test_a_shape_without_columns_codes_or_neurons_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LearningError, match="at least one"):
        NetShape(**{"code_counts": (2, 2), **change})  # type: ignore[arg-type]


def test_weights_of_another_shape_or_not_finite_are_refused() -> None:
    flat = weights_of(SHAPE)
    with pytest.raises(LearningError, match="finite"):
        AutoregressiveGradient(SHAPE, flat[:-1])
    flat[3] = np.nan
    with pytest.raises(LearningError, match="finite"):
        AutoregressiveGradient(SHAPE, flat)
    with pytest.raises(LearningError, match="codes have shape"):
        AutoregressiveGradient(SHAPE, weights_of(SHAPE)).tensor(np.zeros((5, 2), dtype=np.int64))
    with pytest.raises(LearningError, match="univariate"):
        initial_weights(SHAPE, np.ones(3), np.random.default_rng(0))


def test_probabilities_of_all_rows_sum_to_one() -> None:
    net = AutoregressiveGradient(SHAPE, weights_of(SHAPE))
    everything = np.array(list(product(*map(range, SHAPE.code_counts))))
    assert np.exp(net.log_likelihood(net.tensor(everything))).sum() == pytest.approx(1.0, abs=1e-5)


def test_gradients_are_autograd_s_and_norms_those_of_a_loop() -> None:
    flat, codes = weights_of(SHAPE), codes_of(SHAPE, 10)
    net = AutoregressiveGradient(SHAPE, flat)
    slow = slow_gradients(SHAPE, flat.copy(), codes)
    summed, loss = net.summed(net.tensor(codes))
    assert summed == pytest.approx(slow.sum(0), abs=2e-4)
    assert loss == pytest.approx(float(slow_loss(SHAPE, torch.from_numpy(flat), codes).mean()), rel=1e-5)
    assert net.norms(net.tensor(codes)) == pytest.approx(np.linalg.norm(slow, axis=1), rel=1e-4)


def test_each_row_is_clipped_by_itself() -> None:
    flat, codes = weights_of(SHAPE), codes_of(SHAPE, 10)
    net = AutoregressiveGradient(SHAPE, flat)
    slow = slow_gradients(SHAPE, flat.copy(), codes)
    lengths = np.linalg.norm(slow, axis=1)
    clip = float(np.median(lengths))
    wanted = (slow * np.minimum(1.0, clip / lengths)[:, None]).sum(0)
    assert net.clipped_sum(net.tensor(codes), clip) == pytest.approx(wanted, abs=2e-4)
    one = net.clipped_sum(net.tensor(codes[:1]), 0.01)
    assert np.linalg.norm(one) == pytest.approx(0.01, rel=1e-4)


def test_what_a_row_computes_does_not_depend_on_the_others_or_on_its_place() -> None:
    """To the last bit of single precision: else another row's presence could move a sum by more than its own."""
    net = AutoregressiveGradient(SHAPE, weights_of(SHAPE), expected_rows=60)
    rows = net.tensor(codes_of(SHAPE, 64)).long()
    order = torch.from_numpy(np.random.default_rng(3).permutation(64))
    other = net.tensor(codes_of(SHAPE, 64, seed=9)).long()
    other[:, 10:40] = rows[:, order[10:40]]
    found = []
    for batch in (rows, other):
        forward = net._forward(batch.contiguous())
        backward = net._backward(batch.contiguous(), forward)
        norms = net._norms_and_running(forward, backward)
        parts = (forward.active, forward.neurons, backward.by_neurons, backward.by_running)
        found.append(
            [norms.clone(), backward.by_logits.T.clone(), *(part.transpose(0, 1).clone() for part in parts)]
        )
    for first, second in zip(*found, strict=True):
        assert torch.equal(first[order[10:40]], second[10:40])


def test_a_further_row_moves_a_sum_by_its_clipped_gradient_and_hardly_more() -> None:
    """Whatever the random order does to the blocks; and a sum is the rows' own within their blocks' rounding."""
    net = AutoregressiveGradient(SHAPE, weights_of(SHAPE), expected_rows=60)
    codes = codes_of(SHAPE, 150)
    alone = np.array([net.clipped_sum(net.tensor(codes[row : row + 1]), 0.3) for row in range(150)])
    for row in range(20):
        together = net.clipped_sum(net.tensor(codes), 0.3)
        without = net.clipped_sum(net.tensor(np.delete(codes, row, axis=0)), 0.3)
        assert np.linalg.norm(together - without) <= 0.3 * (1 + _ARITHMETIC)
        assert np.linalg.norm(together - alone.sum(0)) <= 150 * 0.3 * 2.0**-17


def test_the_input_biases_are_the_rows_own_added_in_double_precision() -> None:
    """Each is the difference of two sums that are longer than it, so their rounding would be more than a sum's own."""
    net = AutoregressiveGradient(SHAPE, weights_of(SHAPE), expected_rows=60)
    codes = codes_of(SHAPE, 150)
    alone = np.sum([net.clipped_sum(net.tensor(codes[row : row + 1]), 0.3) for row in range(150)], axis=0)
    together = net.clipped_sum(net.tensor(codes), 0.3)
    found, wanted = (SHAPE.view(each, INPUT_BIAS) for each in (together, alone))
    assert np.abs(found - wanted).max() <= 150 * 0.3 * 2.0**-48


def test_an_empty_batch_has_a_gradient_of_zero_and_long_ones_add_up() -> None:
    net = AutoregressiveGradient(SHAPE, weights_of(SHAPE))
    assert not net.summed(net.tensor(codes_of(SHAPE, 0)))[0].any()
    codes = codes_of(SHAPE, 2500)
    parts = sum(net.summed(net.tensor(part))[0] for part in np.array_split(codes, 7))
    assert net.summed(net.tensor(codes))[0] == pytest.approx(parts, abs=2e-2)


def test_the_release_has_exactly_the_noise_that_it_claims() -> None:
    shape = NetShape((20, 30, 10), width=16, neurons=16)
    net = AutoregressiveGradient(shape, weights_of(shape))
    batch = net.tensor(codes_of(shape, 30))
    dp = DPSGD(0.1, noise_multiplier=2.5, max_grad_norm=0.4)
    summed = partial(net.clipped_sum, batch)
    exact = net.clipped_sum(batch, 0.4)
    noise = np.concatenate([dp.release(summed, shape.size) - exact for _ in range(20)])
    error = 1 / math.sqrt(2 * len(noise))
    assert noise.std() == pytest.approx(1.0, rel=5 * error)
    assert abs(noise.mean()) < 5 / math.sqrt(len(noise))
    assert dp.release(summed, shape.size)[0] != dp.release(summed, shape.size)[0]


def test_private_training_samples_rows_clips_them_and_divides_by_declared_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []
    real = AutoregressiveGradient.clipped_sum

    def spy(net: AutoregressiveGradient, batch: torch.Tensor, max_grad_norm: float) -> np.ndarray:
        batches.append(batch.shape[1])
        assert 0.99 < max_grad_norm < 1.0
        return real(net, batch, max_grad_norm)

    monkeypatch.setattr(AutoregressiveGradient, "clipped_sum", spy)
    dp = DPSGD(0.2, noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=80)
    start = weights_of(SHAPE)
    done: list[int] = []
    after = train_privately(codes_of(SHAPE, 400), SHAPE, start, Recipe(30, 80), dp, progress=done.append)
    assert len(batches) == 30
    assert np.mean(batches) == pytest.approx(80, abs=5 * 8 / math.sqrt(30))
    assert len(set(batches)) > 5
    assert done[-1] == 30
    assert not np.array_equal(after, start)


def test_adam_takes_the_published_steps() -> None:
    random = np.random.default_rng(0)
    weights = random.standard_normal(50).astype(np.float32)
    wanted, mean, square = weights.astype(np.float64), np.zeros(50), np.zeros(50)
    adam = Adam(weights, np.full(50, 0.5, dtype=np.float32), 0.9)
    for step in range(1, 21):
        gradient = random.standard_normal(50).astype(np.float32)
        adam.step(gradient, 0.01)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient.astype(np.float64) ** 2
        wanted -= 0.01 * 0.5 * wanted
        wanted -= 0.01 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    assert weights == pytest.approx(wanted, abs=1e-5)
    assert not np.array_equal(adam.average, weights)


def test_decay_acts_on_weights_and_on_no_bias() -> None:
    mask = decay_mask(SHAPE)
    for name, (where, _) in SHAPE.parts.items():
        assert set(mask[where]) == ({0.0} if name.endswith("bias") else {1.0})


def test_it_learns_what_no_pair_of_columns_shows() -> None:
    codes = xor_codes(1200, 0)
    shape = NetShape((3, 3, 3), width=16, neurons=16)
    start = initial_weights(shape, np.full(9, 1 / 3), np.random.default_rng(1))
    weights = train(codes, shape, start, Recipe(500, 128, rate=1e-2, decay=0.0), seed=0)
    rows = sample_codes(shape, weights, 4000, np.random.default_rng(2))
    follows = np.mean((rows[:, 0] + rows[:, 1]) % 3 == rows[:, 2])
    assert follows > 0.85, "0.93 in the table; 0.33 for all pairs of columns right and no more"


def test_a_deadline_that_has_passed_still_makes_one_step() -> None:
    start = weights_of(SHAPE)
    seen: list[int] = []
    train(
        codes_of(SHAPE, 50), SHAPE, start, Recipe(10**6, 16), seed=0, deadline=0.0,
        progress=lambda progress: seen.append(progress.step),
    )  # fmt: skip
    assert seen == [1]


def test_a_small_table_of_noise_gets_more_decay_than_one_with_something_to_learn() -> None:
    shape = NetShape((3, 3, 3), width=16, neurons=16)
    start = initial_weights(shape, np.full(9, 1 / 3), np.random.default_rng(1))
    recipe = Recipe(150, 64, rate=1e-2)
    noise = choose_decay(codes_of(shape, 300), shape, start, recipe, seed=0)
    structure = choose_decay(xor_codes(600, 1), shape, start, recipe, seed=0)
    assert noise.decay > structure.decay


def test_what_was_learnt_by_heart_stops_weaker_decays(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def by_heart(
        codes: np.ndarray, shape: NetShape, start: np.ndarray, recipe: Recipe, **_: object
    ) -> np.ndarray:
        tried.append(recipe.decay)
        return start

    monkeypatch.setattr(fit_autoregressive, "train", by_heart)
    monkeypatch.setattr(fit_autoregressive, "memorisation", lambda seen, unseen: 0.9)
    chosen = choose_decay(codes_of(SHAPE, 200), SHAPE, weights_of(SHAPE), Recipe(5, 8), seed=0)
    assert tried == [24.0, 12.0]
    assert chosen.decay == 24.0


def codebook_of(shape: NetShape) -> Codebook:
    low = np.concatenate([np.arange(m) for m in shape.code_counts])
    return Codebook(shape.code_counts, (1,) * shape.columns, low, np.ones(shape.codes, dtype=np.int64))


@pytest.mark.parametrize("order", [DrawOrder((0, 1, 2)), DrawOrder((2, 0, 1))])
def test_integers_follow_the_floats_and_keep_the_bound(order: DrawOrder) -> None:
    shape = NetShape((3, 3, 3), width=16, neurons=16)
    start = initial_weights(shape, np.full(9, 1 / 3), np.random.default_rng(1))
    weights = train(xor_codes(1200, 0), shape, start, Recipe(300, 128, rate=1e-2), seed=0)
    data = quantise_autoregressive(shape, weights, codebook_of(shape), order, Digest(bytes(32)))
    assert decode_model(data).prove_bound() < 2**24
    assert data == quantise_autoregressive(shape, weights, codebook_of(shape), order, Digest(bytes(32)))
    # rows are in the schema's order, the net in its own
    rows = Sampler(data, bytes(32), 0).values(0, 40_000)[:, order.columns]
    shares = np.bincount(rows @ np.array([9, 3, 1]), minlength=27) / len(rows)
    net = AutoregressiveGradient(shape, weights)
    everything = np.array(list(product(range(3), repeat=3)))
    wanted = np.exp(net.log_likelihood(net.tensor(everything)))
    assert 0.5 * np.abs(shares - wanted).sum() < 0.02


def test_a_net_that_diverged_or_of_other_codes_is_not_quantised() -> None:
    flat = weights_of(SHAPE)
    with pytest.raises(LearningError, match="different codes"):
        quantise_autoregressive(
            SHAPE, flat, codebook_of(NetShape((2, 2))), DrawOrder((0, 1)), Digest(bytes(32))
        )
    SHAPE.view(flat, OUTPUT_WEIGHTS)[:] = 1e4
    with pytest.raises(LearningError, match="diverged"):
        quantise_autoregressive(
            SHAPE, flat, codebook_of(SHAPE), DrawOrder(tuple(range(SHAPE.columns))), Digest(bytes(32))
        )


def test_a_dead_neuron_of_tiny_weights_stays_silent_within_the_bound() -> None:
    flat = weights_of(SHAPE)
    SHAPE.view(flat, HIDDEN_WEIGHTS)[0, 2] = 1e-9
    SHAPE.view(flat, HIDDEN_BIAS)[0, 2] = -0.5
    data = quantise_autoregressive(
        SHAPE, flat, codebook_of(SHAPE), DrawOrder(tuple(range(SHAPE.columns))), Digest(bytes(32))
    )
    model = decode_model(data)
    assert isinstance(model, AutoregressiveModel)
    step = model.steps[0]
    most = np.clip(step.hidden_weights[2].astype(int), 0, None).sum() * 255 + step.hidden_bias[2]
    assert most >> int(step.hidden_shift[2]) <= 0
