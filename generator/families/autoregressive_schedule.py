"""How the net of family "autoregressive" trains: its settings, and the schedule that a plan sets from them.

Everything follows from the plan, so that coordinator and nodes agree without a word. numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from generator.errors import PlanError
from generator.families.secure_aggregation import NOISE, SETTING, uses_secure_aggregation
from generator.families.settings import Names, Rule, SettingsReader, Whole
from generator.federation.plan import Settings, TrainingPlan
from generator.learning.autoregressive import NetShape
from generator.learning.capacity import number_bins, ordered_codes
from generator.learning.draw_order import DrawOrder
from generator.learning.recipes import (
    CHOSEN_BELOW_ROWS,
    Recipe,
    federated_recipe,
    local_recipe,
    private_recipe,
)
from generator.privacy.secure_sum import Ring
from provenance.exact.codebook import Codebook
from provenance.table.schema import Schema

KNOWN: Final[dict[str, Rule]] = {
    "rounds": Whole(160, 1, 2000),
    "roundRows": Whole(3072, 16, 65_536),
    "privateSteps": Whole(200, 1, 2000),
    "privateRows": Whole(4096, 16, 65_536),
    "decayPercent": Whole(0, 0, 10_000),
    "clipPercent": Whole(200, 1, 100_000),
    "binsPercent": Whole(5, 1, 90),
    "tablesPercent": Whole(30, 1, 90),
    "width": Whole(0, 0, 512),
    "neurons": Whole(0, 0, 512),
    "conditionable": Names(),
    SETTING: NOISE,
}
ROUNDS = "rounds"
"""The release of all steps together."""
WEIGHTS = "weights"
WIDTH, _PRIVATE_WIDTH = 64, 32
_ROW_NORM_A_COLUMN = 8.0


@dataclass(frozen=True, slots=True)
class AutoregressiveSettings:
    """rounds, round_rows: at most so many rounds of so many expected rows over all contributors, without
    privacy (small tables get fewer). decay: of the weights, without privacy; None: by the number of rows, and
    for a small table that trains alone by held-out rows.

    private_steps, private_rows, clip: DP-SGD's steps, expected rows over all contributors and clip norm, with
    epsilon. bins_percent, tables_percent: shares of the squared GDP parameter; the steps get what is left.
    conditionable: columns that conditions shall cost nothing on: drawn first, beside the target. "noise": see `pooled`.
    width, neurons: shape of the net; 0: 64 and 32 without epsilon, 32 and 16 with it (noise grows with size).
    """

    rounds: int
    round_rows: int
    decay: float | None
    private_steps: int
    private_rows: int
    clip: float
    bins_percent: int
    tables_percent: int
    width: int
    neurons: int
    conditionable: tuple[str, ...]

    @classmethod
    def parse(cls, settings: Settings) -> AutoregressiveSettings:
        """Read a collection's settings; PlanError says what is wrong."""
        read = SettingsReader("autoregressive", KNOWN, settings)
        bins, tables = read.counted_shares(left_for="steps")
        return cls(
            rounds=read.whole("rounds"),
            round_rows=read.whole("roundRows"),
            decay=read.whole("decayPercent") / 100 or None,
            private_steps=read.whole("privateSteps"),
            private_rows=read.whole("privateRows"),
            clip=read.whole("clipPercent") / 100,
            bins_percent=bins,
            tables_percent=tables,
            width=read.whole("width"),
            neurons=read.whole("neurons"),
            conditionable=read.names("conditionable"),
        )


