"""Family "fedgan": local GANs whose discriminators are averaged under DP-SGD; the average teaches all generators.

Rounds: bins, tables (as in family "marginal"), then round/0001 .. round/R, then finish. In round r each node
lets its generator learn from the averaged discriminator of round r - 1 beside its marginal loss (in round 1
from the marginal loss alone), trains the discriminator some DP-SGD steps on its rows against its own
generator, and sends the weights. The coordinator averages the changes (FedAvg, or a trimmed mean), leaving
implausible ones out by name. In "finish" the generator learns from the last average and is quantised.
Generators never leave their nodes before that.

After FedGAN (Rasouli et al. 2020, arXiv:2006.07228) with many discriminator steps per round (Bie et al. 2023). Every
step's noise follows from the plan before the first one is made; batches and noise come from the operating system.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from generator.errors import PlanError
from generator.families.marginal_release import answer_bins, answer_tables, release_marginals
from generator.families.release_noise import BINS, TABLES, Noise, noise_of, sgd_noise
from generator.families.settings import FedGanSettings
from generator.families.steps import STATE, round_name
from generator.federation.aggregate import Flagged, Vector, combine
from generator.federation.coordinator import Program, ProgramEnd, Round
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Array, Result, from_fixed, to_fixed
from generator.privacy.accountant import PrivacyEvent, SubsampledGaussianEvent
from generator.privacy.release import Release
from provenance.api.tasks import FINISH
from provenance.values import Address, Digest


class FedGanFamily:
    """See the module; the methods are those of `families.family.Family`."""

    name = "fedgan"

    def check(self, plan: TrainingPlan) -> None:
        """Settings and budget; PlanError says what is wrong."""
        _noise(plan, FedGanSettings.parse(plan.settings))

    def rounds(self, plan: TrainingPlan) -> int:
        """bins, tables, the rounds, finish."""
        return FedGanSettings.parse(plan.settings).rounds + 3

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:
        """Two Gaussian releases, then one DP-SGD release a round whose noise suits this node's sampling rate."""
        settings = FedGanSettings.parse(plan.settings)
        first = _noise(plan, settings).releases(plan)
        event: PrivacyEvent | None = None
        if plan.epsilon is not None and settings.rounds:
            rate = settings.sample_rate(plan.participant(contributor).training_rows)
            steps = settings.discriminator_steps
            others = tuple(release.event for release in first if release.event is not None)
            noise = sgd_noise(plan.epsilon, plan.delta, rate, steps * settings.rounds, others)
            event = SubsampledGaussianEvent(noise, rate, steps)
        return (*first, *(Release(round_name(r + 1), event) for r in range(settings.rounds)))

    def table_noise(self, plan: TrainingPlan) -> float:
        """Fixed by the plan's budget and the share that the tables get."""
        return _noise(plan, FedGanSettings.parse(plan.settings)).tables

    def needs_holdout(self, plan: TrainingPlan) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def program(self, plan: TrainingPlan) -> Program:
        """The coordinator's side."""
        settings = FedGanSettings.parse(plan.settings)
        marginals = yield from release_marginals(plan, _noise(plan, settings))
        state = initial_state(marginals.codebook.codes, settings.discriminator_width, plan.order)
        weights = {p.contributor: float(p.training_rows) for p in plan.participants}
        flagged = list(marginals.flagged)
        for number in range(1, settings.rounds + 1):
            name = round_name(number)
            sent = to_fixed(state, np.int32)
            results = yield Round(name, {**marginals.arrays(), STATE: sent})
            start = from_fixed(sent)
            state, left_out = combine(
                start,
                {result.node: _state_of(result) for result in results},
                weights,
                step=name,
                method=settings.aggregation,
            )
            flagged += left_out
        shared: dict[str, Array] = {**marginals.arrays(), STATE: to_fixed(state, np.int32)}
        yield Round(FINISH, shared)
        return ProgramEnd(shared, marginals.references(plan), _once(flagged))

    def handle(self, step: Step) -> Result:
        """The node's side."""
        settings = FedGanSettings.parse(step.plan.settings)
        noise = _noise(step.plan, settings)
        if step.task.name == BINS:
            return answer_bins(step, noise)
        if step.task.name == TABLES:
            return answer_tables(step, noise)
        from generator.families import fedgan_node

        if step.task.name == FINISH:
            return fedgan_node.finish(step, noise, settings)
        for number in range(1, settings.rounds + 1):
            if step.task.name == round_name(number):
                return fedgan_node.train_round(step, noise, settings, number)
        raise PlanError(f"family fedgan has no step {step.task.name!r} in a plan of {settings.rounds} rounds")


def initial_state(codes: int, width: int, order: Digest) -> Vector:
    """Weights of a discriminator codes -> width -> width -> 1 before the first round, as one vector.

    Uniform in +-1/sqrt(inputs), layer by layer weights then biases; from the order's digest, so that a
    coordinator that runs again begins alike. Nothing private enters.
    """
    random = np.random.Generator(np.random.Philox(key=int.from_bytes(order[:16], "big")))
    widths = [codes, width, width, 1]
    parts: list[NDArray[np.float64]] = []
    for inputs, outputs in pairwise(widths):
        bound = 1 / math.sqrt(inputs)
        parts.append(random.uniform(-bound, bound, outputs * inputs + outputs))
    return np.concatenate(parts)


def _noise(plan: TrainingPlan, settings: FedGanSettings) -> Noise:
    return noise_of(plan, settings.bins_percent, settings.tables_percent)


def _state_of(result: Result) -> Vector:
    """A node's weights; none for what are no weights, which `combine` flags."""
    sent = result.arrays.get(STATE, np.empty(0))
    return from_fixed(sent).reshape(-1) if sent.dtype == np.int32 else np.empty(0)


def _once(flagged: list[Flagged]) -> tuple[Flagged, ...]:
    return tuple(dict.fromkeys(flagged))
