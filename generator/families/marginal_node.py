"""The node's last step of family "marginal": fit the blended target and quantise. Needs torch."""

from __future__ import annotations

import secrets
import time

import torch

from generator.families.finish import answer_finish, report
from generator.families.marginal_settings import MarginalSettings
from generator.families.released import keep_reference, read_target
from generator.families.released_noise import Noise
from generator.federation.step import Step
from generator.federation.task import Result
from generator.learning.fit_marginals import MarginalFitProgress, MarginalFitSettings, fit_marginals
from generator.learning.nets import NetSettings
from generator.learning.quantise import quantise

_AVERAGED_SHARE = 0.125


def finish(step: Step, noise: Noise, settings: MarginalSettings) -> Result:
    """Fit, quantise, store; the result carries the model's digest and the last loss."""
    codebook, target = read_target(step, noise)
    keep_reference(step)
    torch.set_num_threads(step.worker.threads)
    losses: dict[str, float] = {}

    def seen(progress: MarginalFitProgress) -> None:
        losses["marginal"] = progress.loss
        report(step, progress.step, progress.steps, losses)

    limit = step.worker.share_of_time(step.turns_left_in_round)
    net = fit_marginals(
        codebook,
        target,
        MarginalFitSettings(
            net=NetSettings(settings.latent_bytes, (settings.hidden_width,) * settings.hidden_layers),
            steps=settings.steps,
            batch=settings.batch,
            average=1 - 1 / max(_AVERAGED_SHARE * settings.steps, 50),
        ),
        seed=initial_seed(step),
        deadline=None if limit is None else time.monotonic() + limit,
        progress=seen,
    )
    return answer_finish(step, quantise(net, codebook, step.plan.schema.digest), losses)


def initial_seed(step: Step) -> int:
    """Seed of initialisation and latent batches: the worker's and the shard's, or the system's entropy."""
    if step.worker.seed is None:
        return secrets.randbits(31)
    return (step.worker.seed * 1000 + step.plan.shard(step.worker.contributor)) % 2**31
