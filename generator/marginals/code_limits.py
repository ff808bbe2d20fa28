"""How many codes a column may have, and so which columns need counts before they have any.

What the size class leaves is said here too, and which codes are neighbours in order. Decided by the schema
alone. A column whose values all get a code of their own is not counted in the first release: what is not
asked spends nothing, and the columns that are asked get its share.
"""

from __future__ import annotations

from provenance.exact.codebook import Codebook
from provenance.exact.size_class import MAX_PROVABLE_BYTES, MAX_PROVABLE_CODES, MAX_PROVABLE_MULTIPLICATIONS
from provenance.table.column import Column
from provenance.table.schema import Schema

_MOST_BINS = 64
_ROWS_A_BIN = 100
_HEADER_BYTES = 400
_CODE_BYTES, _COLUMN_BYTES = 13, 10
_BIAS_BYTES, _NEURON_BYTES = 4, 5
_BEYOND_QUANTILES = 1.1


def quantile_bins(columns: int) -> int:
    """Quantile bins a number gets in a table of so many columns."""
    return max(6, min(24, 2048 // columns))


def category_codes(columns: int) -> int:
    """Codes that a category column may have in a table of so many columns."""
    return max(16, min(128, 4096 // columns))


def needs_bins(column: Column, columns: int) -> bool:
    """Whether codes of this column of a table of so many columns depend on how its values are distributed."""
    return column.grid_size > (quantile_bins(columns) if column.is_numeric else category_codes(columns))


def number_bins(schema: Schema, rows: int, width: int, neurons: int) -> int:
    """Quantile bins a number gets where rows are exact counts: finer than under noise, one per hundred rows,
    as long as the model stays in the size class that a chain transaction can refute.
    """
    columns = len(schema.columns)
    usual = quantile_bins(columns)
    fixed = columns * (_COLUMN_BYTES + _BIAS_BYTES * width + neurons * (width + _NEURON_BYTES))
    by_bytes = (MAX_PROVABLE_BYTES - _HEADER_BYTES - fixed) // (width + neurons + _CODE_BYTES)
    by_products = MAX_PROVABLE_MULTIPLICATIONS // neurons - columns * width
    free = min(by_bytes, by_products, MAX_PROVABLE_CODES)
    sizes = [column.cardinality for column in schema.columns if column.is_numeric]
    free -= sum(min(c.cardinality, category_codes(columns)) for c in schema.columns if not c.is_numeric)
    bins = max(usual, min(_MOST_BINS, rows // _ROWS_A_BIN))
    while bins > usual and sum(min(size, _BEYOND_QUANTILES * bins + 2) for size in sizes) > free:
        bins -= 1
    return bins


def ordered_codes(schema: Schema, codebook: Codebook) -> tuple[int, ...]:
    """How many of each column's first codes are neighbours in order: a number's, all but "missing"."""
    return tuple(
        codes - column.nullable if column.is_numeric else 0
        for column, codes in zip(schema.columns, codebook.code_counts, strict=True)
    )
