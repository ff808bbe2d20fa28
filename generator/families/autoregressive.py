"""Family "autoregressive": one likelihood net for all contributors, trained by sums of gradients.

Rounds: bins, tables (as in family "marginal": codebook, first biases, references for the score), then, with
several contributors, round/0001 .. round/R, then finish. In a round every node gets the weights and sends the
sum of the gradients over a Poisson sample of its rows (clipped and noised under epsilon), one byte a number;
the coordinator adds the sums and takes one Adam step. So training is what it would be in one place, however
rows are spread (averaging WEIGHTS is not: it fails under skew). In "finish" every node quantises the same
averaged weights: shards then differ by noise alone, and shares of the pay follow the rows delivered (the score
finds nothing else to tell contributors apart by). A single contributor trains inside its "finish".

All noisy steps of a training are one release, recorded before the first; each node adds the whole noise
alone, or its share of it under secure aggregation (a number is then four bytes). Every number that decides
what is spent follows from the plan. A killed node or coordinator takes up the round it was in, a lone
contributor its training where it was last kept. Under epsilon the last weights are set to the released
univariate marginals, which costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np

from generator.errors import PlanError, PrivacyError, TaskFormatError, UpdatesRejected
from generator.families.autoregressive_schedule import (
    ROUNDS,
    WEIGHTS,
    TrainingSchedule,
    first_columns,
    is_gated,
    schedule_of,
)
from generator.families.codebook_message import codebook_arrays
from generator.families.marginal_release import Marginals, answer_bins, answer_tables, release_marginals
from generator.families.memorisation_gate import GATE, UNTRAINED, between, kept_share, notes_of
from generator.families.release_noise import BINS, TABLES, Noise, noise_of, sgd_noise
from generator.families.secure_aggregation import (
    KEYS,
    answer_keys,
    distributed_noise,
    masks_everything,
    unmasked,
    uses_secure_aggregation,
)
from generator.families.settings import AutoregressiveSettings
from generator.families.steps import round_name
from generator.federation.aggregate import Flagged, Vector, summed
from generator.federation.compress import expanded
from generator.federation.coordinator import Program, ProgramEnd, Round
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Array, Result, to_fixed
from generator.learning.autoregressive import Flat, NetShape, initial_weights
from generator.learning.calibrate import match_univariate
from generator.learning.descent import Descent
from generator.marginals.target import target_from_counts, univariate_marginals
from generator.privacy.accountant import PrivacyEvent, SubsampledGaussianEvent
from generator.privacy.release import Release
from generator.privacy.secure_sum import require_fine, summed_std
from provenance.api.tasks import FINISH
from provenance.values import Address

_ROWS_FACTOR = 3.0
_STDS = 6.0


class AutoregressiveFamily:
    """See the module; the methods are those of `families.family.Family`."""

    name = "autoregressive"

    def check(self, plan: TrainingPlan) -> None:
        """Settings and budget; PlanError says what is wrong."""
        settings = AutoregressiveSettings.parse(plan.settings)
        _noise(plan, settings)
        first_columns(plan, settings)
        if uses_secure_aggregation(plan) and plan.epsilon is not None:
            schedule = schedule_of(plan, settings)
            std = self._step_noise(plan, schedule)
            try:
                require_fine(std, len(plan.participants), schedule.ring(len(plan.schema.columns)))
            except PrivacyError as error:
                raise PlanError(str(error)) from error

    def rounds(self, plan: TrainingPlan) -> int:
        """keys (where all is masked), bins, tables, the rounds (several contributors), the gate (of small tables),
        finish."""
        if len(plan.participants) == 1:
            return 3
        schedule = schedule_of(plan, AutoregressiveSettings.parse(plan.settings))
        return schedule.recipe.steps + 3 + schedule.is_gated + masks_everything(plan)

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:  # noqa: ARG002
        """Two Gaussian releases, one of all steps and the gate's; the same noise for every contributor."""
        settings = AutoregressiveSettings.parse(plan.settings)
        first = _noise(plan, settings).releases(plan)
        event: PrivacyEvent | None = None
        if plan.epsilon is not None:
            schedule = schedule_of(plan, settings)
            others = tuple(release.event for release in first if release.event is not None)
            steps = schedule.recipe.steps
            noise = sgd_noise(plan.epsilon, plan.delta, schedule.sample_rate, steps, others)
            event = SubsampledGaussianEvent(noise, schedule.sample_rate, steps, distributed_noise(plan))
        gate = (Release(GATE, None),) if is_gated(plan, settings) else ()
        return (*first, Release(ROUNDS, event), *gate)

    def table_noise(self, plan: TrainingPlan) -> float:
        """Fixed by the plan's budget and the share that the tables get."""
        return _noise(plan, AutoregressiveSettings.parse(plan.settings)).tables

    def needs_holdout(self, plan: TrainingPlan) -> bool:
        """For the gate."""
        return is_gated(plan, AutoregressiveSettings.parse(plan.settings))

    def program(self, plan: TrainingPlan) -> Program:
        """The coordinator's side."""
        settings = AutoregressiveSettings.parse(plan.settings)
        bins = schedule_of(plan, settings).number_bins
        marginals = yield from release_marginals(plan, _noise(plan, settings), bins)
        flagged = list(marginals.flagged)
        last, notes = marginals.arrays(), list[str]()
        if len(plan.participants) > 1:
            weights = yield from self._federated(plan, settings, marginals, flagged, notes)
            needed = (
                marginals.arrays() if uses_secure_aggregation(plan) else codebook_arrays(marginals.codebook)
            )
            last = {**needed, WEIGHTS: to_fixed(weights)}
        yield Round(FINISH, last)
        return ProgramEnd(marginals.arrays(), marginals.references(plan), tuple(flagged), tuple(notes))

    def handle(self, step: Step) -> Result:
        """The node's side."""
        settings = AutoregressiveSettings.parse(step.plan.settings)
        noise = _noise(step.plan, settings)
        if step.task.name == KEYS and masks_everything(step.plan):
            return answer_keys(step)
        if step.task.name == BINS:
            return answer_bins(step, noise)
        if step.task.name == TABLES:
            return answer_tables(step, noise)
        from generator.families import autoregressive_node

        schedule = schedule_of(step.plan, settings)
        if step.task.name == FINISH:
            return autoregressive_node.finish(step, noise, schedule)
        if step.task.name == GATE and schedule.is_gated:
            return autoregressive_node.answer_gate(step, schedule)
        if len(step.plan.participants) > 1:
            for number in range(1, schedule.recipe.steps + 1):
                if step.task.name == round_name(number):
                    return autoregressive_node.answer_round(step, schedule, number)
        raise PlanError(f"family autoregressive has no step {step.task.name!r} in this plan")

    def _step_noise(self, plan: TrainingPlan, schedule: TrainingSchedule) -> float:
        """Standard deviation of the noise on a step's sum of gradients; 0 without privacy."""
        event = next(
            r.event for r in self.releases(plan, plan.participants[0].contributor) if r.name == ROUNDS
        )
        if event is None or schedule.clip is None:
            return 0.0
        return event.noise_multiplier * plan.schema.unit_rows * schedule.clip

    def _federated(
        self, plan: TrainingPlan, settings: AutoregressiveSettings, marginals: Marginals,
        flagged: list[Flagged], notes: list[str],
    ) -> Generator[Round, list[Result], Flat]:  # fmt: skip
        schedule = schedule_of(plan, settings)
        shape, recipe = schedule.shape(marginals.codebook), schedule.recipe
        target = target_from_counts(
            marginals.everybody, marginals.workload, marginals.std, plan.training_rows
        )
        random = np.random.Generator(np.random.Philox(key=int.from_bytes(plan.order[:16], "big")))
        univariate = univariate_marginals(target)[
            schedule.order(marginals.codebook).codes(marginals.codebook)
        ]
        descent = Descent(shape, initial_weights(shape, univariate, random), recipe)
        untrained = descent.weights.copy()
        std = self._step_noise(plan, schedule)
        codebook = codebook_arrays(marginals.codebook)
        for number in range(1, recipe.steps + 1):
            weights = _halves(descent.weights)
            arrays = {**codebook, WEIGHTS: weights}
            results = yield Round(round_name(number), arrays, marginals.sum_keys)
            if uses_secure_aggregation(plan):
                total, rows = _unmasked(plan, schedule, shape, results, std)
            else:
                total, rows = _combined(plan, schedule, shape, results, std, flagged)
            gradient = (total / (schedule.sample_rate * rows)).astype(np.float32)
            descent.step(gradient, (number - 1) / recipe.steps)
        if schedule.clip is not None:
            return match_univariate(shape, descent.average, univariate, random)
        trained = descent.average
        if not schedule.is_gated:
            return trained
        sent = {UNTRAINED: _halves(untrained), WEIGHTS: _halves(trained)}
        results = yield Round(GATE, {**codebook, **sent}, marginals.sum_keys)
        share = kept_share(plan, results, flagged)
        notes.extend(notes_of(share))
        return between(untrained, trained, share)


