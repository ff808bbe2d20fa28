"""The conditions options of `tessera sample` and `tessera request`: to a conditions document, and
back to words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.table.conditions import Conditions
    from provenance.table.schema import Schema

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ConditionOptions:
    """What was typed. where: conditions on all rows. balance: a column whose values get as many rows each.
    counts: `CONDITION:N`. document: a conditions document instead of all these."""

    where: tuple[str, ...] = ()
    balance: str | None = None
    counts: tuple[str, ...] = ()
    document: Path | None = None

    @property
    def stated(self) -> bool:
        """Whether anything was asked."""
        return bool(self.where or self.balance or self.counts or self.document)

    def conditions(self, schema: Schema, rows: int | None) -> Conditions | None:
        """The document for a request of `rows` rows (None: as many as the counts or the document say); None
        if nothing was asked. Raises UsageError or ConditionError."""
        from provenance.table import conditions_text

        if (self.balance and self.counts) or (self.document and (self.where or self.balance or self.counts)):
            raise UsageError(
                "found balance=, count= and conditions= together, expected one of them (where= may stand beside "
                "balance= and count=)"
            )
        if self.document is not None:
            return _read(self.document, schema)
        if self.counts:
            asked = conditions_text.counted_conditions(schema, self.counts, self.where)
            if rows not in (None, asked.rows):
                raise UsageError(
                    f"rows= says {rows:,}, the counts add up to {asked.rows:,}: leave rows= out, or count the rest"
                )
            return asked
        if not self.stated:
            return None
        if rows is None:
            raise UsageError("rows= is missing: say how many rows")
        if self.balance:
            return conditions_text.balanced_conditions(schema, rows, self.balance, self.where)
        return conditions_text.conditions_on_all(schema, rows, self.where)


def segment_lines(conditions: Conditions, counts: list[int]) -> list[str]:
    """How many rows each segment got, in words."""
    lines = [
        f"{count:,} rows with {conditions.describe(number)}"
        for number, count in enumerate(counts)
        if count and number < _SHOWN
    ]
    more = sum(counts[_SHOWN:])
    return [*lines, f"{more:,} rows of {len(counts) - _SHOWN} more kinds"] if more else lines


def _read(path: Path, schema: Schema) -> Conditions:
    from provenance import canonical
    from provenance.table.conditions import Conditions

    return Conditions.parse(canonical.decode(path.read_bytes()), schema, str(path))
