"""Family "marginal": noisy tables of counts, released once, fitted by a small net at each node.

Rounds: bins, tables, finish. Each node fits lambda * own + (1 - lambda) * everybody's released tables, so a small
or noisy table's generator takes from others what it cannot know (`marginals.target.shrink_towards`); where only the
sum of the tables was seen, each node fits that. All privacy is spent in the two releases; the fit is
post-processing. Method: GEM (Liu et al. 2021, arXiv:2106.07153) on expected instead of sampled marginals.
"""

from __future__ import annotations

from generator.errors import PlanError
from generator.families.marginal_release import answer_bins, answer_tables, release_marginals
from generator.families.release_noise import BINS, TABLES, Noise, noise_of
from generator.families.secure_aggregation import KEYS, answer_keys, masks_everything
from generator.families.settings import MarginalSettings
from generator.federation.coordinator import Program, ProgramEnd, Round
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Result
from generator.privacy.release import Release
from provenance.api.tasks import FINISH
from provenance.values import Address


class MarginalFamily:
    """See the module; the methods are those of `families.family.Family`."""

    name = "marginal"

    def check(self, plan: TrainingPlan) -> None:
        """Settings and budget; PlanError says what is wrong."""
        self._noise(plan)

    def rounds(self, plan: TrainingPlan) -> int:
        """keys (where all is masked), bins, tables, finish."""
        return 3 + masks_everything(plan)

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:  # noqa: ARG002
        """The two releases; the same noise for every contributor."""
        return self._noise(plan).releases(plan)

    def table_noise(self, plan: TrainingPlan) -> float:
        """Fixed by the plan's budget and the share that the tables get."""
        return self._noise(plan).tables

    def needs_holdout(self, plan: TrainingPlan) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def program(self, plan: TrainingPlan) -> Program:
        """The coordinator's side."""
        marginals = yield from release_marginals(plan, self._noise(plan))
        yield Round(FINISH, {**marginals.arrays(), **marginals.shrinkage_target(plan)})
        return ProgramEnd(marginals.arrays(), marginals.references(plan), marginals.flagged)

    def handle(self, step: Step) -> Result:
        """The node's side."""
        noise = self._noise(step.plan)
        if step.task.name == KEYS and masks_everything(step.plan):
            return answer_keys(step)
        if step.task.name == BINS:
            return answer_bins(step, noise)
        if step.task.name == TABLES:
            return answer_tables(step, noise)
        if step.task.name == FINISH:
            from generator.families.marginal_node import finish

            return finish(step, noise, MarginalSettings.parse(step.plan.settings))
        raise PlanError(f"family marginal has no step {step.task.name!r}")

    def _noise(self, plan: TrainingPlan) -> Noise:
        settings = MarginalSettings.parse(plan.settings)
        return noise_of(plan, settings.bins_percent, 100 - settings.bins_percent)
