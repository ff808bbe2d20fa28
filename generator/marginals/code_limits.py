"""How many codes a column may have, and so which columns need counts before they have any.

Decided by the schema alone. A column whose values all get a code of their own is not counted in the first
release: what is not asked spends nothing, and the columns that are asked get its share.
"""

from __future__ import annotations

from provenance.table.column import Column


def quantile_bins(columns: int) -> int:
    """Quantile bins a number gets in a table of so many columns."""
    return max(6, min(24, 2048 // columns))


def category_codes(columns: int) -> int:
    """Codes that a category column may have in a table of so many columns."""
    return max(16, min(128, 4096 // columns))


def needs_bins(column: Column, columns: int) -> bool:
    """Whether codes of this column of a table of so many columns depend on how its values are distributed."""
    return column.grid_size > (quantile_bins(columns) if column.is_numeric else category_codes(columns))
