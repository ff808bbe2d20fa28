"""What orders are charged, and the filter: a fixed mu of Gaussian DP for each plan, under one bound for all."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from generator.errors import BudgetExceeded
from generator.privacy.accountant import (
    GaussianEvent,
    SubsampledGaussianEvent,
    gdp_charge,
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
    noise_multiplier_for,
    sgd_noise_multiplier_for,
)
from generator.privacy.charge import MOST_TAIL, WHOLE, Charge, Cost, epsilon_left, keeps, total
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.release import Release
from provenance.values import Digest, sha256

DELTA = 1e-5
TAIL = 1e-9
ORDER = sha256(b"one")


def orders(count: int) -> list[Digest]:
    return [sha256(bytes([number])) for number in range(count)]


def gaussian(epsilon: float, part: float = 1.0) -> GaussianEvent:
    """A share of a budget's mu^2."""
    return GaussianEvent(noise_multiplier_for(epsilon, DELTA) / math.sqrt(part))


def sgd_plan(epsilon: float, rate: float = 0.2, steps: int = 30) -> tuple[Release, ...]:
    first = gaussian(epsilon, 0.3)
    noise = sgd_noise_multiplier_for(epsilon, DELTA, rate, steps, [first])
    return Release("tables", first), Release("rounds", SubsampledGaussianEvent(noise, rate, steps))


def book(folder: Path, epsilon: float, delta: float = DELTA) -> PrivacyLedger:
    return PrivacyLedger(folder / "ledger.jsonl", PrivacyCap(epsilon, delta))


def test_says_that_thresholds_took_their_part_of_delta_when_no_epsilon_would_help(tmp_path: Path) -> None:
    ledger, plan = book(tmp_path, 1e3), sgd_plan(1.0)
    for order in orders(100):
        ledger.charge(plan, order)
    with pytest.raises(BudgetExceeded, match=r"a hundredth may go there"):
        ledger.charge(plan, ORDER)
    over = [*ledger.charged(), Charge.of(ORDER, plan, WHOLE, DELTA)]
    assert epsilon_left(over, 1e3, DELTA) == 0.0, "nothing is left that would be refused"


def test_refuses_the_order_after_the_last_that_fits(tmp_path: Path) -> None:
    ledger = book(tmp_path, gdp_epsilon(math.sqrt(5) * gdp_mu(1.0, DELTA), DELTA))
    for order in orders(5):
        ledger.charge([Release("all", gaussian(1.0))], order)
    with pytest.raises(BudgetExceeded):
        ledger.charge([Release("all", GaussianEvent(1e4))], ORDER)


def test_refuses_a_second_order_after_one_that_kept_the_cap_only_by_itself(tmp_path: Path) -> None:
    """The first order was chosen by no answer, so its own epsilon counts; its charge is a little above the cap."""
    ledger = book(tmp_path, 3.0)
    ledger.charge(sgd_plan(3.0), ORDER)
    assert total(ledger.charged()).epsilon(DELTA) > 3.0
    assert ledger.charged_epsilon() <= 3.0
    assert ledger.epsilon_left() == 0.0
    with pytest.raises(BudgetExceeded):
        ledger.charge([Release("all", GaussianEvent(1e5))], sha256(b"two"))


def test_refuses_what_reads_the_whole_table_beside_either_part(tmp_path: Path) -> None:
    path, cap = tmp_path / "ledger.jsonl", PrivacyCap(1.2, DELTA)
    PrivacyLedger(path, cap, split="a").charge([Release("score", gaussian(1.0), "holdout")], ORDER)
    PrivacyLedger(path, cap, split="a").charge([Release("bins", gaussian(1.0))], ORDER)
    with pytest.raises(BudgetExceeded):
        PrivacyLedger(path, cap, split=WHOLE).charge([Release("bins", gaussian(1.0))], sha256(b"fit"))
    with pytest.raises(BudgetExceeded):
        PrivacyLedger(path, cap, split="b").charge([Release("bins", gaussian(1.0))], sha256(b"b"))


def test_refuses_more_tails_than_a_hundredth_of_delta() -> None:
    tiny = Cost(1e-9, 2 * MOST_TAIL * DELTA)
    assert not keeps(
        [Charge(order, (Release("a", None),), "", tiny, Cost()) for order in orders(2)], 10.0, DELTA
    )


def test_refuses_an_unprotected_plan_under_any_cap(tmp_path: Path) -> None:
    with pytest.raises(BudgetExceeded, match="inf"):
        book(tmp_path, 1e4).charge([Release("bins", gaussian(1.0)), Release("gate", None)], ORDER)


