"""What epsilon means for a person: bounds on the posterior of an even chance."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from generator.errors import PrivacyError
from generator.privacy.accountant import (
    GaussianEvent,
    PrivacyEvent,
    SubsampledGaussianEvent,
    Threshold,
    epsilon_of,
    noise_multiplier_for,
)
from generator.privacy.meaning import PERSONS, in_words, meanings
from generator.privacy.release import LedgerEntry, Release
from generator.privacy.statement import Mechanism, privacy_statement
from provenance.record.epsilon_words import epsilon_in_words, sure_micro, sure_text
from provenance.values import Digest

DELTA = 1e-5


def test_refuses_thresholds_that_spend_all_of_delta() -> None:
    loose = GaussianEvent(5.0, threshold=Threshold(columns=1, least=6, std=5.0))
    with pytest.raises(PrivacyError, match="thresholds of released values spend all of delta"):
        epsilon_of([loose], DELTA)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_gaussian_losses_are_exceeded_with_a_chance_of_delta(epsilon: float) -> None:
    mu = 1 / noise_multiplier_for(epsilon, DELTA)
    for each in meanings([GaussianEvent(1 / mu)], DELTA):
        shift = each.rows * mu
        odds = each.sure_micro / (1_000_000 - each.sure_micro) if each.sure_micro < 1_000_000 else math.inf
        # the log-likelihood ratio of N(shift, 1) and N(0, 1) at x is shift * x - shift^2 / 2
        place = (math.log(odds) + shift**2 / 2) / shift
        assert norm.sf(place - shift) <= DELTA * 1.0001
        if each.sure_micro < 990_000:
            assert norm.sf(place - shift) == pytest.approx(DELTA, rel=1e-3)


@pytest.mark.parametrize(("noise", "rate"), [(2.0, 0.02), (4.0, 0.05)])
def test_composed_losses_are_never_below_a_simulated_one(noise: float, rate: float) -> None:
    """One step is exact by hand: the mixture's loss exceeds the stated one with less than delta."""
    event: PrivacyEvent = SubsampledGaussianEvent(noise, rate, 1)
    one = meanings([event], 1e-3)[0]
    loss = math.log(one.sure_micro / (1_000_000 - one.sure_micro))
    inner = (math.exp(loss) - (1 - rate)) / rate
    place = noise**2 * math.log(inner) + 0.5 if inner > 0 else -math.inf
    chance = rate * norm.sf((place - 1) / noise) + (1 - rate) * norm.sf(place / noise)
    assert chance <= 1e-3


def test_a_person_with_more_rows_is_protected_less_and_epsilon_counts_every_row() -> None:
    mixed: list[PrivacyEvent] = [GaussianEvent(8.0), SubsampledGaussianEvent(6.0, 0.02, 60)]
    for events in (mixed[:1], mixed):
        found = meanings(events, DELTA)
        assert tuple(each.rows for each in found) == PERSONS
        sure = [each.sure_micro for each in found]
        assert sure == sorted(sure)
        assert 500_000 < sure[0] < sure[1]
    exact = {each.rows: each.epsilon_micro for each in meanings([GaussianEvent(10.0)], DELTA)}
    assert exact[5] == pytest.approx(1e6 * epsilon_of([GaussianEvent(2.0)], DELTA), abs=1.5)


def test_the_chance_of_a_threshold_grows_with_the_rows_of_a_person() -> None:
    threshold = Threshold(columns=3, least=60, std=10.0)
    assert threshold.delta() == pytest.approx(3 * norm.sf(5.85))
    assert threshold.delta(10) == pytest.approx(3 * 10 * norm.sf(4.95))
    found = meanings([GaussianEvent(10.0, threshold=threshold)], 1e-8)
    assert [each.epsilon_micro is None for each in found] == [False, True, True, True]
    assert meanings([GaussianEvent(10.0, threshold=threshold)], DELTA)[0].epsilon_micro is not None


def test_the_statement_says_it_in_words_and_names_what_hid_values() -> None:
    threshold = Threshold(columns=2, least=90, std=14.0)
    event = GaussianEvent(9.9, threshold=threshold)
    statement = privacy_statement([Mechanism("schema/values", event)], DELTA, None)
    assert statement["meaning"] == in_words(meanings([event], DELTA), 10_000_000)
    assert "an even chance that a row is in the table ends at 6" in str(statement["meaning"])
    assert [each["rows"] for each in statement["persons"]] == [1, 2, 5, 10]  # type: ignore[attr-defined]
    assert statement["mechanisms"][0]["threshold"] == {"columns": 2, "least": 90, "stdMicro": 14_000_000}  # type: ignore[index]
    entry = LedgerEntry(Digest(bytes(32)), Release("schema/values", event), "", 0.5, DELTA)
    assert LedgerEntry.parse(entry.document()) == entry
    strong = privacy_statement([Mechanism("all", GaussianEvent(0.5))], DELTA, None)
    assert "a person with 2 or 5 or 10 rows is practically not protected" in str(strong["meaning"])


def test_words_of_epsilon_alone_round_against_the_contributor() -> None:
    assert sure_micro(0.0) == 500_000
    assert sure_text(sure_micro(1.0)) == "73.2 %"
    assert sure_text(999_001) == "100.0 %"
    assert epsilon_in_words(1_000_000, 10_000_000, None) == (
        "somebody who thinks it an even chance that a row is in the table ends at 84.5 % at most, but for a chance of "
        "0.00002"
    )
