"""The audit of a person: the best attack on one release, against a table of ten rows a person.

All rows of the person in doubt sit in one otherwise empty cell, or have one gradient, which is the worst case.
Whoever knows all other rows compares the release's likelihood with and without the person; thousands of
releases with and without give a lower bound on epsilon for that person. With `unit` it stays below the epsilon
that is stated. Without, it shows that the same epsilon is a row's and not a person's: so the attack is able to
find what it looks for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.learning.dp_sgd import DPSGD
from generator.marginals.measure import release_tables
from generator.marginals.workload import choose_workload
from generator.privacy.accountant import GaussianEvent, noise_multiplier_for, sgd_noise_multiplier_for
from generator.privacy.meaning import PERSONS, meanings
from generator.privacy.units import Units
from provenance.table.persons import Rows
from provenance.table.schema import Schema
from tests.generator.evaluation.privacy_bounds import epsilon_shown

EPSILON, DELTA = 1.0, 1e-5
RELEASES = 2_000
EACH = 10
KEY = b"k" * 32
Scores = NDArray[np.float64]
Attack = Callable[[int | None, bool], Scores]


def rows_of(unit_rows: int | None, with_person: bool) -> Rows:
    """30 persons of ten rows each, and maybe one more, who is alone in a cell: the rows that may be used."""
    random = np.random.default_rng(2)
    values = np.stack([random.integers(0, 3, 30 * EACH), random.integers(0, 3, 30 * EACH)], axis=1)
    numbers = np.repeat(np.arange(30), EACH)
    if with_person:
        values = np.concatenate([values, np.full((EACH, 2), 3)])
        numbers = np.concatenate([numbers, np.full(EACH, 30)])
    return Rows(values, np.stack([numbers, numbers], axis=1)).used(schema(unit_rows), KEY)


def schema(unit_rows: int | None) -> Schema:
    columns = [{"name": name, "type": "string", "enum": ["a", "b", "c", "d"]} for name in ("x", "y")]
    unit = {} if unit_rows is None else {"unit": {"column": "patient", "rows": unit_rows}}
    return Schema.parse({"format": "tessera-schema/1", "name": "t", "columns": columns, **unit})


def table_scores(unit_rows: int | None, with_person: bool) -> Scores:
    """The noisy count of the person's cell, from which the likelihood ratio follows."""
    used = rows_of(unit_rows, with_person).values
    workload = choose_workload((4, 4), None, schema(unit_rows).unit_rows)
    noise = noise_multiplier_for(EPSILON, DELTA)
    return np.array([release_tables(used, workload, noise)[-1] for _ in range(RELEASES)])


def gradient_scores(unit_rows: int | None, with_person: bool) -> Scores:
    """A noisy sum of clipped gradients along the person's: the others' are known and gone."""
    known, used = schema(unit_rows), rows_of(unit_rows, with_person)
    units = Units.of(known, len(used.values), used.persons)
    steps = 3
    noise = sgd_noise_multiplier_for(EPSILON, DELTA, 0.5, steps)
    dp = DPSGD(0.5, noise, 1.0, unit_rows=known.unit_rows)
    mine = np.flatnonzero((used.values == 3).all(axis=1))
    direction = np.array([0.6, 0.8, 0.0])

    def score() -> float:
        picked = dp.poisson_sample(units)
        hits = np.isin(picked, mine).sum()
        return float(dp.release(lambda norm: hits * norm * direction, 3) @ direction)

    # The likelihood of a mixture of two normals is monotone in each sum; the mean of the steps' is the attack.
    return np.array([sum(score() for _ in range(steps)) for _ in range(RELEASES // 2)])


ATTACKS = (table_scores, gradient_scores)


@pytest.mark.parametrize("unit_rows", [10, 3])
@pytest.mark.parametrize("scores", ATTACKS, ids=lambda attack: str(attack.__name__))
def test_the_lower_bound_for_a_person_stays_below_the_stated_epsilon(scores: Attack, unit_rows: int) -> None:
    shown = epsilon_shown(scores(unit_rows, True), scores(unit_rows, False), delta=DELTA, confidence=0.999)
    assert shown <= EPSILON


@pytest.mark.parametrize("scores", ATTACKS, ids=lambda attack: str(attack.__name__))
def test_without_a_unit_the_same_attack_shows_more_than_a_row_s_epsilon(scores: Attack) -> None:
    shown = epsilon_shown(scores(None, True), scores(None, False), delta=DELTA, confidence=0.999)
    assert shown > EPSILON


def test_the_statement_of_the_table_without_a_unit_allows_what_the_attack_shows() -> None:
    """Ten rows: the entry for ten is not below what was shown of a person of ten."""
    shown = epsilon_shown(table_scores(None, True), table_scores(None, False), delta=DELTA, confidence=0.999)
    told = dict(
        zip(PERSONS, meanings([GaussianEvent(noise_multiplier_for(EPSILON, DELTA))], DELTA), strict=True)
    )
    assert told[1].epsilon_micro == pytest.approx(1e6, rel=1e-6)
    assert EPSILON < shown <= (told[10].epsilon_micro or 0) / 1e6
