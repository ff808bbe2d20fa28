"""In which order the autoregressive net draws columns: those to be conditioned on first, few codes before many.

Nets are trained and kept in draw order; schema, codebook and model bytes' codes stay in the schema's. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.exact.codebook import Codebook


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """columns: the schema column that each step draws."""

    columns: tuple[int, ...]

    @classmethod
    def of(cls, codebook: Codebook, first: Sequence[int]) -> DrawOrder:
        """`first` by number of codes, so that conditions on a later one leave few states before it; then the
        other columns as they stand."""
        counts = codebook.code_counts
        prefix = sorted(set(first), key=lambda column: (counts[column], column))
        rest = (column for column in range(len(counts)) if column not in prefix)
        return cls((*prefix, *rest))

    def code_counts(self, codebook: Codebook) -> tuple[int, ...]:
        """Codes of each step's column."""
        return tuple(codebook.code_counts[column] for column in self.columns)

    def codes(self, codebook: Codebook) -> NDArray[np.intp]:
        """intp[D]: where each code in draw order stands in the codebook."""
        return np.concatenate(
            [np.arange(*codebook.offsets[column : column + 2], dtype=np.intp) for column in self.columns]
        )
