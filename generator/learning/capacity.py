"""How many codes a net's columns may have: what the size class leaves, and which of them are ordered."""

from __future__ import annotations

from generator.marginals.code_limits import category_codes, quantile_bins
from provenance.exact.codebook import Codebook
from provenance.exact.size_class import MAX_PROVABLE_BYTES, MAX_PROVABLE_MULTIPLICATIONS
from provenance.table.schema import Schema

_MOST_BINS = 64
_ROWS_A_BIN = 100
_HEADER_BYTES = 400
_CODE_BYTES, _COLUMN_BYTES = 13, 10
_BIAS_BYTES, _NEURON_BYTES = 4, 5
_BEYOND_QUANTILES = 1.1


def number_bins(schema: Schema, rows: int, width: int, neurons: int) -> int:
    """Quantile bins a number gets where rows are exact counts: finer than under noise, one per hundred rows,
    as long as the model stays in the size class that a chain transaction can refute.
    """
    columns = len(schema.columns)
    usual = quantile_bins(columns)
    fixed = columns * (_COLUMN_BYTES + _BIAS_BYTES * width + neurons * (width + _NEURON_BYTES))
    by_bytes = (MAX_PROVABLE_BYTES - _HEADER_BYTES - fixed) // (width + neurons + _CODE_BYTES)
    by_products = MAX_PROVABLE_MULTIPLICATIONS // neurons - columns * width
    free = min(by_bytes, by_products)
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