def _halves(weights: Flat) -> Array:
    """Weights as they are sent: bits of float16 as uint16."""
    return weights.astype(np.float16).view(np.uint16)


def _combined(
    plan: TrainingPlan, schedule: TrainingSchedule, shape: NetShape, results: Sequence[Result], std: float,
    flagged: list[Flagged],
) -> tuple[Vector, int]:  # fmt: skip
    """(sum of the plausible sums, declared rows behind it). Who was flagged once stays out.

    Plausible: no longer than its rows' gradients can be. A careful attacker stays below that.
    """
    left_out = {flag.contributor for flag in flagged}
    kept: list[Vector] = []
    rows = 0
    for result in results:
        if result.node in left_out:
            continue
        declared = plan.participant(result.node).training_rows
        limit = _longest(schedule, shape, declared, std)
        try:
            total = expanded(result.arrays, shape.size)
        except TaskFormatError as error:
            flagged.append(Flagged(result.node, result.name, str(error)))
            continue
        length = float(np.linalg.norm(total))
        if length > limit:
            reason = f"gradients of length {length:.3g}, at most {limit:.3g} is plausible"
            flagged.append(Flagged(result.node, result.name, reason))
            continue
        kept.append(total)
        rows += declared
    if not kept or 2 * len(kept) < len(results):
        names = "; ".join(f"{f.contributor}: {f.reason}" for f in flagged)
        raise UpdatesRejected(f"{len(kept)} of {len(results)} sums of gradients are plausible ({names})")
    return summed(kept), rows


