"""The constraint `combination`: some columns take together only the rows of a list.

The columns become one stored category, the number of the row in the list, so that what is learnt and sampled
cannot hold a combination that is not listed. A missing cell is a member like any other value (null).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import JsonValue
from provenance.errors import SchemaError, TableError
from provenance.table.column import Column, category_index, cell_text, cell_value
from provenance.table.grid import CATEGORY_LIMIT
from provenance.table.schema_words import no_extra

KIND = "combination"
Values = NDArray[np.int64]


@dataclass(frozen=True)
class Combination:
    """The listed rows, as values of the member columns."""

    members: tuple[Column, ...]
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def parse(cls, document: Mapping[str, object], columns: tuple[Column, ...], place: str) -> Combination:
        """The constraint of a JSON object whose `columns` were looked up already. Raises SchemaError."""
        no_extra(document, {"kind", "columns", "rows"}, place)
        raw = document.get("rows")
        if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= CATEGORY_LIMIT:
            raise SchemaError(
                f"{place}, field 'rows': expected a list of 1 to {CATEGORY_LIMIT:,} combinations"
            )
        known = [category_index(column) for column in columns]
        rows = tuple(_parse_row(row, columns, known, f"{place}, row {i + 1}") for i, row in enumerate(raw))
        seen: dict[tuple[int, ...], int] = {}
        for i, row in enumerate(rows):
            if row in seen:
                raise SchemaError(f"{place}, row {i + 1}: it stands in row {seen[row] + 1} too; remove one")
            seen[row] = i
        return cls(columns, rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The member columns."""
        return tuple(column.name for column in self.members)

    def describe(self) -> str:
        """The constraint in words."""
        return f"{', '.join(self.names)}: one of {len(self.rows):,} combinations"

    def document(self) -> dict[str, JsonValue]:
        """The constraint as it stands in the canonical document."""
        rows: list[JsonValue] = [
            [
                None if value == column.missing_index else column.plain_text(value)
                for column, value in zip(self.members, row, strict=True)
            ]
            for row in self.rows
        ]
        return {"kind": KIND, "columns": list(self.names), "rows": rows}

    @cached_property
    def stored(self) -> Column:
        """The stored column: one category a listed row."""
        labels = tuple(
            " | ".join(cell_text(column, value) for column, value in zip(self.members, row, strict=True))
            for row in self.rows
        )
        return Column(" + ".join(self.names), None, labels, False, False, "")

    @cached_property
    def table(self) -> Values:
        """int64[listed rows, members]."""
        return np.array(self.rows, dtype=np.int64)

    def encode(self, cells: Sequence[Values]) -> Values:
        """The number of each row in the list, -1 where it is not listed. cells: int64[n] a member."""
        found = np.zeros(len(cells[0]), dtype=np.int64)
        listed = np.zeros(len(self.table), dtype=np.int64)
        for own, column in zip(cells, self.table.T, strict=True):
            values, rank = np.unique(column, return_inverse=True)
            place = np.minimum(np.searchsorted(values, own), len(values) - 1)
            joined = np.where((values[place] == own) & (found >= 0), found * len(values) + place, -1)
            prefixes, listed = np.unique(listed * len(values) + rank, return_inverse=True)
            place = np.minimum(np.searchsorted(prefixes, joined), len(prefixes) - 1)
            found = np.where(prefixes[place] == joined, place, -1)
        return np.where(found >= 0, np.argsort(listed)[found], -1)

    def nearest(self, cells: Sequence[Values]) -> Values:
        """As `encode`, but a row that is not listed becomes the first one that agrees in the most members."""
        codes = self.encode(cells)
        bad = np.flatnonzero(codes < 0)
        if len(bad):
            different, inverse = np.unique(
                np.stack([own[bad] for own in cells], axis=1), axis=0, return_inverse=True
            )
            agreeing = [int(np.argmax((self.table == row).sum(axis=1))) for row in different]
            codes[bad] = np.array(agreeing, dtype=np.int64)[inverse.reshape(-1)]
        return codes

    def decode(self, stored: Values) -> list[Values]:
        """int64[n] a member."""
        return [column[stored] for column in self.table.T]


def _parse_row(
    row: object, columns: tuple[Column, ...], known: Sequence[Mapping[str, int]], place: str
) -> tuple[int, ...]:
    if not isinstance(row, list | tuple) or len(row) != len(columns):
        raise SchemaError(f"{place}: found {row!r:.80}, expected a list of {len(columns)} cells")
    return tuple(
        _parse_cell(cell, column, index_of, place)
        for cell, column, index_of in zip(row, columns, known, strict=True)
    )


def _parse_cell(cell: object, column: Column, index_of: Mapping[str, int], place: str) -> int:
    if cell is None:
        if column.missing_index is None:
            raise SchemaError(f"{place}: found null, but column {column.name!r} is not nullable")
        return column.missing_index
    text = str(cell).lower() if isinstance(cell, bool) else cell
    if isinstance(text, int | Decimal):
        text = str(text)
    if not isinstance(text, str):
        raise SchemaError(f"{place}, column {column.name!r}: found {cell!r:.80}, expected text, or null")
    try:
        return cell_value(column, text, index_of=index_of)
    except TableError as error:
        raise SchemaError(
            f"{place}, column {column.name!r}: found {text!r:.80}, {error}; correct the row or the column"
        ) from error