@dataclass(frozen=True, slots=True)
class TrainingSchedule:
    """How a plan's net trains; decided by the plan alone, the same at the coordinator and every node.

    chooses_decay: whether a lone contributor may, without privacy. is_gated: whether what several have learnt passes
    the gate on memorisation before it is kept. sample_rate: Poisson rate of every row of
    every contributor. clip: norm of a row's gradient, None without privacy. number_bins: quantile bins a number
    gets, None for the number that noisy counts bear. first: columns that are drawn before the others.
    """

    recipe: Recipe
    chooses_decay: bool
    is_gated: bool
    sample_rate: float
    clip: float | None
    width: int
    neurons: int
    number_bins: int | None
    schema: Schema
    first: tuple[int, ...]

    def order(self, codebook: Codebook) -> DrawOrder:
        """The order in which the net draws the columns; its weights are in this order."""
        return DrawOrder.of(codebook, self.first)

    def shape(self, codebook: Codebook) -> NetShape:
        """The net for a codebook's codes."""
        order, ordered = self.order(codebook), ordered_codes(self.schema, codebook)
        counts = order.code_counts(codebook)
        return NetShape(counts, self.width, self.neurons, tuple(ordered[column] for column in order.columns))

    def row_norm(self, columns: int) -> float:
        """What a row's gradient is at most: the clip norm, or a plausible one where nothing is clipped."""
        return self.clip or _ROW_NORM_A_COLUMN * math.sqrt(columns)

    def ring(self, columns: int) -> Ring:
        """Where gradients are summed masked: eight times what the rows of a round can add up to."""
        largest = 8 * self.row_norm(columns) * max(1.0, self.recipe.batch)
        return Ring(32, 31 - math.ceil(math.log2(largest)))


def schedule_of(plan: TrainingPlan, settings: AutoregressiveSettings) -> TrainingSchedule:
    """The schedule of a plan."""
    rows = plan.training_rows
    private = plan.epsilon is not None
    width = settings.width or (_PRIVATE_WIDTH if private else WIDTH)
    if private:
        recipe = private_recipe(settings.private_steps, settings.private_rows)
    elif len(plan.participants) == 1:
        recipe = local_recipe(rows)
    else:
        recipe = federated_recipe(rows, settings.rounds, settings.round_rows)
    rate = min(0.5, recipe.batch / rows)
    if settings.decay is not None and not private:
        recipe = replace(recipe, decay=settings.decay)
    neurons = settings.neurons or width // 2
    bins = None if private else number_bins(plan.schema, rows, width, neurons)
    return TrainingSchedule(
        recipe=recipe,
        chooses_decay=settings.decay is None,
        is_gated=is_gated(plan, settings),
        sample_rate=rate,
        clip=settings.clip if private else None,
        width=width,
        neurons=neurons,
        number_bins=bins,
        schema=plan.schema,
        first=first_columns(plan, settings),
    )


def is_gated(plan: TrainingPlan, settings: AutoregressiveSettings) -> bool:
    """Whether several contributors train small tables without privacy, sums are seen and no decay was asked for."""
    chosen = settings.decay is None and plan.epsilon is None and not uses_secure_aggregation(plan)
    return chosen and len(plan.participants) > 1 and plan.training_rows < CHOSEN_BELOW_ROWS


def first_columns(plan: TrainingPlan, settings: AutoregressiveSettings) -> tuple[int, ...]:
    """Stored positions of the target and the conditionable columns. Raises PlanError for one that is not stored."""
    names = (*settings.conditionable, *(() if plan.schema.target is None else (plan.schema.target,)))
    return tuple(_stored_column(plan.schema, name) for name in names)


def _stored_column(schema: Schema, name: str) -> int:
    """Where a stored column is, or a column of the table that is stored by itself or in a combination."""
    if name in schema.column_names:
        return schema.column_names.index(name)
    for storage in schema.storage:
        for member, cell in enumerate(storage.cells):
            if schema.cell_names[cell] == name:
                return storage.places[min(member, len(storage.places) - 1)]
    raise PlanError(
        f"setting conditionable names {name!r}, expected columns that are stored: "
        f"{', '.join(schema.cell_names):.300}"
    )


def round_name(number: int) -> str:
    """Step name of round 1, 2, ..."""
    return f"round/{number:04}"
