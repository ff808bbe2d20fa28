"""Rows of a container: each row number belongs to one part, whose sampler makes it.

Made once for a seed and used for many ranges. Batch size, threads and `forward` change the speed only.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from provenance.errors import RowRangeError
from provenance.exact.conditional import Tally
from provenance.exact.container import Container
from provenance.exact.rows import encode_rows
from provenance.exact.sampler import MakeForward, sampler_for
from provenance.table.conditions import Conditions, RowConditions

Values = NDArray[np.int64]

DEFAULT_BATCH_ROWS = 4096


class ContainerSampler:
    """The rows of one container under one seed. Safe to use from several threads at once.

    Conditions are about the container's row numbers, and a part keeps a row's number, so every part makes the
    rows that are its own under the conditions of their numbers.
    """

    def __init__(
        self,
        container: Container,
        seed: bytes,
        *,
        conditions: Conditions | None = None,
        forward: MakeForward | None = None,
    ) -> None:
        """Raises ConditionError if a part can meet no row of the conditions."""
        asked = None if conditions is None else RowConditions(conditions)
        make = sampler_for(container.spec_version)
        self._container = container
        self._samplers = [
            make(part.model_bytes, seed, index, conditions=asked, forward=forward)
            for index, part in enumerate(container.parts)
        ]

    @property
    def tally(self) -> Tally:
        """Rows and attempts under conditions so far; none without."""
        tallies = [each.tally for each in self._samplers if each.tally is not None]
        return Tally(sum(each.rows for each in tallies), sum(each.attempts for each in tallies))

    def values(
        self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS, *, threads: int = 1
    ) -> Values:
        """int64[rows, C] of rows first_row .. first_row + rows - 1."""
        _check_range(first_row, rows, batch_rows, threads)
        if len(self._samplers) == 1:
            return self._samplers[0].values(first_row, rows, batch_rows, threads=threads)
        result = np.empty((rows, len(self._container.schema.columns)), dtype=np.int64)

        def fill(start: int) -> None:
            count = min(batch_rows, rows - start)
            result[start : start + count] = self._batch(first_row + start, count)

        starts = range(0, rows, batch_rows)
        if threads == 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(fill, starts):
                    pass
        return result

    def row_bytes(
        self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS, *, threads: int = 1
    ) -> bytes:
        """The same rows as row bytes, see `provenance.exact.rows`."""
        _check_range(first_row, rows, batch_rows, threads)
        if len(self._samplers) == 1:
            return self._samplers[0].row_bytes(first_row, rows, batch_rows, threads=threads)
        values = self.values(first_row, rows, batch_rows, threads=threads)
        return encode_rows(values, self._container.schema.value_widths)

    def batches(self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS) -> Iterator[Values]:
        """The same rows a batch at a time, for tables that do not fit memory."""
        _check_range(first_row, rows, batch_rows, 1)
        for start in range(0, rows, batch_rows):
            yield self._batch(first_row + start, min(batch_rows, rows - start))

    def _batch(self, first_row: int, rows: int) -> Values:
        numbers = np.arange(rows, dtype=np.uint64) + np.uint64(first_row)
        owners = self._container.part_of_row(numbers)
        result = np.empty((rows, len(self._container.schema.columns)), dtype=np.int64)
        for index, sampler in enumerate(self._samplers):
            mine = owners == index
            result[mine] = sampler.values_at(numbers[mine])
        return result


def _check_range(first_row: int, rows: int, batch_rows: int, threads: int) -> None:
    if min(first_row, rows) < 0 or min(batch_rows, threads) < 1 or first_row + rows > 2**63:
        raise RowRangeError(
            f"found first row {first_row}, rows {rows}, batch rows {batch_rows}, threads {threads}; "
            "expected row numbers from 0 and at least one batch row and thread"
        )
