"""Whom privacy protects, row by row: each row by itself, or a person with at most so many of them.

Every sensitivity is that of one unit: what one row can change, times `Schema.unit_rows`. Samples are of units too, with
all their rows, because the accountant counts the sampling of whole units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import PrivacyError
from generator.privacy import noise
from provenance.table.persons import Digests, numbered
from provenance.table.schema import Schema


@dataclass(frozen=True)
class Units:
    """The units of `rows` rows: `most` of one at the most. number: int64[rows], the same for rows of one unit;
    None where each row is one. Raises PrivacyError for a unit of more rows."""

    rows: int
    most: int = 1
    number: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.number is None:
            return
        if self.number.shape != (self.rows,):
            raise PrivacyError(f"found units of {self.number.shape} rows for a table of {self.rows}")
        largest = int(np.bincount(self.number).max(initial=0))
        if largest > self.most:
            raise PrivacyError(
                f"found {largest} rows of one person, expected at most {self.most}: keep that many of each before the "
                "table is used (`provenance.table.persons.Rows.used`)"
            )

    @classmethod
    def of(cls, schema: Schema, rows: int, persons: Digests | None) -> Units:
        """The units of a table of `schema`; PrivacyError where the schema names a unit and persons are missing."""
        if schema.unit is None:
            return cls(rows)
        if persons is None:
            raise PrivacyError(
                f"the schema's unit is a person by column {schema.unit.column!r}, and it was not read with the rows: "
                "whose they are is not known"
            )
        return cls(rows, schema.unit.rows, numbered(persons))

    def poisson_sample(self, rate: float) -> noise.Integers:
        """Indices of the rows of a Poisson sample of the units, ascending."""
        if self.number is None:
            return noise.poisson_sample(self.rows, rate)
        picked = np.zeros(int(self.number.max(initial=-1)) + 1, dtype=np.bool_)
        picked[noise.poisson_sample(len(picked), rate)] = True
        return np.flatnonzero(picked[self.number]).astype(np.int64)

    def of_rows(self, chosen: NDArray[np.bool_]) -> Units:
        """Those of some of the rows, bool[rows]."""
        number = None if self.number is None else self.number[chosen]
        return Units(int(chosen.sum()), self.most, number)
