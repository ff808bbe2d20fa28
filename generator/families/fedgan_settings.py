"""What may be set of family "fedgan", and what follows from it alone. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from generator.errors import PlanError
from generator.families.released_noise import TABLE_KINDS
from generator.families.settings import SettingsReader, Whole, Word
from generator.federation.aggregate import METHODS
from generator.federation.plan import Settings

KNOWN: Final[dict[str, Whole | Word]] = {
    "rounds": Whole(6, 1, 1000),
    "discriminatorSteps": Whole(20, 1, 10_000),
    "discriminatorBatch": Whole(128, 1, 65_536),
    "discriminatorWidth": Whole(64, 4, 1024),
    "aggregation": Word(METHODS),
    "tables": Word(TABLE_KINDS),
    "binsPercent": Whole(10, 1, 90),
    "tablesPercent": Whole(60, 1, 90),
    "adversarialPercent": Whole(5, 0, 10_000),
    "marginalPercent": Whole(100, 0, 100),
    "steps": Whole(700, 1, 100_000),
    "batch": Whole(256, 8, 8192),
    "latentBytes": Whole(64, 4, 1024),
    "hiddenWidth": Whole(128, 4, 1024),
    "hiddenLayers": Whole(2, 1, 4),
}


@dataclass(frozen=True, slots=True)
class FedGanSettings:
    """rounds of averaging; discriminator_steps of DP-SGD in each, on discriminator_batch expected rows.

    aggregation: "mean" or "trimmed". tables: as in family "marginal". bins_percent, tables_percent: shares
    of the squared GDP parameter, the rounds get what is left of epsilon. adversarial_percent,
    marginal_percent: weights of the discriminator's loss and of the marginal loss, in 1/100. Without the
    first there are no rounds and the tables get their share; without the second the tables set the first
    biases alone. steps: of the generator in all, spread over the rounds; batch, latent_bytes, hidden_width,
    hidden_layers as in family "marginal".
    """

    rounds: int
    discriminator_steps: int
    discriminator_batch: int
    discriminator_width: int
    aggregation: str
    tables: str
    bins_percent: int
    tables_percent: int
    adversarial_percent: int
    marginal_percent: int
    steps: int
    batch: int
    latent_bytes: int
    hidden_width: int
    hidden_layers: int

    @classmethod
    def parse(cls, settings: Settings) -> FedGanSettings:
        """Read a collection's settings; PlanError says what is wrong."""
        read = SettingsReader("fedgan", KNOWN, settings)
        bins, tables = read.counted_shares(left_for="rounds")
        adversarial, marginal = read.whole("adversarialPercent"), read.whole("marginalPercent")
        if not adversarial and not marginal:
            raise PlanError(
                "adversarialPercent and marginalPercent are both 0: nothing teaches the generator"
            )
        return cls(
            rounds=read.whole("rounds") if adversarial else 0,
            discriminator_steps=read.whole("discriminatorSteps"),
            discriminator_batch=read.whole("discriminatorBatch"),
            discriminator_width=read.whole("discriminatorWidth"),
            aggregation=read.word("aggregation"),
            tables=read.word("tables"),
            bins_percent=bins,
            tables_percent=tables if adversarial else 100 - bins,
            adversarial_percent=adversarial,
            marginal_percent=marginal,
            steps=read.whole("steps"),
            batch=read.whole("batch"),
            latent_bytes=read.whole("latentBytes"),
            hidden_width=read.whole("hiddenWidth"),
            hidden_layers=read.whole("hiddenLayers"),
        )

    def sample_rate(self, training_rows: int) -> float:
        """Poisson rate of a node's rows: the expected batch over its DECLARED training rows, at most 1/2."""
        return min(0.5, self.discriminator_batch / training_rows)


def round_name(number: int) -> str:
    """Step name of round 1, 2, ..."""
    return f"round/{number:04}"
