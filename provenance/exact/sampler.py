"""Samples rows of a model: a pure function of model bytes, seed, shard index and row number.

Batch size, threads, BLAS and float width change the speed only. Normative text: docs/spec/rows.md; the same
rule in plain Python integers: `provenance.exact.reference`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.errors import RowRangeError, UnknownVersionError
from provenance.exact import SPEC_VERSION
from provenance.exact.autoregressive_forward import AutoregressiveForward
from provenance.exact.conditional import ConditionalRows, Forward, Tally
from provenance.exact.mlp import MlpForward
from provenance.exact.model import MlpModel, Model, decode_model, model_digest
from provenance.exact.philox import WORDS_PER_BLOCK, BlockStream, Words, scattered_blocks
from provenance.exact.rows import write_rows
from provenance.table.conditions import RowConditions

Values = NDArray[np.int64]

ROW_NOISE_TAG = b"tessera/row-noise/1"
DEFAULT_BATCH_ROWS = 3840
"""Best of the sizes tried: enough rows for numpy's calls to cost little, few enough for the caches."""
DENSE = 8
"""Up to so many rows for each one asked for, numpy's stream of all is quicker than single blocks here."""


def noise_key(model_bytes: bytes, seed: bytes, shard_index: int) -> tuple[int, int]:
    """The Philox key of one shard: different for every seed, shard index and model."""
    if len(seed) != 32:
        raise RowRangeError(f"seed: found {len(seed)} bytes, expected 32")
    if not 0 <= shard_index < 2**32:
        raise RowRangeError(f"shard index: found {shard_index}, expected 0 to 2^32 - 1")
    text = ROW_NOISE_TAG + seed + shard_index.to_bytes(4, "big") + model_digest(model_bytes)
    digest = hashlib.sha256(text).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


def words_per_row(model: Model) -> int:
    """Noise words of a row: eight latent inputs a word, then one word a column."""
    return model.latent_words + model.codebook.columns


MakeForward = Callable[[Model], Forward]


def forward_of(model: Model, dtype: type[np.floating[Any]] = np.float32) -> Forward:
    """The batch form of the model's architecture."""
    if isinstance(model, MlpModel):
        return MlpForward(model, dtype)
    return AutoregressiveForward(model, dtype)


