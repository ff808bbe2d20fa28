"""The three bundled tables and how each is split: train, hold-out, and a validation split of the training rows.

Adult keeps its own test rows for every seed. The others are split 70 / 30, stratified by target, another split
for every seed. Settings are chosen on a validation split of training rows only (80 / 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from provenance.table.schema import Schema
from provenance.table.table_csv import read_csv

DATA: Final = Path(__file__).resolve().parents[1] / "data"
ADULT: Final = Path(__file__).resolve().parents[2] / "tessera" / "devnet" / "data"
TRAIN_SHARE: Final = 0.7
VALIDATION_SHARE: Final = 0.2

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to fit and rows that no generator sees, as grid indices."""

    train: Values
    test: Values

    def validation(self, schema: Schema) -> Split:
        """Part of the training rows to fit on, the rest to choose settings by."""
        return stratified(self.train, schema, 1 - VALIDATION_SHARE, seed=9_000)


@dataclass(frozen=True)
class BenchTable:
    """A bundled table. skew: the column by which contributors differ. test_file: None where it is split here."""

    name: str
    skew: str
    train_file: str
    test_file: str | None
    folder: Path = DATA

    @cached_property
    def schema(self) -> Schema:
        """The declared schema."""
        return Schema.load(self.folder / f"{self.name}.schema.json")

    def split(self, seed: int) -> Split:
        """The split of this seed."""
        rows = read_csv(self.folder / self.train_file, self.schema)
        if self.test_file is not None:
            return Split(rows, read_csv(self.folder / self.test_file, self.schema, outside="clip"))
        return stratified(rows, self.schema, TRAIN_SHARE, seed)


TABLES: Final = {
    table.name: table
    for table in (
        BenchTable("adult", "marital-status", "adult_train.csv.gz", "adult_test.csv.gz", ADULT),
        BenchTable("german_credit", "credit", "german_credit.csv.gz", None),
        BenchTable("telescope", "Class", "telescope.csv.gz", None),
    )
}


def stratified(rows: Values, schema: Schema, share: float, seed: int) -> Split:
    """`share` of the rows of every value of the target to train, the rest to test; in random order."""
    random = np.random.default_rng([seed, len(rows)])
    labels = rows[:, schema.target_index or 0]
    train = np.zeros(len(rows), dtype=bool)
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        train[members[: round(share * len(members))]] = True
    return Split(random.permutation(rows[train]), random.permutation(rows[~train]))


def skewed_owners(values: Values, table: BenchTable, contributors: int, alpha: float, seed: int) -> Values:
    """Which contributor holds each row: the shares of every value of the skew column are Dirichlet(alpha).

    Drawn again until everybody holds at least one row in a hundred, and 20.
    """
    random = np.random.default_rng([seed, contributors])
    kinds = values[:, table.schema.column_names.index(table.skew)]
    while True:
        owners = np.empty(len(values), dtype=np.int64)
        for kind in np.unique(kinds):
            members = np.flatnonzero(kinds == kind)
            owners[members] = random.choice(
                contributors, len(members), p=random.dirichlet(np.full(contributors, alpha))
            )
        if np.bincount(owners, minlength=contributors).min() >= max(20, len(values) / 100):
            return owners
