"""Rows under conditions in plain Python integers, a row at a time, to be read beside docs/spec/conditions.md.

Beyond `reference` it shares nothing with the fast path. `allowed` maps columns to inclusive ranges of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provenance.errors import ConditionUnmetError
from provenance.exact.codebook import Codebook
from provenance.exact.model import AutoregressiveModel, Model, decode_model
from provenance.exact.reference import (
    autoregressive_codes,
    draw,
    mlp_codes,
    moved,
    row_words,
    step_weights,
)
from provenance.exact.sampler import noise_key

ATTEMPTS = 64
MAX_STATES = 256
ONE = 2**32

Allowed = Mapping[int, Sequence[tuple[int, int]]]


def conditioned_row(
    model_bytes: bytes, seed: bytes, shard_index: int, row: int, allowed: Allowed
) -> tuple[list[int], int]:
    """The C values of one row and the attempt that made them. Raises ConditionUnmetError after 64."""
    model = decode_model(model_bytes)
    key = noise_key(model_bytes, seed, shard_index)
    steps = prefix_length(model, allowed)
    weighted = set(model.order[:steps]) if isinstance(model, AutoregressiveModel) else set()
    for attempt in range(ATTEMPTS):
        words = row_words(model, key, row, attempt)
        values = row_values(model, words, allowed, steps)
        tried = [column for column in allowed if column not in weighted]
        if all(any(low <= values[c] <= high for low, high in allowed[c]) for c in tried):
            return values, attempt
    raise ConditionUnmetError(f"row {row}: {ATTEMPTS} attempts did not meet the conditions")


def row_values(model: Model, words: list[int], allowed: Allowed, steps: int) -> list[int]:
    """The values of one attempt, the first `steps` steps drawn by weights."""
    book = model.codebook
    if not isinstance(model, AutoregressiveModel):
        codes = mlp_codes(model, words)
    elif steps:
        codes = prefix_codes(model, words, allowed, steps)
    else:
        codes = autoregressive_codes(model, words)
    weighted = model.order[:steps] if isinstance(model, AutoregressiveModel) else ()
    values = []
    for column, (code, word) in enumerate(zip(codes, words[model.latent_words :], strict=True)):
        place = book.offsets[column] + code
        if column in weighted and column in allowed:
            inside = allowed_values(book, column, code, allowed)
            values.append(nth_value(inside, ((word >> 32) * size_of(inside)) >> 32))
        else:
            values.append(int(book.low[place]) + (((word >> 32) * int(book.width[place])) >> 32))
    return values


def allowed_values(book: Codebook, column: int, code: int, allowed: Allowed) -> list[tuple[int, int]]:
    """The parts (low, high) of a code that are allowed, ascending."""
    low = int(book.low[book.offsets[column] + code])
    high = low + int(book.width[book.offsets[column] + code]) - 1
    if column not in allowed:
        return [(low, high)]
    return [(max(low, a), min(high, b)) for a, b in allowed[column] if max(low, a) <= min(high, b)]


def size_of(parts: Sequence[tuple[int, int]]) -> int:
    """Number of values in (low, high) parts."""
    return sum(high - low + 1 for low, high in parts)


def nth_value(parts: Sequence[tuple[int, int]], number: int) -> int:
    """Value `number`, from 0, of the parts in turn."""
    for low, high in parts:
        if number <= high - low:
            return low + number
        number -= high - low + 1
    raise IndexError(number)


def factor(book: Codebook, column: int, code: int, allowed: Allowed) -> int:
    """The allowed share of a code in 2^32ths."""
    width = int(book.width[book.offsets[column] + code])
    return (size_of(allowed_values(book, column, code, allowed)) << 32) // width


def prefix_length(model: Model, allowed: Allowed) -> int:
    """How many first steps are drawn by weights."""
    steps, states = 0, 1
    for place, column in enumerate(model.order if isinstance(model, AutoregressiveModel) else ()):
        if states > MAX_STATES:
            break
        if column in allowed:
            steps = place + 1
        codes = range(model.codebook.code_counts[column])
        states *= sum(factor(model.codebook, column, code, allowed) > 0 for code in codes)
    return steps


def conditioned_weights(
    model: AutoregressiveModel, place: int, running: list[int], allowed: Allowed, steps: int
) -> list[int]:
    """The weights of the codes of step `place`, knowing the conditions up to the last of the prefix steps."""
    column = model.order[place]
    weights = []
    for code, weight in enumerate(step_weights(model, place, running)):
        share = factor(model.codebook, column, code, allowed)
        if share and place + 1 < steps:
            after = moved(model, place, running, code)
            share = max(1, (share * chance(model, place + 1, after, allowed, steps)) >> 32)
        weights.append(weight * share)
    return weights


def chance(model: AutoregressiveModel, place: int, running: list[int], allowed: Allowed, steps: int) -> int:
    """The chance in 2^32ths that the prefix steps from `place` on are met."""
    met = sum(conditioned_weights(model, place, running, allowed, steps))
    return max(1, met // sum(step_weights(model, place, running)))


def prefix_codes(model: AutoregressiveModel, words: list[int], allowed: Allowed, steps: int) -> list[int]:
    """Each column's code, counted from 0 in the column."""
    running = [0] * model.width
    codes = [0] * model.codebook.columns
    for place, column in enumerate(model.order):
        if place < steps:
            weights = conditioned_weights(model, place, running, allowed, steps)
        else:
            weights = step_weights(model, place, running)
        codes[column] = draw(weights, words[column])
        running = moved(model, place, running, codes[column])
    return codes
