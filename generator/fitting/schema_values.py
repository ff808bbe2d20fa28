"""What a fit under epsilon refuses of a schema that was read off rows without privacy."""

from __future__ import annotations

import numpy as np

from generator.errors import FitError
from provenance.table.column import Column
from provenance.table.schema import Schema
from provenance.table.schema_infer import rows_of_persons
from provenance.table.table_csv import CompactValues

_SHOWN = 6


def require_vouched(schema: Schema, epsilon: float) -> None:
    """FitError for fields that were read off rows without privacy in a column that nobody vouches for."""
    fields = schema.unvouched_fields()
    if not fields:
        return
    names = ", ".join(f"{column}.{name}" for column, name in fields[:_SHOWN])
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    raise FitError(
        f"the schema took {names}{more} from the data, which epsilon {epsilon:g} does not cover: infer it under "
        "privacy (`tessera schema infer --epsilon`); or put public knowledge in their place and remove the 'inferred' "
        'marks; or vouch for a column by a member like "public": "list of the ministry" in the schema file'
    )


def require_held_values(values: CompactValues, schema: Schema, least_rows: int) -> None:
    """FitError for a column of an inferred draft whose categories or bounds are few rows' (where the schema
    names a unit: maybe few persons'), and nobody vouches for it.

    It holds for columns whose `inferred` marks were removed as well; a schema that never was a draft is its writer's
    word. Columns stored through a constraint are not looked at: who writes the constraint vouches for it. values:
    stored values [rows, columns].
    """
    if schema.least_rows is None:
        return
    if schema.unit is not None:
        least_rows = rows_of_persons(least_rows, schema.unit)
    for column in schema.cell_columns:
        place = schema.stored_place(column.name)
        if not isinstance(column, Column) or place is None or column.remarks.public is not None:
            continue
        if column.is_boolean or column.remarks.released:
            continue
        stored = values[:, place]
        if column.is_numeric:
            held = [int(np.count_nonzero(stored == end)) for end in sorted({0, column.grid_size - 1})]
            what = "of its bounds"
        else:
            held = np.bincount(stored, minlength=column.cardinality)[: column.grid_size].tolist()
            what = "of its categories"
        few = sum(0 < count < least_rows for count in held)
        if few:
            raise FitError(
                f"column {column.name!r}: found {few} {what} held by fewer than {least_rows} rows, in a schema that "
                'was inferred from rows; expected public knowledge: change them, add "public" with a reason to the '
                "column, or infer the schema under privacy (`tessera schema infer --epsilon`)"
            )
