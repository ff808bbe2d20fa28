"""The marginal loss against autograd, and learning against the independent baseline on a toy table."""

from itertools import count, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from generator.errors import LearningError
from generator.evaluation.contribution import pair_tables_of
from generator.learning import fit_marginals as fitting
from generator.learning.fit_marginals import (
    MarginalFitProgress,
    MarginalFitSettings,
    MarginalFitter,
    fit_marginals,
    new_net,
)
from generator.learning.marginal_loss import CLASS_WEIGHT, PRIOR_NOISE, WEIGHT_FLOOR, MarginalLoss
from generator.learning.nets import MarginalNet, NetSettings
from generator.learning.quantise import quantise
from generator.marginals.bins import encode_codes
from generator.marginals.classes import class_marginals
from generator.marginals.measure import pair_tables, table_counts
from generator.marginals.shrink import shrunk_tables
from generator.marginals.target import MarginalTarget, target_from_counts
from generator.marginals.workload import Workload, choose_workload, pair_workload, with_target_pairs
from provenance.exact.codebook import Codebook
from provenance.exact.mlp import MlpForward
from provenance.exact.model import MlpModel, decode_model, prove_bound
from provenance.exact.sampler import Sampler
from provenance.values import Digest

COUNTS = (4, 3, 5, 2)
BOOK = Codebook(COUNTS, (1,) * 4, np.concatenate([np.arange(c) for c in COUNTS]), np.ones(14, dtype=np.int64))
SMALL = MarginalFitSettings(net=NetSettings(16, (32, 32)), steps=150, batch=64)


