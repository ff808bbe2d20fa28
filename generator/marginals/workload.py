"""Which tables of counts are released: (column, column, target) for every pair, or pairs where there is no target.

The choice depends on the codebook alone, so it costs no privacy, and every table of it is released in one
Gaussian mechanism: one row adds one to one cell of each table, one unit as many as it has rows. Pairs with the
target, and every two-way table, follow from the three-way ones by summing, which is why they are not released -
unless most three-way tables are smaller than their noise. Then the pairs with the target are released beside
them, by a share of the budget that follows from the plan: a table counted with weight w has noise of 1/w of the
noise of a table of weight 1.

Wide tables: beyond 600 tables or 4 million cells, column i is paired with its neighbours i + 1, i + 2, ...
(around the end) in that order until the next table would exceed the limit; so 300 columns still work, with
about two neighbours each besides the target. A target of more than 32 codes is treated as an ordinary column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError

MAX_TABLES = 600
MAX_CELLS = 4_000_000
MAX_TARGET_CODES = 32


@dataclass(frozen=True)
class Workload:
    """Tables over the codes of columns; cells are flat, table after table, last column fastest.

    weights: of each table in the one Gaussian release; all 1 when left out. unit_rows: the most rows of one
    unit of privacy.
    """

    code_counts: tuple[int, ...]
    tables: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...] = ()
    unit_rows: int = 1

    def __post_init__(self) -> None:
        if not self.weights:
            object.__setattr__(self, "weights", (1.0,) * len(self.tables))
        if len(self.weights) != len(self.tables) or not all(0 < w < math.inf for w in self.weights):
            raise MarginalError(
                f"{len(self.weights)} weights of {len(self.tables)} tables: one above 0 for each"
            )
        for table in self.tables:
            if len(table) not in (2, 3) or len(set(table)) != len(table):
                raise MarginalError(f"table {table} is not over two or three different columns")
            if not all(0 <= column < len(self.code_counts) for column in table):
                raise MarginalError(f"table {table} names a column outside 0..{len(self.code_counts) - 1}")

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Cells of each table."""
        return tuple(math.prod(self.code_counts[column] for column in table) for table in self.tables)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each table in the flat counts, and their length at the end: int64[tables + 1]."""
        return np.cumsum([0, *self.sizes])

    @property
    def cells(self) -> int:
        """Cells of all tables together."""
        return int(self.offsets[-1])

    @property
    def sensitivity(self) -> float:
        """L2 sensitivity of all counts together, each times its table's weight, add/remove one unit: all its
        rows may be in the same cells."""
        return self.unit_rows * math.sqrt(math.fsum(weight**2 for weight in self.weights))

    @cached_property
    def target(self) -> int | None:
        """The third column of the three-way tables; None where all are two-way.

        Raises MarginalError if tables mix targets, or hold a two-way table without the target beside three-way ones.
        """
        thirds = {table[2] for table in self.tables if len(table) == 3}
        if len(thirds) > 1 or (thirds and any(table[-1] not in thirds for table in self.tables)):
            raise MarginalError(
                "the workload mixes targets; expected one target column in all tables, or in none"
            )
        return thirds.pop() if thirds else None


def choose_workload(code_counts: Sequence[int], target: int | None, unit_rows: int = 1) -> Workload:
    """The tables to release for a codebook's code counts; `target` is a column position or None. unit_rows: the
    schema's."""
    counts = tuple(int(count) for count in code_counts)
    if len(counts) < 2:
        raise MarginalError(
            "the schema has one column; the generator learns how columns depend: give two or more"
        )
    if target is not None and (counts[target] > MAX_TARGET_CODES or len(counts) < 3):
        target = None
    columns = [column for column in range(len(counts)) if column != target]
    tables: list[tuple[int, ...]] = []
    cells = 0
    for pair in _pairs_by_distance(columns):
        table = pair if target is None else (*pair, target)
        cells += math.prod(counts[column] for column in table)
        if not tables and cells > MAX_CELLS:
            raise MarginalError(
                f"one table alone has {cells} cells, expected at most {MAX_CELLS}: use fewer codes"
            )
        if tables and (len(tables) == MAX_TABLES or cells > MAX_CELLS):
            break
        tables.append(table)
    return Workload(counts, tuple(sorted(tables)), unit_rows=unit_rows)


def with_target_pairs(workload: Workload, share: float) -> Workload:
    """The workload and, before it, its pairs (column, target), which get this share of the budget.

    Unchanged without a target or for share 0.
    """
    target = workload.target
    if target is None or share == 0:
        return workload
    if not 0 < share < 1:
        raise MarginalError(f"share of the pairs is {share}; expected 0 or more, and below 1")
    columns = sorted({column for table in workload.tables for column in table} - {target})
    weight = math.sqrt(share / (1 - share) * len(workload.tables) / len(columns))
    pairs = tuple((column, target) for column in columns)
    weights = (weight,) * len(pairs) + workload.weights
    return Workload(workload.code_counts, pairs + workload.tables, weights, workload.unit_rows)


def expected_error(workload: Workload, noise_std: float, rows: float) -> float:
    """Mean total variation distance that noise of `noise_std` a cell alone puts between a released table and
    the table of so many rows: what tells, before any row is read, how much of the tables will be noise."""
    return math.sqrt(2 / math.pi) * noise_std * workload.cells / (2 * rows * len(workload.tables))


def pair_workload(workload: Workload) -> Workload:
    """The two-way tables that follow from a workload's tables: what is scored and compared."""
    pairs = {
        (min(a, b), max(a, b))
        for table in workload.tables
        for a, b in ((table[i], table[j]) for i in range(len(table)) for j in range(i + 1, len(table)))
    }
    return Workload(workload.code_counts, tuple(sorted(pairs)), unit_rows=workload.unit_rows)


def _pairs_by_distance(columns: list[int]) -> list[tuple[int, int]]:
    """All pairs, nearest neighbours (around the end) first, each once."""
    n = len(columns)
    pairs: dict[tuple[int, int], None] = {}
    for distance in range(1, n // 2 + 1):
        for i in range(n):
            a, b = columns[i], columns[(i + distance) % n]
            pairs[(min(a, b), max(a, b))] = None
    return list(pairs)
