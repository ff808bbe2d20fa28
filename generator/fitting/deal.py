"""Which contributor of a fit gets which rows, and how many rows each declares in public."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import FitError


@dataclass(frozen=True, slots=True)
class Deal:
    """owners int64[rows]: who gets each row. declared: the rows that each contributor states in public."""

    owners: NDArray[np.int64]
    declared: tuple[int, ...]


def drawn_deal(rows: int, contributors: int, declared_rows: int | None) -> Deal:
    """Independent draws of the system's entropy, every contributor at least one row, all declaring equal parts.

    A permutation cut into equal pieces would move other rows when one is added, which the accounting of each
    part alone would not cover.
    """
    if rows < contributors:
        raise FitError(f"{rows} rows cannot be dealt to {contributors} contributors")
    random = np.random.default_rng(secrets.randbits(128))
    owners = random.integers(0, contributors, rows)
    while len(np.unique(owners)) < contributors:
        owners = random.integers(0, contributors, rows)
    each = max(1, (rows if declared_rows is None else declared_rows) // contributors)
    return Deal(owners.astype(np.int64), (each,) * contributors)


def given_deal(owners: NDArray[np.int64], rows: int, contributors: int, declared_rows: int | None) -> Deal:
    """The caller's deal, each contributor declaring the rows that it got."""
    if declared_rows is not None:
        raise FitError(
            "declared_rows says nothing of how given owners' rows are spread: leave one of them out"
        )
    fits = owners.shape == (rows,) and owners.dtype.kind == "i"
    counts = np.bincount(owners) if fits and owners.min(initial=0) >= 0 else np.zeros(0, dtype=np.int64)
    if len(counts) != contributors or not counts.all():
        raise FitError(
            f"owners {owners.dtype}{list(owners.shape)} do not name each of {contributors} contributors for some "
            f"of {rows} rows: give an integer from 0 for every row"
        )
    return Deal(owners, tuple(counts.tolist()))
