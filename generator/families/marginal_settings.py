"""What may be set of family "marginal"; decided by the collection. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from generator.families.released_noise import TABLE_KINDS
from generator.families.secure_aggregation import NOISE, SETTING
from generator.families.settings import SettingsReader, Whole, Word
from generator.federation.plan import Settings

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
