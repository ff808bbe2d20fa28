"""What is drawn, what the ledger records, what the statement says and what an independent accountant counts:
one and the same for every family."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from generator.families.family import family_of
from generator.families.settings import FAMILIES
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.marginals.bins import base_grid
from generator.marginals.workload import choose_workload
from generator.privacy import noise
from generator.privacy.accountant import GaussianEvent, PrivacyEvent, SubsampledGaussianEvent, epsilon_of
from generator.privacy.release import Release
from generator.privacy.statement import Mechanism
from provenance.table.schema import Schema
from provenance.values import Address, sha256
from tests.generator.families.conftest import MakeMarket

DELTA = 1e-5
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "toy",
        "target": "c",
        "columns": [
            {"name": name, "type": "string", "enum": ["a", "b", "c"]} for name in ("a", "b", "c", "d", "e")
        ],
    }
)


def pld_epsilon(events: list[PrivacyEvent]) -> float:
    accountant = PLDAccountant()
    for event in events:
        gaussian = dp_event.GaussianDpEvent(event.noise_multiplier)
        if isinstance(event, GaussianEvent):
            accountant.compose(gaussian)
        else:
            sampled = dp_event.PoissonSampledDpEvent(event.sample_rate, gaussian)
            accountant.compose(dp_event.SelfComposedDpEvent(sampled, event.steps))
    return float(accountant.get_epsilon(DELTA))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("rows", "contributors", "epsilon"), [(150, 1, 1.0), (3000, 4, 3.0)])
def test_a_whole_plan_costs_what_it_may_and_an_independent_accountant_agrees(
    family: str, rows: int, contributors: int, epsilon: float
) -> None:
    parties = tuple(
        PlanParticipant(Address(bytes([k + 1]) * 20), rows // contributors) for k in range(contributors)
    )
    plan = TrainingPlan(sha256(b"o"), family, SCHEMA, int(epsilon * 1e6), round(DELTA * 1e12), parties)
    for party in parties[:1]:
        releases = family_of(family).releases(plan, party.contributor)
        events = [release.event for release in releases if release.event is not None]
        assert len(events) == len(releases), "every release has its noise"
        own, reference = epsilon_of(events, DELTA), pld_epsilon(events)
        assert reference * 0.999 <= own <= epsilon
        assert own > 0.995 * epsilon, "little is left unspent"


class Drawn:
    """Counts what is asked of the noise module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.numbers: Counter[float] = Counter()
        self.calls: Counter[float] = Counter()
        self.samples: Counter[float] = Counter()
        gaussian, poisson = noise.gaussian, noise.poisson_sample

        def draw(count: int, std: Any, exponent: int = 0) -> Any:
            for each in np.unique(std) if count else ():
                self.numbers[round(float(each), 9)] += count
                self.calls[round(float(each), 9)] += 1
            return gaussian(count, std, exponent)

        def sample(rows: int, rate: float) -> Any:
            self.samples[round(rate, 12)] += 1
            return poisson(rows, rate)

        monkeypatch.setattr(noise, "gaussian", draw)
        monkeypatch.setattr(noise, "poisson_sample", sample)


CLIP = {"fedgan": 1.0, "autoregressive": 2.0}
"""Clip norms of the plans below."""


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_noise_that_is_drawn_is_what_ledger_and_statement_say(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch, family: str, nodes: int
) -> None:
    drawn = Drawn(monkeypatch)
    settings = {"clipPercent": 200} if family == "autoregressive" else {}
    market = make_market(family, nodes=nodes, epsilon=2.0, settings=settings)
    outcome = market.run()
    first = outcome.models[0]
    state = market.states[first.contributor]
    releases: list[Release] = [entry.release for entry in state.ledger.entries()]
    assert releases == list(family_of(family).releases(market.plan, first.contributor))
    events = {release.name: release.event for release in releases}
    statement: Any = first.statement
    assert statement["mechanisms"] == [
        Mechanism(name, event).document() for name, event in events.items() if event is not None
    ]
    assert all(model.statement["mechanisms"] == statement["mechanisms"] for model in outcome.models)

    grid = base_grid(market.plan.schema)
    workload = choose_workload(tuple(outcome.shared["code_counts"].tolist()), market.plan.schema.target_index)
    bins, tables = events.pop("bins"), events.pop("tables")
    assert isinstance(bins, GaussianEvent)
    assert isinstance(tables, GaussianEvent)
    for event, sensitivity, cells in (
        (bins, grid.sensitivity, int(grid.offsets[-1])),
        (tables, workload.sensitivity, workload.cells),
    ):
        assert drawn.numbers.pop(round(event.noise_multiplier * sensitivity, 9)) >= nodes * cells
    expected: Counter[float] = Counter()
    samples: Counter[float] = Counter()
    for step in events.values():
        assert isinstance(step, SubsampledGaussianEvent)
        expected[round(step.noise_multiplier * CLIP[family], 9)] += nodes * step.steps
        samples[round(step.sample_rate, 12)] += nodes * step.steps
    assert drawn.samples == samples
    assert set(drawn.numbers) == set(expected), "noise of no other strength is drawn"
    sgd_calls = {std: drawn.calls[std] for std in expected}
    calls_a_step = {std: sgd_calls[std] / expected[std] for std in expected}
    assert all(calls.is_integer() and calls >= 1 for calls in calls_a_step.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_without_epsilon_no_noise_is_drawn_and_the_ledger_says_unprotected(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    drawn = Drawn(monkeypatch)
    market = make_market(family, nodes=1, epsilon=None)
    model = market.run().models[0]
    assert set(drawn.numbers) <= {0.0}
    entries = market.states[model.contributor].ledger.entries()
    assert all(entry.release.event is None for entry in entries)
    assert np.isinf(market.states[model.contributor].ledger.spent())
