"""The node's rounds of family "fedgan". Needs torch.

Local state of a round: the generator's weights after it has learnt from the averaged discriminator, saved
before the discriminator's noisy steps. So a node that is killed in a round repeats only those steps, and its
generator is never lost. The optimisers start anew each round (the discriminator's on purpose, see
`learning.gan`), which keeps a round's state down to one vector.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np
import torch

from generator.errors import TaskRefused
from generator.families.marginal_node import initial_seed
from generator.families.marginal_release import read_target, spent_micro
from generator.families.release_noise import Noise
from generator.families.settings import FedGanSettings
from generator.families.steps import STATE, answer_finish, loss_texts, report, round_name
from generator.federation.step import Step
from generator.federation.task import Array, Result, answer, from_fixed, to_fixed
from generator.learning.fit_marginals import MarginalFitSettings, MarginalFitter, new_net
from generator.learning.gan import (
    DiscriminatorSettings,
    FlatState,
    flat_state,
    generator_steps,
    load_flat_state,
    train_discriminator,
)
from generator.learning.nets import NetSettings
from generator.learning.quantise import quantise
from generator.marginals.bins import encode_codes
from generator.privacy.accountant import SubsampledGaussianEvent
from provenance.api.tasks import StepResult
from provenance.exact.codebook import Codebook

_STEPS_AT_ONCE = 20


def train_round(step: Step, noise: Noise, settings: FedGanSettings, number: int) -> Result:
    """Generator learns, then the discriminator under DP-SGD; the answer is the discriminator's noisy weights."""
    torch.set_num_threads(step.worker.threads)
    codebook, fitter = _generator(step, noise, settings, number - 1)
    losses: dict[str, float] = {}
    saved = step.order.load_arrays(step.task.name)
    if saved is None:
        loss = _learn(step, fitter, settings, number - 1)
        if not math.isnan(loss):
            losses["marginal"] = loss
        step.order.save_arrays(step.task.name, {"net": flat_state(fitter.net)})
    else:
        load_flat_state(fitter.net, saved["net"])
    report(step, number, settings.rounds, losses)
    codes = encode_codes(step.state.training, codebook)
    event = step.record(step.task.name).event
    multiplier = event.noise_multiplier if isinstance(event, SubsampledGaussianEvent) else 0.0
    trained = train_discriminator(
        codes,
        fitter.net,
        _sent_state(step),
        _discriminator(step, settings, multiplier),
        steps=settings.discriminator_steps,
        seed=initial_seed(step) + number,
        units=step.state.training_units,
    )
    if step.plan.epsilon is None:  # computed on private rows: it leaves only where nothing is promised
        losses["discriminator"] = trained.loss
    _forget(step, number - 2)
    told = StepResult(epsilon_micro=spent_micro(step), losses=loss_texts(losses))
    return answer(step.task, told, {STATE: to_fixed(trained.state, np.int32)})


def finish(step: Step, noise: Noise, settings: FedGanSettings) -> Result:
    """The generator learns from the last average, is averaged over its own steps, quantised and committed."""
    torch.set_num_threads(step.worker.threads)
    codebook, fitter = _generator(step, noise, settings, settings.rounds)
    loss = _learn(step, fitter, settings, settings.rounds)
    report(step, settings.rounds, settings.rounds, {"marginal": loss})
    model = quantise(fitter.averaged(), codebook, step.plan.schema.digest)
    return answer_finish(step, model, {"marginal": loss})


def _generator(
    step: Step, noise: Noise, settings: FedGanSettings, segment: int
) -> tuple[Codebook, MarginalFitter]:
    """The generator as the round before left it; a new one for segment 0."""
    codebook, target = read_target(step, noise)
    net_settings = NetSettings(settings.latent_bytes, (settings.hidden_width,) * settings.hidden_layers)
    net = new_net(codebook, target, net_settings, initial_seed(step))
    if segment > 0:
        before: Mapping[str, Array] | None = step.order.load_arrays(round_name(segment))
        if before is None:
            raise TaskRefused("round-missing", f"{step.task.name} was asked before {round_name(segment)}")
        load_flat_state(net, before["net"])
    fit = MarginalFitSettings(net=net_settings, steps=settings.steps, batch=settings.batch)
    return codebook, MarginalFitter(net, target, fit, initial_seed(step) + segment)


def _learn(step: Step, fitter: MarginalFitter, settings: FedGanSettings, segment: int) -> float:
    """One segment of the generator's steps; segment 0 has no discriminator to learn from yet, and so no steps
    for a generator that learns from nothing else.

    The worker's time limit may cut it short: these steps read no private row.
    """
    if segment == 0 and not settings.marginal_percent:
        return math.nan
    segments = settings.rounds + 1
    steps = max(1, settings.steps // segments)
    turns = step.turns_left_in_round + (segments - segment - 1) * len(step.plan.participants)
    limit = step.worker.share_of_time(turns)
    # The other half of a turn is for the discriminator, whose steps are fixed.
    deadline = math.inf if limit is None else time.monotonic() + limit / 2
    loss, done = math.nan, 0
    while done < steps and (done == 0 or time.monotonic() < deadline):
        now = min(_STEPS_AT_ONCE, steps - done)
        loss = generator_steps(
            fitter,
            _sent_state(step),
            _discriminator(step, settings, 0.0),
            steps=now,
            adversarial=settings.adversarial_percent / 100 if segment > 0 else 0.0,
            marginal=settings.marginal_percent / 100,
            first_fraction=(segment + done / steps) / segments,
            last_fraction=(segment + (done + now) / steps) / segments,
        )
        done += now
    return loss


def _sent_state(step: Step) -> FlatState:
    """The averaged discriminator's weights."""
    return from_fixed(step.array(STATE)).astype(np.float32)


def _discriminator(step: Step, settings: FedGanSettings, noise_multiplier: float) -> DiscriminatorSettings:
    return DiscriminatorSettings(
        sample_rate=settings.sample_rate(step.me.training_rows),
        generated=settings.discriminator_batch,
        noise_multiplier=noise_multiplier,
        hidden=settings.discriminator_width,
        unit_rows=step.plan.schema.unit_rows,
    )


def _forget(step: Step, number: int) -> None:
    if number > 0:
        step.order.drop_arrays(round_name(number))