class Sampler:
    """Rows of one shard. Safe to use from several threads at once."""

    def __init__(
        self,
        model_bytes: bytes,
        seed: bytes,
        shard_index: int,
        *,
        conditions: RowConditions | None = None,
        dtype: type[np.floating[Any]] = np.float32,
        forward: MakeForward | None = None,
    ) -> None:
        """Decodes and checks the model; `forward` computes in numpy's place, but not under conditions.
        Raises ModelError, UnknownVersionError, RowRangeError or, for conditions that no row of the model
        can meet, ConditionError."""
        self.model = decode_model(model_bytes)
        self.key = noise_key(model_bytes, seed, shard_index)
        self._words = words_per_row(self.model)
        self._blocks = -(-self._words // WORDS_PER_BLOCK)
        self._forward = forward_of(self.model, dtype) if forward is None else forward(self.model)
        self._conditional = None
        if conditions is not None and not conditions.conditions.is_free:
            numpy_forward = forward_of(self.model, dtype)
            self._conditional = ConditionalRows(numpy_forward, self.model, self.key, self._blocks, conditions)

    @property
    def row_width(self) -> int:
        """Bytes of a row."""
        return self.model.codebook.row_width

    @property
    def tally(self) -> Tally | None:
        """Rows and attempts under conditions so far; None without conditions."""
        return None if self._conditional is None else self._conditional.tally

    def values(
        self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS, *, threads: int = 1
    ) -> NDArray[np.int64]:
        """int64[rows, C] of rows first_row .. first_row + rows - 1: schema indices, see `codec.decode_values`."""
        self._check_range(first_row, rows, batch_rows, threads)
        result = np.empty((rows, self.model.codebook.columns), dtype=np.int64)

        def keep(start: int, batch: NDArray[np.int64]) -> None:
            result[start : start + batch.shape[1]] = batch.T

        self._each_batch(first_row, rows, batch_rows, threads, keep)
        return result

    def row_bytes(
        self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS, *, threads: int = 1
    ) -> bytes:
        """The same rows as bytes: rows * row_width of them."""
        self._check_range(first_row, rows, batch_rows, threads)
        result = np.empty((rows, self.row_width), dtype=np.uint8)

        def keep(start: int, batch: NDArray[np.int64]) -> None:
            # the codebook's ranges fit their widths, so the values do
            write_rows(batch, self.model.codebook.value_widths, result[start : start + batch.shape[1]])

        self._each_batch(first_row, rows, batch_rows, threads, keep)
        return result.tobytes()

    def batches(
        self, first_row: int, rows: int, batch_rows: int = DEFAULT_BATCH_ROWS
    ) -> Iterator[NDArray[np.int64]]:
        """The same rows a batch at a time, for tables that do not fit memory."""
        self._check_range(first_row, rows, batch_rows, 1)
        for batch in self._batches(first_row, rows, batch_rows):
            yield np.ascontiguousarray(batch.T)

    def values_at(self, row_numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
        """int64[n, C] of any row numbers uint64[n], in the order given."""
        numbers = row_numbers.astype(np.uint64)
        if len(numbers) == 0:
            return np.empty((0, self.model.codebook.columns), dtype=np.int64)
        self._check_range(int(numbers.max()), 1, 1, 1)
        return np.ascontiguousarray(self._values(numbers, self._words_at(numbers)).T)

    def _words_at(self, numbers: Words) -> Words:
        """uint64[n, words] of row numbers uint64[n], at least one."""
        first = int(numbers.min())
        span = int(numbers.max()) - first + 1
        if span <= DENSE * len(numbers):
            whole = BlockStream(self.key, first * self._blocks).take(span * self._blocks).reshape(span, -1)
            return whole.take((numbers - np.uint64(first)).astype(np.intp), axis=0)
        within: Words = np.arange(self._blocks, dtype=np.uint64)
        blocks: Words = np.add.outer(numbers * np.uint64(self._blocks), within)
        return scattered_blocks(self.key, blocks.ravel()).reshape(len(numbers), -1)

    def _each_batch(
        self, first_row: int, rows: int, batch_rows: int, threads: int, keep: Callable[[int, Values], None]
    ) -> None:
        """Calls `keep` with the place of each batch's first row and its values [C, rows]."""
        # whole batches a thread, so that threads change no batch
        span = batch_rows * max(1, -(-rows // (batch_rows * threads)))

        def fill(start: int) -> None:
            place = start
            for batch in self._batches(first_row + start, min(span, rows - start), batch_rows):
                keep(place, batch)
                place += batch.shape[1]

        if threads == 1:
            fill(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(fill, range(0, rows, span)):
                    pass

    def _batches(self, first_row: int, rows: int, batch_rows: int) -> Iterator[NDArray[np.int64]]:
        """int64[C, rows] a batch."""
        noise = BlockStream(self.key, first_row * self._blocks)
        for start in range(0, rows, batch_rows):
            count = min(batch_rows, rows - start)
            words = noise.take(count * self._blocks).reshape(count, -1)
            numbers = np.arange(count, dtype=np.uint64) + np.uint64(first_row + start)
            yield self._values(numbers, words)

    def _values(self, numbers: Words, words: Words) -> NDArray[np.int64]:
        """int64[C, rows] of row numbers uint64[rows] and their noise words."""
        if self._conditional is None:
            return self._forward.values(words)
        return self._conditional.values(numbers, words)

    def _check_range(self, first_row: int, rows: int, batch_rows: int, threads: int) -> None:
        if first_row < 0 or rows < 0 or (first_row + rows) * self._blocks > 2**64:
            raise RowRangeError(
                f"rows: found {rows} from row {first_row}, expected row numbers from 0 to "
                f"{2**64 // self._blocks - 1}"
            )
        if batch_rows < 1 or threads < 1:
            raise RowRangeError(
                f"found batch_rows {batch_rows} and threads {threads}, expected at least 1 of each"
            )


_SAMPLERS: dict[int, type[Sampler]] = {SPEC_VERSION: Sampler}
"""Old versions stay here for as long as records name them."""


def sampler_for(spec_version: int) -> type[Sampler]:
    """The sampler class of `spec_version`: call it with (model_bytes, seed, shard_index)."""
    try:
        return _SAMPLERS[spec_version]
    except KeyError as error:
        raise UnknownVersionError(
            f"specification version: found {spec_version}, expected one of {sorted(_SAMPLERS)}; "
            "a newer release may know it"
        ) from error
