"""The `constraints` of a schema: rules between columns that hold in every row by the way rows are stored.

Nothing is ever drawn again because a rule was broken. A column is a member of at most one constraint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from provenance.errors import SchemaError
from provenance.table import combination, increasing
from provenance.table.column import Column
from provenance.table.combination import Combination
from provenance.table.increasing import Increasing
from provenance.table.key_column import KeyColumn
from provenance.table.schema_words import members

Constraint: TypeAlias = Combination | Increasing

_KINDS: Mapping[str, type[Combination] | type[Increasing]] = {
    combination.KIND: Combination,
    increasing.KIND: Increasing,
}


def parse_constraints(value: object, columns: Sequence[Column | KeyColumn]) -> tuple[Constraint, ...]:
    """The constraints of a JSON list over the table's columns. Raises SchemaError."""
    if not isinstance(value, list | tuple):
        raise SchemaError(f"schema, field 'constraints': found {type(value).__name__}, expected a list")
    by_name = {column.name: column for column in columns}
    owner: dict[str, int] = {}
    result: list[Constraint] = []
    for number, item in enumerate(value, start=1):
        place = f"constraint {number}"
        document = members(item, place)
        kind = document.get("kind")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise SchemaError(f"{place}, field 'kind': found {kind!r}, expected {' or '.join(_KINDS)}")
        chosen = _chosen(document.get("columns"), by_name, place)
        for column in chosen:
            if column.name in owner:
                raise SchemaError(
                    f"{place}: column {column.name!r} stands in constraint {owner[column.name]} already, "
                    "expected at most one for each column; join the two or drop one"
                )
            owner[column.name] = number
        result.append(_KINDS[kind].parse(document, chosen, place))
    return tuple(result)


def _chosen(value: object, by_name: Mapping[str, Column | KeyColumn], place: str) -> tuple[Column, ...]:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise SchemaError(
            f"{place}, field 'columns': found {value!r:.80}, expected a list of at least two names"
        )
    result: list[Column] = []
    for name in value:
        column = by_name.get(name) if isinstance(name, str) else None
        if column is None:
            raise SchemaError(f"{place}, field 'columns': found {name!r:.80}, expected the name of a column")
        if isinstance(column, KeyColumn):
            raise SchemaError(f"{place}: column {name!r} is a key, which no constraint may hold; take it out")
        if column in result:
            raise SchemaError(f"{place}, field 'columns': {name!r} stands twice; remove one")
        result.append(column)
    return tuple(result)
