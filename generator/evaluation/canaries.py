"""A lower bound on epsilon from one training run with planted rows.

After Steinke, Nasr and Jagielski 2023 (arXiv:2305.08846).

Rows of pure chance, the canaries, are put into a table by a coin each. Whoever sees the generator and the canaries
guesses which coins fell on "in", and may leave coins out. Under (epsilon, delta)-DP no guess is right with more than
e^epsilon / (1 + e^epsilon), all coins together (theorem 5.2): too many right guesses refute the epsilon, whatever the
guesser did. The bound is low where the attack is weak; it never says that nothing leaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from generator.errors import EvaluationError
from provenance.table.schema import Schema

CONFIDENCE: Final = 0.95
LEAST_CANARIES: Final = 20
_GUESSED: Final = (1.0, 0.25, 0.0625)
"""Shares of the coins that are guessed, the surest first; each has its part of the chance of error."""
_MOST_EPSILON: Final = 50.0

Floats = NDArray[np.float64]
Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EpsilonBound:
    """epsilon: spent at least, with CONFIDENCE. correct of `guesses` about `canaries` coins, `planted` of them in."""

    epsilon: float
    canaries: int
    planted: int
    guesses: int
    correct: int


def random_rows(schema: Schema, count: int, random: np.random.Generator) -> Values:
    """Rows int64[count, C] of chance: every stored value of a column as likely as any other."""
    columns = [random.integers(0, column.cardinality, count) for column in schema.columns]
    return np.stack(columns, axis=1)


def epsilon_bound(scores: Floats, planted: NDArray[np.bool_], delta: float) -> EpsilonBound:
    """From scores float64[m] of the canaries, high for "in", and the coins bool[m].

    The highest scores are guessed in, as many of the lowest out; the best of three numbers of guesses is taken at a
    third of the chance of error each. EvaluationError below LEAST_CANARIES or for scores that are not finite.
    """
    count = len(scores)
    if count < LEAST_CANARIES or planted.shape != scores.shape or not np.isfinite(scores).all():
        raise EvaluationError(
            f"{count} scores for {planted.shape} coins: expected a finite score for each of {LEAST_CANARIES} or more"
        )
    order = np.argsort(scores, kind="stable")
    found = []
    for share in _GUESSED:
        half = max(LEAST_CANARIES // 4, round(share * count / 2))
        half = min(half, count // 2)
        correct = int(planted[order[-half:]].sum() + (~planted[order[:half]]).sum())
        bound = _bound(count, 2 * half, correct, delta, (1 - CONFIDENCE) / len(_GUESSED))
        found.append(EpsilonBound(bound, count, int(planted.sum()), 2 * half, correct))
    return max(found, key=lambda each: each.epsilon)


def chance_of(coins: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Largest chance of so many correct guesses under (epsilon, delta)-DP: the p-value of theorem 5.2."""
    right = 1 / (1 + math.exp(-epsilon))
    steps = np.arange(1, correct + 1)
    sums = np.cumsum(binom.pmf(correct - steps, guesses, right))
    most = float((sums / steps).max(initial=0.0))
    return min(1.0, float(binom.sf(correct - 1, guesses, right)) + 2 * coins * delta * most)


def _bound(coins: int, guesses: int, correct: int, delta: float, error: float) -> float:
    """The largest epsilon that the guesses refute, to three digits; 0.0 if they refute none."""
    low, high = 0.0, _MOST_EPSILON
    if chance_of(coins, guesses, correct, low, delta) >= error:
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        refuted = chance_of(coins, guesses, correct, middle, delta) < error
        low, high = (middle, high) if refuted else (low, middle)
    return low