def _unmasked(
    plan: TrainingPlan, schedule: TrainingSchedule, shape: NetShape, results: Sequence[Result], std: float
) -> tuple[Vector, int]:
    """(sum of all, declared rows behind it); UpdatesRejected for one that no rows give: whose it is was not seen."""
    rows = plan.training_rows
    total = unmasked(results, schedule.ring(shape.columns), shape.size)
    limit = _longest(schedule, shape, rows, summed_std(std, len(results)))
    length = float(np.linalg.norm(total))
    if length > limit:
        raise UpdatesRejected(
            f"the contributors' gradients in {results[0].name} have length {length:.3g} together, at most "
            f"{limit:.3g} is plausible; whose they are was not seen"
        )
    return total, rows


def _longest(schedule: TrainingSchedule, shape: NetShape, declared: int, std: float) -> float:
    """The longest plausible sum of gradients of so many declared rows, noise of `std` a number included."""
    expected, together = declared * schedule.sample_rate, schedule.schema.unit_rows
    rows = expected + _STDS * math.sqrt(together * expected) + together
    longest = schedule.row_norm(shape.columns) * _ROWS_FACTOR * rows
    return longest + 2 * std * math.sqrt(shape.size)


def _noise(plan: TrainingPlan, settings: AutoregressiveSettings) -> Noise:
    return noise_of(plan, settings.bins_percent, settings.tables_percent)
