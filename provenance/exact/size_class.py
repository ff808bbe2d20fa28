"""Which models, under which conditions, a chain can judge any row of in one transaction: the numbers, and nothing else.

The same as contracts/exact/SizeClass.sol; tests/vectors/size_class.json holds both to them. Normative text:
docs/spec/model.md, "Size class", and docs/spec/conditions.md, "Work".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

SizeClass = Literal["fraud-provable", "recomputed"]
SIZE_CLASSES: Final[tuple[SizeClass, ...]] = ("fraud-provable", "recomputed")
"""The stronger claim first."""

MAX_PROVABLE_BYTES: Final = 80_000
MAX_PROVABLE_MULTIPLICATIONS: Final = 64_000
MAX_PROVABLE_COLUMNS: Final = 128
MAX_PROVABLE_CODES: Final = 1024
MAX_CONDITION_BYTES: Final = 8192
"""Bytes of conditions that an order may have."""
MAX_PREFIX_STEPS: Final = 16
MAX_PREFIX_WORK: Final = 9_300_000
MAX_STATES: Final = 256
ATTEMPTS: Final = 64
"""That a row under conditions has."""


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What decides the class of a model: multiplications are those of a row."""

    model_bytes: int
    multiplications: int
    columns: int
    codes: int

    @property
    def size_class(self) -> SizeClass:
        """ "fraud-provable" if every row can be judged on chain."""
        return "recomputed" if self.beyond() else "fraud-provable"

    def beyond(self) -> str:
        """In words, which number is too large; empty inside the class."""
        numbers = (
            (self.model_bytes, MAX_PROVABLE_BYTES, "bytes"),
            (self.multiplications, MAX_PROVABLE_MULTIPLICATIONS, "multiplications a row"),
            (self.columns, MAX_PROVABLE_COLUMNS, "columns"),
            (self.codes, MAX_PROVABLE_CODES, "codes"),
        )
        return ", ".join(
            f"{found:,} {what} (at most {most:,})" for found, most, what in numbers if found > most
        )


@dataclass(frozen=True, slots=True)
class PrefixSize:
    """The prefix steps of a conditioned row, and the work of all their evaluations in one attempt."""

    steps: int = 0
    work: int = 0

    def beyond(self) -> str:
        """As of ModelSize."""
        numbers = (
            (self.steps, MAX_PREFIX_STEPS, "prefix steps"),
            (self.work, MAX_PREFIX_WORK, "units of work"),
        )
        return ", ".join(
            f"{found:,} {what} (at most {most:,})" for found, most, what in numbers if found > most
        )


def prefix_size(
    inputs: int, neurons: int, counts: Sequence[int], allowed: Sequence[int], named: Sequence[bool]
) -> PrefixSize:
    """Of a model of architecture 2 with H = inputs and G = neurons. For each step, in draw order: its column's codes,
    how many of them are allowed (all, for a column that is free), and whether the conditions name the column.
    """
    wide, deep = _whole_words(inputs), _whole_words(neurons)
    size, states, evaluations, work = PrefixSize(), 1, 1, 0
    for step, (count, left, is_named) in enumerate(zip(counts, allowed, named, strict=True)):
        if states > MAX_STATES:
            break
        products = wide * neurons + deep * count
        work += evaluations * (5 * products + 70 * wide + 80 * deep + 500 * count + 4000)
        if is_named:
            size = PrefixSize(step + 1, work)
        states *= left
        evaluations = evaluations * left + 1
    return size


def _whole_words(width: int) -> int:
    return -(-width // 32) * 32
