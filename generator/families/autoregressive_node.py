"""The node's rounds of family "autoregressive". Needs torch.

Local state of a round: what rounding to one byte left out, to be added to the next round's sum. It is saved
under the round's name before the result, and the round before it is kept, so a node that is killed makes the
same round again from the same state (of its sums only one ever left). A lone contributor keeps its training
every twenty seconds; of its noisy steps none leaves, so those that a kill loses are made anew.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generator.errors import TaskFormatError, TaskRefused
from generator.families.autoregressive_schedule import ROUNDS, WEIGHTS, TrainingSchedule
from generator.families.codebook_message import read_codebook
from generator.families.marginal_node import initial_seed
from generator.families.marginal_release import keep_reference, read_target, spent_micro
from generator.families.memorisation_gate import FOUND, GATE, SHARES, UNTRAINED, between
from generator.families.release_noise import Noise
from generator.families.secure_aggregation import masked, uses_secure_aggregation
from generator.families.steps import answer_finish, loss_texts, report, round_name
from generator.federation.compress import compressed
from generator.federation.step import Step
from generator.federation.task import Array, Result, answer, from_fixed, to_fixed
from generator.learning.autoregressive import Flat, NetShape, initial_weights
from generator.learning.autoregressive_gradient import AutoregressiveGradient
from generator.learning.calibrate import match_univariate
from generator.learning.dp_sgd import DPSGD
from generator.learning.fit_autoregressive import (
    Checkpoint,
    LikelihoodProgress,
    choose_decay,
    log_likelihood,
    train,
    train_privately,
)
from generator.learning.memorisation import memorisation
from generator.learning.quantise_autoregressive import quantise_autoregressive
from generator.learning.recipes import Recipe
from generator.marginals.bins import encode_codes
from generator.marginals.target import univariate_marginals
from generator.privacy.accountant import SubsampledGaussianEvent
from generator.privacy.secure_sum import noise_share
from provenance.api.tasks import StepResult
from provenance.exact.codebook import Codebook, Codes
from provenance.table.table_csv import CompactValues

_RESIDUAL = "residual"
_KEEP_SECONDS = 20.0
_KEPT, _DECAY = "training", "decay"
_CHOOSING_SHARE = 0.6


def answer_round(step: Step, schedule: TrainingSchedule, number: int) -> Result:
    """The sum of gradients over a Poisson sample of this node's rows at the weights that came."""
    torch.set_num_threads(step.worker.threads)
    codebook = read_codebook(step)
    shape = schedule.shape(codebook)
    dp = _record(step, schedule)
    expected = None if dp is None else max(1.0, schedule.sample_rate * step.me.training_rows)
    net = AutoregressiveGradient(shape, _sent_weights(step, shape), expected)
    rows = step.state.training
    units = step.state.training_units
    picked = units.poisson_sample(schedule.sample_rate) if dp is None else dp.poisson_sample(units)
    codes = net.tensor(_drawn_codes(rows[picked], codebook, schedule))
    if uses_secure_aggregation(step.plan):
        arrays = _masked_sum(step, schedule, net, codes, dp)
        report(step, number, schedule.recipe.steps, {})
        return answer(step.task, StepResult(epsilon_micro=spent_micro(step)), arrays)
    residual = _residual(step, shape, number - 1)
    losses: dict[str, float] = {}
    if dp is None:
        total, loss = net.summed(codes)
        losses |= {"likelihood": loss} if len(picked) else {}
    else:
        total = dp.release(partial(net.clipped_sum, codes), shape.size)
    arrays, left = compressed(total + residual)
    step.order.save_arrays(step.task.name, {_RESIDUAL: left})
    if number > 2:
        step.order.drop_arrays(round_name(number - 2))
    report(step, number, schedule.recipe.steps, losses)
    told = StepResult(epsilon_micro=spent_micro(step), losses=loss_texts(losses))
    return answer(step.task, told, arrays)


def _masked_sum(
    step: Step,
    schedule: TrainingSchedule,
    net: AutoregressiveGradient,
    codes: torch.Tensor,
    dp: DPSGD | None,
) -> dict[str, Array]:
    """A step's sum with this contributor's share of the noise alone, in the ring and masked."""
    ring, size = schedule.ring(net.shape.columns), net.shape.size
    if dp is None:
        own, std = ring.encode(net.summed(codes)[0]), 0.0
    else:
        clipped = dp.clip_and_accumulate(partial(net.clipped_sum, codes), size, -ring.fraction_bits)
        own, std = clipped.astype(ring.dtype), dp.noise_std
    share = own + noise_share(np.full(size, std), len(step.plan.participants), ring)
    return masked(step, share.astype(ring.dtype), ring)


