"""Row bytes: each value big-endian in its column's byte width, column after column, row after row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.errors import RowRangeError

_BLOCK_ROWS = 8192


def encode_rows(values: NDArray[np.int64], value_widths: Sequence[int]) -> bytes:
    """Row bytes of int64[rows, C]. Raises RowRangeError if a value does not fit its width."""
    if values.ndim != 2 or values.shape[1] != len(value_widths):
        raise RowRangeError(f"found values of shape {values.shape}, expected (rows, {len(value_widths)})")
    result = np.empty((len(values), sum(value_widths)), dtype=np.uint8)
    for start in range(0, len(values), _BLOCK_ROWS):
        columns = np.ascontiguousarray(values[start : start + _BLOCK_ROWS].T)
        limits = np.array([256**size for size in value_widths], dtype=np.int64)
        if (columns.min(axis=1) < 0).any() or (columns.max(axis=1) >= limits).any():
            raise RowRangeError(
                "a value does not fit its column's byte width; the values belong to another schema"
            )
        write_rows(columns, value_widths, result[start : start + _BLOCK_ROWS])
    return result.tobytes()


def write_rows(columns: NDArray[np.int64], value_widths: Sequence[int], out: NDArray[np.uint8]) -> None:
    """Writes int64[C, rows], contiguous and known to fit, into row bytes out[rows, row width]."""
    place = 0
    digits = columns.astype("<i8", copy=False).view(np.uint8).reshape(*columns.shape, 8)
    for column, size in enumerate(value_widths):
        for byte in reversed(range(size)):
            out[:, place] = digits[column, :, byte]
            place += 1


def decode_rows(data: bytes, value_widths: Sequence[int]) -> NDArray[np.int64]:
    """int64[rows, C] of row bytes. Raises RowRangeError if they are not whole rows."""
    row_width = sum(value_widths)
    if len(data) % row_width:
        raise RowRangeError(f"found {len(data)} bytes, expected a multiple of the row width {row_width}")
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, row_width)
    values = np.empty((len(raw), len(value_widths)), dtype=np.int64)
    for start in range(0, len(raw), _BLOCK_ROWS):
        # byte by byte over a block that stays in the cache, lowest bytes last in `raw`, first in an integer
        block = np.ascontiguousarray(raw[start : start + _BLOCK_ROWS].T)
        columns = np.zeros((len(value_widths), block.shape[1]), dtype="<i8")
        digits = columns.view(np.uint8).reshape(*columns.shape, 8)
        place = 0
        for column, size in enumerate(value_widths):
            for byte in reversed(range(size)):
                digits[column, :, byte] = block[place]
                place += 1
        values[start : start + _BLOCK_ROWS] = columns.T
    return values
