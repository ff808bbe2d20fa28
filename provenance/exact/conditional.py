"""Rows under conditions: the first attempt of a row that meets its segment's conditions.

Architecture 2 draws its prefix steps from weights that know the conditions (`prefix_steps`); whatever
else is conditioned, and everything in architecture 1, is met by attempts: the second word of the noise counter
counts 0 .. 63. Which of the two is used for a column follows from model and conditions alone, never from the
batch. Normative text: docs/spec/conditions.md; in plain integers: `provenance.exact.reference`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ConditionError, ConditionUnmetError
from provenance.exact.allowed import AllowedCodes
from provenance.exact.autoregressive_forward import AutoregressiveForward
from provenance.exact.columns import low_halves
from provenance.exact.model import AutoregressiveModel, Model
from provenance.exact.philox import Words, scattered_blocks
from provenance.exact.prefix_steps import PrefixSteps, prefix_length
from provenance.exact.size_class import ATTEMPTS, PrefixSize, prefix_size
from provenance.table.conditions import RowConditions

Values = NDArray[np.int64]


class Forward(Protocol):
    """A model on whole batches."""

    def values(self, words: Words) -> Values:
        """int64[C, rows] of the rows' noise words uint64[rows, words], which may be overwritten."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows drawn, and the attempts that they took together."""

    rows: int = 0
    attempts: int = 0

    def plus(self, rows: int, attempts: int) -> Tally:
        return Tally(self.rows + rows, self.attempts + attempts)


class SegmentForward:
    """Attempts at the rows of one segment."""

    def __init__(self, forward: Forward, model: Model, allowed: Mapping[int, AllowedCodes]) -> None:
        self._forward = forward
        steps = 0
        if isinstance(forward, AutoregressiveForward):
            steps = prefix_length(forward.order, model.codebook.code_counts, allowed)
            self._prefix = PrefixSteps(forward, steps, allowed) if steps else None
        weighted = set(forward.order[:steps]) if isinstance(forward, AutoregressiveForward) else set()
        self._weighted = {column: each for column, each in allowed.items() if column in weighted}
        self.tried = {column: each for column, each in allowed.items() if column not in weighted}

    def attempt(self, words: Words) -> tuple[Values, NDArray[np.bool_]]:
        """int64[C, rows] of noise words uint64[rows, words] (may be overwritten), and which rows
        meet the conditions."""
        values = self._values(words)
        met = np.ones(values.shape[1], dtype=np.bool_)
        for column, allowed in self.tried.items():
            met &= allowed.holds(values[column])
        return values, met

    def _values(self, words: Words) -> Values:
        forward = self._forward
        if not self._weighted or not isinstance(forward, AutoregressiveForward) or self._prefix is None:
            return forward.values(words)
        column_words = np.ascontiguousarray(words[:, : len(forward.order)].T)
        halves = low_halves(column_words)
        codes = np.empty(column_words.shape, dtype=np.intp)
        running = self._prefix.draw(codes, halves)
        forward.resume(len(self._prefix.columns), running, codes, halves)
        values = forward.code_values(codes, column_words)
        for column, allowed in self._weighted.items():
            values[column] = allowed.values(codes[column], column_words[column])
        return values


def prefix_size_of(model: Model, allowed: Mapping[int, AllowedCodes]) -> PrefixSize:
    """The prefix steps that a model has under these conditions, and their work in one attempt."""
    if not isinstance(model, AutoregressiveModel):
        return PrefixSize()
    counts = [model.codebook.code_counts[column] for column in model.order]
    left = [
        len(allowed[column].codes) if column in allowed else count
        for column, count in zip(model.order, counts, strict=True)
    ]
    neurons = model.steps[0].hidden_weights.shape[0]
    return prefix_size(model.width, neurons, counts, left, [column in allowed for column in model.order])