def toy_codes(rows: int = 4000) -> NDArray[np.int64]:
    random = np.random.default_rng(5)
    hidden = random.integers(0, 4, rows)
    flip = random.random((rows, 3)) < 0.15
    second = np.where(flip[:, 0], random.integers(0, 3, rows), hidden % 3)
    third = np.where(flip[:, 1], random.integers(0, 5, rows), hidden + (second == 1))
    fourth = np.where(flip[:, 2], random.integers(0, 2, rows), hidden // 2)
    return np.stack([hidden, second, third, fourth], axis=1)


def toy_target(target: int | None = 3, std: float = 0.0) -> MarginalTarget:
    workload = choose_workload(COUNTS, target)
    return target_from_counts(table_counts(toy_codes(), workload), workload, std, len(toy_codes()))


@pytest.mark.parametrize(
    "change", [{"steps": 0}, {"batch": 1}, {"learning_rate": 0.0}, {"average": 1.0}, {"learning_rate": -1.0}]
)
def test_refuses_settings_that_cannot_train(change: dict[str, float]) -> None:
    with pytest.raises(LearningError):
        MarginalFitSettings(**change)  # type: ignore[arg-type]


def test_refuses_a_target_over_other_codes() -> None:
    workload = choose_workload((2, 2, 2), None)
    other = target_from_counts(np.ones(workload.cells), workload, 0.0, 1)
    with pytest.raises(LearningError, match="different codes"):
        new_net(BOOK, other, SMALL.net, 0)


def partial_target() -> MarginalTarget:
    """Columns 0 and 1 with the target 3, and every column's pair with it; 0 and 2, 1 and 2 are in no table."""
    workload = with_target_pairs(choose_workload(COUNTS, 3), 0.4)
    kept = [i for i, table in enumerate(workload.tables) if len(table) == 2 or table == (0, 1, 3)]
    some = Workload(COUNTS, tuple(workload.tables[i] for i in kept), tuple(workload.weights[i] for i in kept))
    return target_from_counts(table_counts(toy_codes(), some), some, 4.0, len(toy_codes()))


@pytest.mark.parametrize(
    "wanted",
    [toy_target(None, std=4.0), toy_target(1, std=4.0), toy_target(3, std=4.0), partial_target()],
    ids=["pairs", "target 1", "target 3", "few tables"],
)
def test_surrogate_has_the_gradient_of_the_loss_written_out(wanted: MarginalTarget) -> None:
    net = new_net(BOOK, wanted, SMALL.net, 0)
    halves = [net.probabilities(net(net.draw_latent(32, torch.Generator().manual_seed(s)))) for s in (1, 2)]
    halves = [half.detach().requires_grad_() for half in halves]
    value, surrogate = MarginalLoss(wanted)(halves[0], halves[1])
    surrogate.backward()  # type: ignore[no-untyped-call]
    gradients = [half.grad.clone() for half in halves if half.grad is not None]
    for half in halves:
        half.grad = None
    written_out = _loss_written_out(wanted, halves)
    written_out.backward()  # type: ignore[no-untyped-call]
    assert value == pytest.approx(float(written_out.detach()), rel=1e-4, abs=1e-6)
    for half, gradient in zip(halves, gradients, strict=True):
        assert half.grad is not None
        assert torch.allclose(gradient, half.grad, rtol=1e-4, atol=1e-6)


def _loss_written_out(wanted: MarginalTarget, halves: list[torch.Tensor]) -> torch.Tensor:
    """Every term by itself: released tables as shrunk, columns by class, the prior of pairs in no table."""
    workload, target = wanted.workload, wanted.workload.target
    known = class_marginals(wanted.probabilities, wanted.std, workload)
    shrunk = shrunk_tables(wanted, known)
    start = np.cumsum([0, *COUNTS])
    spans = [slice(int(a), int(b)) for a, b in pairwise(start)]

    def term(
        table: tuple[int, ...], cells: NDArray[np.float64], m: NDArray[np.float64], more: float, by: float
    ) -> torch.Tensor:
        letters = "ijk"[: len(table)]
        formula = ",".join("b" + letter for letter in letters) + "->" + letters
        means = [torch.einsum(formula, *(h[:, spans[c]] for c in table)) / len(h) for h in halves]
        goal, weight = (
            torch.from_numpy(cells).float(),
            torch.from_numpy(by / (m + WEIGHT_FLOOR + more)).float(),
        )
        return (weight * (means[0] - goal) * (means[1] - goal)).sum()

    one = [known.univariate[span] for span in spans]
    noise = wanted.std**2 * wanted.rows
    total = torch.zeros(())
    released = set()
    for index, table in enumerate(workload.tables):
        if target is not None and len(table) == 2:
            continue
        released.add(frozenset(table[:2]))
        block = shrunk[workload.offsets[index] : workload.offsets[index + 1]]
        independent = np.einsum(
            ",".join("ijk"[: len(table)]) + "->" + "ijk"[: len(table)], *(one[c] for c in table)
        )
        total = total + term(table, block.reshape(independent.shape), independent, noise, 1.0)
    for c in range(len(COUNTS)):
        if c == target:
            continue
        by_class = known.probabilities[:, spans[c]].T
        independent = np.outer(one[c], known.classes)
        more = known.variances[c] * wanted.rows
        if target is None:
            total = total + term((c,), by_class[:, 0], independent[:, 0], more, CLASS_WEIGHT)
        else:
            total = total + term((c, target), by_class, independent, more, CLASS_WEIGHT)
        for d in range(c + 1, len(COUNTS)):
            if d == target or frozenset((c, d)) in released:
                continue
            assert target is not None
            prior = np.moveaxis(known.independent(spans[c], spans[d]), 0, 2)
            total = total + term((c, d, target), prior, prior, PRIOR_NOISE, 1.0)
    return total


def test_loss_is_unbiased_where_the_squared_loss_of_one_batch_is_not() -> None:
    net = new_net(BOOK, toy_target(None), SMALL.net, 3)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        big = net.probabilities(net(net.draw_latent(10_000, random)))
        loss = MarginalLoss(_tables_of(big))  # a target that this net meets: the true loss is 0
        small = [big[torch.randint(0, 10_000, (32,), generator=random)] for _ in range(200)]
        crossed = np.array([loss(a, b)[0] for a, b in zip(small[::2], small[1::2], strict=True)])
        squared = np.array([loss(a, a)[0] for a in small])
    assert abs(crossed.mean()) < 5 * crossed.std() / 10
    assert squared.mean() > 20 * abs(crossed.mean())


def _tables_of(probabilities: torch.Tensor) -> MarginalTarget:
    workload = choose_workload(COUNTS, None)
    parts = torch.split(probabilities.double(), list(COUNTS), dim=1)
    tables = [(parts[a].T @ parts[b] / len(probabilities)).numpy().ravel() for a, b in workload.tables]
    return MarginalTarget(workload, np.concatenate(tables), 0.0, 1000.0)


@pytest.fixture(scope="module")
def fitted() -> MarginalNet:
    return fit_marginals(BOOK, toy_target(), SMALL, seed=1)


def test_learning_beats_independent_columns_by_far_through_the_integer_sampler(fitted: MarginalNet) -> None:
    wanted = toy_target()
    model = quantise(fitted, BOOK, Digest(bytes(32)))
    values = Sampler(model, bytes(32), 0).values(0, 20_000)
    pairs = pair_workload(wanted.workload)
    real = pair_tables(wanted.probabilities, wanted.workload)
    made = table_counts(encode_codes(values, BOOK), pairs) / len(values)
    tables = pair_tables_of(pairs)
    baseline = tables.independent(tables.normalised(np.rint(real * 10**9).astype(np.int64))) / 10**9
    distance = np.abs(made - real).sum() / 2 / len(pairs.tables)
    assert distance < 0.2 * np.abs(baseline - real).sum() / 2 / len(pairs.tables)


def test_same_seed_gives_the_same_net_and_another_seed_another() -> None:
    short = MarginalFitSettings(net=SMALL.net, steps=5, batch=16)
    nets = [fit_marginals(BOOK, toy_target(), short, seed=seed) for seed in (1, 1, 2)]
    models = [quantise(net, BOOK, Digest(bytes(32))) for net in nets]
    assert models[0] == models[1] != models[2]


def test_deadline_cuts_the_fit_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr(fitting, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    seen: list[MarginalFitProgress] = []
    endless = MarginalFitSettings(net=SMALL.net, steps=10**6, batch=16)
    fit_marginals(BOOK, toy_target(), endless, seed=0, deadline=60, progress=seen.append)
    assert next(ticks) == 61, "nobody looks at the clock, and nothing is done, after the deadline"
    assert [(progress.step, progress.steps) for progress in seen] == [(1, 10**6), (26, 10**6), (51, 10**6)]


def test_a_diverged_fit_is_an_error_not_a_model() -> None:
    fitter = MarginalFitter(new_net(BOOK, toy_target(), SMALL.net, 0), toy_target(), SMALL, 0)
    with torch.no_grad():
        fitter.net.linears[-1].weight.fill_(torch.nan)
    with pytest.raises(LearningError, match="not finite"):
        fitter.step(0.0)
    with pytest.raises(LearningError, match="not finite"):
        quantise(fitter.net, BOOK, Digest(bytes(32)))


def test_refuses_to_quantise_with_a_foreign_codebook() -> None:
    net = MarginalNet((2, 2), SMALL.net, torch.Generator().manual_seed(0))
    with pytest.raises(LearningError, match="different codes"):
        quantise(net, BOOK, Digest(bytes(32)))


def test_quantised_logits_are_close_to_the_folded_float_ones_and_the_bound_holds(
    fitted: MarginalNet,
) -> None:
    model = decode_model(quantise(fitted, BOOK, Digest(bytes(32))))
    assert isinstance(model, MlpModel)
    assert prove_bound(model) < 2**24
    latent = np.random.default_rng(1).choice(_normal(), (16, 5000)).astype(np.uint8)
    integer = -np.floor(MlpForward(model).costs(latent)) / 64
    x = (latent.astype(np.float64) - 64) / 21
    layers = fitted.folded_layers()
    for weight, bias in layers[:-1]:
        x = np.maximum(weight @ x + bias[:, None], 0)
    exact = layers[-1][0] @ x + layers[-1][1][:, None]
    for c in range(4):
        own = BOOK.column_codes(c)
        p, q = _softmax(exact[own]), _softmax(integer[own])
        assert np.abs(p - q).sum(axis=0).mean() / 2 < 0.02


def test_latents_are_the_integer_generators_own() -> None:
    net = MarginalNet(COUNTS, SMALL.net, torch.Generator().manual_seed(0))
    drawn = net.draw_latent(500, torch.Generator().manual_seed(1)).numpy()
    assert set(np.rint(drawn * 21 + 64).astype(int).ravel()) <= set(_normal().tolist())


def _normal() -> NDArray[np.uint8]:
    from provenance.exact.tables import load_tables

    return load_tables().normal


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=0))
    result: NDArray[np.float64] = weights / weights.sum(axis=0)
    return result
