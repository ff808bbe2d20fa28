"""What a coordinator may send with the second round: only a codebook under which every table can be counted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from generator.errors import MarginalError, TaskRefused
from generator.families.codebook_message import codebook_arrays, codebook_of
from generator.families.marginal import MarginalFamily
from generator.families.release_noise import workload_of
from generator.federation.node import handle
from generator.federation.step import Worker
from generator.federation.task import Array, Task
from generator.marginals.bins import base_grid, build_codebook, release_bins
from generator.market.evidence import references_of, released_tables, score_tables
from generator.privacy.accountant import GaussianEvent
from tests.generator.families.conftest import MakeMarket, Market


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_releases_spend_the_plan_s_epsilon_and_no_more_by_another_accountant(
    make_market: MakeMarket, epsilon: float
) -> None:
    plan = make_market("marginal", nodes=2, epsilon=epsilon).plan
    releases = MarginalFamily().releases(plan, plan.participants[0].contributor)
    accountant = PLDAccountant()
    for release in releases:
        assert isinstance(release.event, GaussianEvent)
        accountant.compose(dp_event.GaussianDpEvent(release.event.noise_multiplier))
    assert accountant.get_epsilon(plan.delta) == pytest.approx(epsilon, rel=5e-3, abs=2e-4)


def test_pairs_with_the_target_are_released_where_noise_exceeds_the_triples(
    make_market: MakeMarket,
) -> None:
    tables = {}
    for epsilon in (0.05, 30.0, None):
        market = make_market("marginal", nodes=2, epsilon=epsilon)
        codebook = codebook_of(honest(market), market.plan.schema)
        workload = workload_of(market.plan, codebook, MarginalFamily().table_noise(market.plan))
        tables[epsilon] = workload.tables
        shutil.rmtree(market.folder)
    assert tables[0.05] == ((0, 2), (1, 2), (0, 1, 2))
    assert tables[30.0] == tables[None] == ((0, 1, 2),)


def test_a_noisy_order_is_trained_and_its_references_give_every_pair(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.families.release_noise._MOST_ERROR", 1e-6)
    market = make_market("marginal", nodes=2, epsilon=3.0)
    outcome = market.run()
    codebook = codebook_of(outcome.shared, market.plan.schema)
    assert len(released_tables(codebook, market.plan).tables) == 3
    references = references_of(
        market.plan, codebook, outcome.references, [each.contributor for each in market.plan.participants]
    )
    assert references.shape == (2, score_tables(codebook, market.plan.schema).cells)
    assert len(score_tables(codebook, market.plan.schema).tables) == 3


def honest(market: Market) -> dict[str, Array]:
    schema = market.plan.schema
    state = next(iter(market.states.values()))
    return codebook_arrays(build_codebook(schema, release_bins(state.values, base_grid(schema), 0.0)))


def edited(arrays: dict[str, Array], name: str, place: int, change: int) -> dict[str, Array]:
    changed = {key: np.array(value) for key, value in arrays.items()}
    changed[name][place] += change
    return changed


def test_a_codebook_of_real_counts_is_taken(make_market: MakeMarket) -> None:
    market = make_market("marginal", nodes=1)
    arrays = honest(market)
    book = codebook_of(arrays, market.plan.schema)
    assert np.array_equal(book.low, arrays["low"])


@pytest.mark.parametrize(
    ("name", "place", "change"),
    [("low", 0, 1), ("width", 0, 1), ("low", 2, -1), ("width", -3, -1)],
    ids=["lowest value left out", "overlap", "unsorted or overlapping", "gap or end left out"],
)
def test_refuses_a_codebook_that_some_tables_would_not_fit(
    make_market: MakeMarket, name: str, place: int, change: int
) -> None:
    """A refusal that depends on the rows would tell whether a value is there, for no epsilon."""
    market = make_market("marginal", nodes=1)
    arrays = edited(honest(market), name, place, change)
    with pytest.raises(MarginalError, match="codebook"):
        codebook_of(arrays, market.plan.schema)


def test_a_probing_codebook_is_refused_whatever_the_table_holds(make_market: MakeMarket) -> None:
    """Age 18 is left out; no row of the second table has it."""
    market = make_market("marginal", nodes=2)
    arrays = edited(edited(honest(market), "low", 0, 1), "width", 0, -1)
    reasons = []
    for number, (address, state) in enumerate(market.states.items()):
        if number:
            state.values[state.values[:, 0] == 0, 0] = 1
        task = Task(market.plan.order, "tables", address, {"plan": market.plan.document()}, arrays)
        with pytest.raises(TaskRefused) as caught:
            handle(task, state, Worker(address), MarginalFamily())
        reasons.append(str(caught.value))
        assert state.ledger.entries() == ()
    assert reasons[0] == reasons[1]
