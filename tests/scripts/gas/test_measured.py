"""Every transaction of the product on a real chain: within what is promised and what a chain takes."""

from __future__ import annotations

from provenance.ledger.deployment import CONTRACTS
from scripts.benchmark_gas import MEASUREMENTS
from scripts.gas.figures import check
from scripts.gas.market import market
from scripts.gas.order import LIMITS


def test_every_step_and_contract_is_within_its_limit():
    with market() as place:
        contracts = place.contracts()
        figures = [figure for measure in MEASUREMENTS for figure in measure(place)]
    assert [each.name for each in contracts] == list(CONTRACTS.values())
    assert {each.step for each in figures if each.limit is not None} >= set(LIMITS)
    assert min(each.gas for each in figures) > 21_000
    check(figures, contracts)
