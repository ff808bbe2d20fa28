"""How the net of family "autoregressive" trains: the training schedule that a plan sets.

Everything follows from the plan, so that coordinator and nodes agree without a word. numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from generator.errors import PlanError
from generator.families.secure_aggregation import uses_secure_aggregation
from generator.families.settings import AutoregressiveSettings
from generator.federation.plan import TrainingPlan
from generator.learning.autoregressive import NetShape
from generator.learning.draw_order import DrawOrder
from generator.learning.recipes import (
    CHOSEN_BELOW_ROWS,
    Recipe,
    federated_recipe,
    local_recipe,
    private_recipe,
)
from generator.marginals.code_limits import number_bins, ordered_codes
from generator.privacy.secure_sum import Ring
from provenance.exact.codebook import Codebook
from provenance.table.schema import Schema

ROUNDS = "rounds"
"""The release of all steps together."""
WEIGHTS = "weights"
WIDTH, _PRIVATE_WIDTH = 64, 32
_ROW_NORM_A_COLUMN = 8.0


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
        """Where gradients are summed masked: eight times what the rows of a round can add up to, and as much
        more as the noise is larger for a unit of several rows."""
        largest = 8 * self.row_norm(columns) * max(1.0, self.recipe.batch) * self.schema.unit_rows
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