def answer_gate(step: Step, schedule: TrainingSchedule) -> Result:
    """How well nets between the untrained and the trained one tell the rows that trained from those held out."""
    torch.set_num_threads(step.worker.threads)
    step.record(GATE)
    codebook = read_codebook(step)
    shape = schedule.shape(codebook)
    untrained, trained = (_sent_weights(step, shape, name) for name in (UNTRAINED, WEIGHTS))
    parts = [_drawn_codes(rows, codebook, schedule) for rows in (step.state.training, step.state.holdout)]
    areas = np.full(len(SHARES), 0.5)
    if all(map(len, parts)):
        known = [log_likelihood(shape, untrained, codes) for codes in parts]
        for place, share in enumerate(SHARES):
            net = between(untrained, trained, share)
            scores = [
                log_likelihood(shape, net, codes) - own for codes, own in zip(parts, known, strict=True)
            ]
            areas[place] = memorisation(*scores)
    seen, unseen = map(len, parts)
    told = StepResult(
        epsilon_micro=spent_micro(step),
        losses=loss_texts({FOUND: float(areas[0])}),
        seen_rows=seen,
        unseen_rows=unseen,
    )
    return answer(step.task, told, {FOUND: to_fixed(areas)})


def finish(step: Step, noise: Noise, schedule: TrainingSchedule) -> Result:
    """Quantise the shared weights, or train alone first."""
    torch.set_num_threads(step.worker.threads)
    losses: dict[str, float] = {}
    if len(step.plan.participants) > 1:
        codebook = read_codebook(step)
        weights = from_fixed(step.array(WEIGHTS)).astype(np.float32)
    else:
        codebook, weights = _train_alone(step, noise, schedule, losses)
    keep_reference(step)
    report(step, schedule.recipe.steps, schedule.recipe.steps, losses)
    shape, order = schedule.shape(codebook), schedule.order(codebook)
    model = quantise_autoregressive(shape, weights, codebook, order, step.plan.schema.digest)
    result = answer_finish(step, model, losses)
    step.order.drop_arrays(_KEPT)
    return result


def _train_alone(
    step: Step, noise: Noise, schedule: TrainingSchedule, losses: dict[str, float]
) -> tuple[Codebook, Flat]:
    codebook, target = read_target(step, noise)
    shape = schedule.shape(codebook)
    seed = initial_seed(step)
    univariate = univariate_marginals(target)[schedule.order(codebook).codes(codebook)]
    random = np.random.default_rng(seed)
    start = initial_weights(shape, univariate, random)
    dp = _record(step, schedule)
    codes = _drawn_codes(step.state.training, codebook, schedule)
    if dp is not None:
        weights = train_privately(
            codes, shape, start, schedule.recipe, dp, units=step.state.training_units,
            progress=lambda done: report(step, done, schedule.recipe.steps, {}),
            checkpoint=_checkpoint(step, schedule.recipe),
        )  # fmt: skip
        return codebook, match_univariate(shape, weights, univariate, random)

    def seen(progress: LikelihoodProgress) -> None:
        losses["likelihood"] = progress.loss
        report(step, progress.step, progress.steps, losses)

    limit = step.worker.share_of_time(step.turns_left_in_round)
    now = time.monotonic()
    choosing, deadline = (None, None) if limit is None else (now + _CHOOSING_SHARE * limit, now + limit)
    recipe = schedule.recipe
    kept = step.order.load_arrays(_KEPT)
    if kept is not None:
        recipe = replace(recipe, decay=float(kept[_DECAY][0]))
    elif schedule.chooses_decay:
        units = step.state.training_units
        recipe = choose_decay(codes, shape, start, recipe, seed=seed, units=units, deadline=choosing)
    return codebook, train(
        codes, shape, start, recipe, seed=seed, deadline=deadline, progress=seen,
        checkpoint=_checkpoint(step, recipe),
    )  # fmt: skip


def _checkpoint(step: Step, recipe: Recipe) -> Checkpoint:
    """Keeps a lone contributor's training in its own folder, with the decay it goes by."""

    def keep(state: Mapping[str, NDArray[Any]]) -> None:
        step.order.save_arrays(_KEPT, {**state, _DECAY: np.array([recipe.decay])})

    return Checkpoint(step.order.load_arrays(_KEPT), keep, _KEEP_SECONDS)


def _drawn_codes(rows: CompactValues, codebook: Codebook, schedule: TrainingSchedule) -> Codes:
    """Codes [n, C] in draw order of rows [n, C] in the schema's."""
    return encode_codes(rows, codebook)[:, schedule.order(codebook).columns]


def _record(step: Step, schedule: TrainingSchedule) -> DPSGD | None:
    """The training's one release in the ledger, before any noise; None without privacy."""
    event = step.record(ROUNDS).event
    if not isinstance(event, SubsampledGaussianEvent) or schedule.clip is None:
        return None
    expected = event.sample_rate * step.plan.training_rows
    unit_rows = step.plan.schema.unit_rows
    return DPSGD(event.sample_rate, event.noise_multiplier, schedule.clip, expected, unit_rows)


def _sent_weights(step: Step, shape: NetShape, name: str = WEIGHTS) -> Flat:
    sent = step.array(name)
    if sent.dtype != np.uint16 or sent.shape != (shape.size,):
        raise TaskFormatError(
            f"{name} are {sent.dtype}{list(sent.shape)}, expected {shape.size} halves as uint16"
        )
    return sent.view(np.float16).astype(np.float32)


def _residual(step: Step, shape: NetShape, number: int) -> NDArray[np.float32]:
    if number == 0:
        return np.zeros(shape.size, dtype=np.float32)
    saved = step.order.load_arrays(round_name(number))
    if saved is None:
        raise TaskRefused("round-missing", f"{step.task.name} was asked before {round_name(number)}")
    return saved[_RESIDUAL].astype(np.float32)
