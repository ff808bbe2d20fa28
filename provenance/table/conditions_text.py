"""Conditions as people state them: texts like `age=30..40` and `income=>50K`, to a conditions document.

A text names a column of the table and what its cells may be, with alternatives after `|`; see
`provenance.table.choices` for a single one. The operators may stand by themselves: `age>=30`. Several texts about one
column must all hold. Which rows: of one condition all; of a balance as many of each class; of counts exactly so many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from provenance.errors import ConditionError
from provenance.table.choices import stored_choices
from provenance.table.column import Column, cell_text
from provenance.table.conditions import Conditions, Ranges, Segment, merged
from provenance.table.schema import Schema

ALTERNATIVE: Final = "|"
AND: Final = " & "
MAX_CLASSES: Final = 1000
_SIGNS: Final = ("=", ">=", "<=", ">", "<")

Allowed = dict[int, Ranges]


def conditions_on_all(schema: Schema, rows: int, where: Sequence[str]) -> Conditions:
    """`rows` rows that all meet every text. Raises ConditionError."""
    return Conditions(schema, (Segment(rows, _allowed(schema, where)),))


def balanced_conditions(schema: Schema, rows: int, column: str, where: Sequence[str]) -> Conditions:
    """Rows that meet `where`, as many for each value of `column` that `where` leaves; what does not divide
    goes to the first values, one row each. Missing cells are no class. Raises ConditionError."""
    common = _allowed(schema, where)
    classes, left_out = [], None
    for text in _classes(schema, column):
        try:
            classes.append(_both(common, _allowed(schema, [f"{column}={text}"]), schema))
        except ConditionError as error:
            left_out = error  # by `where` or by the schema's combinations
    if not classes and left_out is not None:
        raise left_out
    if len(classes) > rows:
        raise ConditionError(
            f"balance on {column!r}: found {len(classes)} classes for {rows} rows, expected a row for each; ask "
            "for more rows"
        )
    each, rest = divmod(rows, len(classes))
    return Conditions(schema, tuple(Segment(each + (i < rest), allowed) for i, allowed in enumerate(classes)))


def counted_conditions(schema: Schema, counts: Sequence[str], where: Sequence[str]) -> Conditions:
    """For each text `CONDITION:N` exactly N rows that meet it and `where`; CONDITION may join several with
    ` & `. Raises ConditionError."""
    common = _allowed(schema, where)
    segments = []
    for text in counts:
        condition, _, number = text.rpartition(":")
        if not condition or not number.strip().isdecimal() or int(number) < 1:
            raise ConditionError(
                f"count {text!r}: expected a condition, a colon and a number of rows, like 'income=>50K:500'"
            )
        allowed = _both(common, _allowed(schema, condition.split(AND)), schema)
        segments.append(Segment(int(number), allowed))
    return Conditions(schema, tuple(segments))


def _allowed(schema: Schema, where: Sequence[str]) -> Allowed:
    allowed: Allowed = {}
    for text in where:
        column, values = _column_and_values(schema, text.strip())
        found: dict[int, list[tuple[int, int]]] = {}
        for alternative in _alternatives(schema, column, values):
            place, ranges = stored_choices(schema, column, alternative)
            found.setdefault(place, []).extend((low, end - 1) for low, end in ranges)
        allowed = _both(allowed, {place: merged(ranges) for place, ranges in found.items()}, schema)
    full = [c for c, ranges in allowed.items() if ranges == ((0, schema.columns[c].cardinality - 1),)]
    return {column: ranges for column, ranges in allowed.items() if column not in full}


def _column_and_values(schema: Schema, text: str) -> tuple[str, str]:
    """The longest column name that the text begins with, and what is said of it."""
    for name in sorted(schema.cell_names, key=len, reverse=True):
        rest = text.removeprefix(name).lstrip() if text.startswith(name) else ""
        if rest.startswith(_SIGNS):
            return name, rest.removeprefix("=").strip() if rest.startswith("=") else rest
    raise ConditionError(
        f"condition {text!r}: expected a column and its values, like 'age=30..40' or 'income=>50K'; the columns are "
        f"{', '.join(schema.cell_names):.300}"
    )


def _alternatives(schema: Schema, column: str, text: str) -> list[str]:
    owner = schema.cell_columns[schema.cell_names.index(column)]
    if isinstance(owner, Column) and text in owner.categories:
        return [text]
    return text.split(ALTERNATIVE)


def _both(first: Allowed, second: Allowed, schema: Schema) -> Allowed:
    """What both allow. Raises ConditionError if they leave a column no value."""
    result = dict(first)
    for column, ranges in second.items():
        if column in result:
            ranges = tuple(
                (max(a, low), min(b, high))
                for low, high in result[column]
                for a, b in ranges
                if max(a, low) <= min(b, high)
            )
            if not ranges:
                raise ConditionError(
                    f"the conditions on {schema.columns[column].name!r} leave no value; drop or widen one"
                )
        result[column] = ranges
    return result


def _classes(schema: Schema, column: str) -> list[str]:
    if column not in schema.cell_names:
        raise ConditionError(
            f"balance on {column!r}: the columns are {', '.join(schema.cell_names):.300}; choose one"
        )
    owner = schema.cell_columns[schema.cell_names.index(column)]
    if not isinstance(owner, Column) or owner.grid_size > MAX_CLASSES:
        raise ConditionError(
            f"balance on {column!r}: expected a column of at most {MAX_CLASSES:,} values; state counts of ranges "
            "instead, like 'age=30..40:500'"
        )
    return [cell_text(owner, value) for value in range(owner.grid_size)]