class ConditionalRows:
    """Rows of one shard under conditions. Safe to use from several threads at once."""

    def __init__(
        self, forward: Forward, model: Model, key: tuple[int, int], blocks: int, conditions: RowConditions
    ) -> None:
        """Raises ConditionError if the conditions are about another schema, or no code of the model can meet one."""
        asked = conditions.conditions
        if asked.schema.digest != model.schema_digest:
            raise ConditionError(
                f"the conditions are about schema {asked.schema.digest}, the model makes rows of "
                f"{model.schema_digest}; state them again for this model"
            )
        self._forward, self._model, self._key, self._blocks = forward, model, key, blocks
        self._conditions = conditions
        self._allowed: list[dict[int, AllowedCodes]] = []
        seen: dict[tuple[int, object], AllowedCodes] = {}
        for number, segment in enumerate(asked.segments):
            mine = {}
            for column, ranges in segment.allowed.items():
                if (column, ranges) not in seen:
                    seen[column, ranges] = AllowedCodes(model.codebook, column, ranges)
                mine[column] = seen[column, ranges]
                if not len(mine[column].codes):
                    raise ConditionError(
                        f"no row of this model can meet {asked.describe(number)}: no code of column "
                        f"{asked.schema.column_names[column]!r} has such a value; loosen the condition"
                    )
            self._allowed.append(mine)
        self._segments: dict[int, SegmentForward] = {}
        self._tallies: dict[int, Tally] = {}
        self._lock = threading.Lock()

    @property
    def tally(self) -> Tally:
        """Of all rows drawn so far."""
        with self._lock:
            tallies = list(self._tallies.values())
        return Tally(sum(each.rows for each in tallies), sum(each.attempts for each in tallies))

    def values(self, numbers: Words, words: Words) -> Values:
        """int64[C, rows] of row numbers uint64[rows] with their first attempts' noise words uint64[rows, W]
        (may be overwritten). Raises ConditionUnmetError if a row needs more than 64 attempts."""
        segments = self._conditions.segment_of(numbers)
        different = np.unique(segments)
        if len(different) == 1:
            return self._segment_values(int(different[0]), numbers, words)
        result = np.empty((self._model.codebook.columns, len(numbers)), dtype=np.int64)
        for segment in different.tolist():
            mine = np.flatnonzero(segments == segment)
            result[:, mine] = self._segment_values(segment, numbers[mine], words[mine])
        return result

    def _segment_values(self, segment: int, numbers: Words, words: Words) -> Values:
        tries = self._segment(segment)
        values, met = tries.attempt(words)
        left = np.flatnonzero(~met)
        attempt, taken = 1, len(numbers) - len(left)
        while len(left):
            if attempt == ATTEMPTS:
                self._count(segment, len(numbers) - len(left), taken + ATTEMPTS * len(left))
                raise self._unmet(segment, int(numbers[left[0]]) + self._conditions.first_row)
            # several attempts of few rows cost no more than one
            at_once = min(ATTEMPTS - attempt, max(1, len(numbers) // (8 * len(left))))
            found, met = tries.attempt(self._words(numbers[left], attempt, at_once))
            met = met.reshape(len(left), at_once)
            first, done = met.argmax(axis=1), met.any(axis=1)
            rows = np.flatnonzero(done)
            values[:, left[rows]] = found[:, rows * at_once + first[rows]]
            taken += int((first[rows] + attempt + 1).sum())
            left = left[~done]
            attempt += at_once
        self._count(segment, len(numbers), taken)
        return values

    def _words(self, numbers: Words, attempt: int, at_once: int) -> Words:
        """uint64[rows * at_once, W] of attempts attempt .. attempt + at_once - 1 of each row in turn."""
        blocks: Words = np.add.outer(
            numbers * np.uint64(self._blocks), np.arange(self._blocks, dtype=np.uint64)
        )
        shape = (len(numbers), at_once, self._blocks)
        counters = np.broadcast_to(blocks[:, None, :], shape).ravel()
        attempts = np.arange(attempt, attempt + at_once, dtype=np.uint64)
        seconds = np.broadcast_to(attempts[None, :, None], shape).ravel()
        return scattered_blocks(self._key, counters, seconds).reshape(len(numbers) * at_once, -1)

    def _segment(self, segment: int) -> SegmentForward:
        with self._lock:
            if segment not in self._segments:
                self._segments[segment] = SegmentForward(self._forward, self._model, self._allowed[segment])
            return self._segments[segment]

    def _count(self, segment: int, rows: int, attempts: int) -> None:
        with self._lock:
            self._tallies[segment] = self._tallies.get(segment, Tally()).plus(rows, attempts)

    def _unmet(self, segment: int, row: int) -> ConditionUnmetError:
        asked = self._conditions.conditions
        tally = self._tallies[segment]
        names = ", ".join(asked.schema.column_names[column] for column in self._segment(segment).tried)
        again = (
            "with that column declared conditionable"
            if isinstance(self._model, AutoregressiveModel)
            else 'by family "autoregressive" with that column declared conditionable'
        )
        return ConditionUnmetError(
            f"row {row} did not meet {asked.describe(segment)} in {ATTEMPTS} attempts (about "
            f"{tally.rows / tally.attempts:.2%} of the attempts do): loosen the condition on {names}, or fit the "
            f"model again {again}"
        )