def test_an_order_that_was_begun_is_charged_whole(tmp_path: Path) -> None:
    """Whether it is carried on may hang on its first answers, so nothing of it is free again."""
    plan = (Release("bins", gaussian(1.0, 0.1)), Release("tables", gaussian(1.0, 0.9)))
    ledger = book(tmp_path, 1.0)
    ledger.record(plan[0], order=ORDER, delta=DELTA, plan=plan)
    assert ledger.spent() < 0.5
    assert ledger.charged_epsilon() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(BudgetExceeded):
        ledger.charge([Release("more", GaussianEvent(1e3))], sha256(b"two"))
    ledger.record(plan[1], order=ORDER, delta=DELTA, plan=plan)
    assert ledger.charged_epsilon() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("parts", [(1.0,), (0.1,) * 10, (1 / 3,) * 3, (0.07, 0.93)])
def test_what_fits_by_arithmetic_fits(tmp_path: Path, epsilon: float, parts: tuple[float, ...]) -> None:
    ledger = book(tmp_path, epsilon)
    for order, part in zip(orders(len(parts)), parts, strict=True):
        ledger.charge([Release("all", gaussian(epsilon, part))], order)
    assert ledger.charged_epsilon() == pytest.approx(epsilon, rel=1e-6)
    with pytest.raises(BudgetExceeded):
        ledger.charge([Release("all", gaussian(epsilon, 1e-4))], ORDER)


def test_a_first_order_of_dp_sgd_at_the_cap_fits(tmp_path: Path) -> None:
    book(tmp_path, 1.0).charge(sgd_plan(1.0), ORDER)


def test_what_is_left_fits_and_a_little_more_does_not(tmp_path: Path) -> None:
    ledger = book(tmp_path, 5.0)
    ledger.charge(sgd_plan(1.0), ORDER)
    left = ledger.epsilon_left()
    assert 4 < left < 5
    ledger.check([Release("all", gaussian(left * (1 - 1e-6)))], sha256(b"two"))
    with pytest.raises(BudgetExceeded):
        ledger.check([Release("all", gaussian(left * 1.01))], sha256(b"two"))
    assert epsilon_left((), 5.0, DELTA) == pytest.approx(5.0, abs=1e-6)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(0.5, 0.05, 100), (1.0, 0.5, 20), (3.0, 0.05, 150)])
def test_a_charge_is_a_bound_at_every_epsilon_and_hardly_more(
    epsilon: float, rate: float, steps: int
) -> None:
    """Held from below by another accountant; what it costs above the order's own mu is small."""
    events = [release.event for release in sgd_plan(epsilon, rate, steps)]
    mu = math.sqrt(gdp_charge([event for event in events if event is not None], TAIL))
    composed = PLDAccountant(value_discretization_interval=1e-3)
    for event in events:
        assert event is not None
        step = dp_event.GaussianDpEvent(event.noise_multiplier)
        if isinstance(event, SubsampledGaussianEvent):
            sampled = dp_event.PoissonSampledDpEvent(event.sample_rate, step)
            composed.compose(sampled, event.steps)
        else:
            composed.compose(step)
    for at in np.linspace(0.0, 4 * epsilon, 20):
        assert composed.get_delta(float(at)) <= TAIL + (1 - TAIL) * gdp_delta(float(at), mu) + 1e-12
    assert gdp_mu(epsilon, DELTA) * 0.995 < mu < gdp_mu(epsilon, DELTA) * 1.05


def test_a_charge_of_gaussian_releases_is_exact_and_has_no_tail() -> None:
    charge = Charge.of(ORDER, [Release("a", GaussianEvent(3.0)), Release("b", GaussianEvent(4.0))], "", DELTA)
    assert charge.training.mu_squared == pytest.approx(1 / 9 + 1 / 16)
    assert charge.training.tail == 0
    assert charge.holdout == Cost()
    assert Charge.parse(charge.document()) == charge


def test_an_adaptive_buyer_gains_nothing_from_choosing_by_the_answers() -> None:
    """A buyer who goes on with larger orders when the answers look well, and stops when they do not: the loss of all
    answers together keeps delta at the cap's epsilon. Exact losses of Gaussian answers, 200,000 runs."""
    random = np.random.default_rng(11)
    epsilon, delta, runs = 1.0, 0.02, 200_000
    bound = gdp_mu(epsilon, delta) ** 2
    loss, left = np.zeros(runs), np.full(runs, bound)
    for _ in range(12):
        share = np.where(loss > epsilon, 0.0, np.where(loss > 0.3, 0.6, 0.15))
        squared = np.minimum(share * bound, left)
        mu = np.sqrt(squared)
        loss += mu * random.standard_normal(runs) + squared / 2
        left -= squared
    seen = np.maximum(1 - np.exp(epsilon - loss), 0.0)
    assert seen.mean() <= delta + 4 * seen.std() / math.sqrt(runs)
    assert seen.mean() > delta / 2, "the buyer uses its budget"
