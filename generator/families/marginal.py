"""Family "marginal": noisy tables of counts, released once, fitted by a small net at each node.

Rounds: bins, tables, finish. Each node fits lambda * own + (1 - lambda) * everybody's released tables, so a small
or noisy table's generator borrows what it cannot know (`marginals.target.blend`); where only the sum of the tables
was seen, each node fits that. All privacy is spent in the
two releases; the fit is post-processing. Method: GEM (Liu et al. 2021, arXiv:2106.07153) on expected instead
of sampled marginals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from generator.errors import PlanError
from generator.families.finish import FINISH
from generator.families.pooled import NOISE, SETTING
from generator.families.released import (
    BINS,
    TABLE_KINDS,
    TABLES,
    Noise,
    answer_bins,
    answer_tables,
    noise_of,
    release_marginals,
)
from generator.families.settings import SettingsReader, Whole, Word
from generator.federation.coordinator import Program, ProgramEnd, Round
from generator.federation.ledger import Release
from generator.federation.plan import Settings, TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Result
from provenance.values import Address

KNOWN: Final[dict[str, Whole | Word]] = {
    "tables": Word(TABLE_KINDS),
    SETTING: NOISE,
    "binsPercent": Whole(10, 1, 90),
    "steps": Whole(800, 1, 100_000),
    "batch": Whole(256, 8, 8192),
    "latentBytes": Whole(64, 4, 1024),
    "hiddenWidth": Whole(128, 4, 1024),
    "hiddenLayers": Whole(2, 1, 4),
}


@dataclass(frozen=True, slots=True)
class MarginalSettings:
    """tables: "target" for (column, column, target), "pairs" for two-way ones. bins_percent: share of the
    privacy budget for the bins, the tables get the rest. steps, batch: of the fit. "noise": see `pooled`.

    latent_bytes, hidden_width, hidden_layers: shape of the net; 64, 128, 2 stay below 80 kB for 400 codes.
    """

    tables: str
    bins_percent: int
    steps: int
    batch: int
    latent_bytes: int
    hidden_width: int
    hidden_layers: int

    @classmethod
    def parse(cls, settings: Settings) -> MarginalSettings:
        """Read a collection's settings; PlanError says what is wrong."""
        read = SettingsReader("marginal", KNOWN, settings)
        return cls(
            read.word("tables"),
            read.whole("binsPercent"),
            read.whole("steps"),
            read.whole("batch"),
            read.whole("latentBytes"),
            read.whole("hiddenWidth"),
            read.whole("hiddenLayers"),
        )


class MarginalFamily:
    """See the module; the methods are those of `families.family.Family`."""

    name = "marginal"

    def check(self, plan: TrainingPlan) -> None:
        """Settings and budget; PlanError says what is wrong."""
        self._noise(plan)

    def rounds(self, plan: TrainingPlan) -> int:  # noqa: ARG002 - the protocol's signature
        """bins, tables, finish."""
        return 3

    def releases(self, plan: TrainingPlan, contributor: Address) -> tuple[Release, ...]:  # noqa: ARG002
        """The two releases; the same noise for every contributor."""
        return self._noise(plan).releases(plan)

    def table_noise(self, plan: TrainingPlan) -> float:
        """Fixed by the plan's budget and the share that the tables get."""
        return self._noise(plan).tables

    def program(self, plan: TrainingPlan) -> Program:
        """The coordinator's side."""
        marginals = yield from release_marginals(plan, self._noise(plan))
        yield Round(FINISH, {}, {**marginals.arrays(), **marginals.lent(plan)})
        return ProgramEnd(marginals.arrays(), marginals.references(plan), marginals.flagged)

    def handle(self, step: Step) -> Result:
        """The node's side."""
        noise = self._noise(step.plan)
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
