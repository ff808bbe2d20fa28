"""Every transaction of the product on a real chain: within what is promised and what a chain takes."""

from __future__ import annotations

from typing import TypeAlias

import pytest

from benchmarks.gas import disputes, order
from benchmarks.gas.figures import Contract, Figure, check
from benchmarks.gas.market import market
from benchmarks.run_gas import SHORT
from provenance.chain.deployment import CONTRACTS
from provenance.chain.market_plan import MARKET_DEPLOYER

Measured: TypeAlias = tuple[list[Contract], list[Figure]]


@pytest.fixture(scope="module")
def measured() -> Measured:
    with market() as place:
        contracts = place.contracts()
        return contracts, [figure for measure in SHORT for figure in measure(place)]


def test_every_step_and_contract_is_within_its_limit(measured: Measured) -> None:
    contracts, figures = measured
    assert sorted(contract.name for contract in contracts) == sorted({*CONTRACTS.values(), MARKET_DEPLOYER})
    assert {figure.step for figure in figures if figure.limit is not None} >= {*order.LIMITS, "challenge"}
    assert min(figure.gas for figure in figures) > 21_000
    check(figures, contracts)


def test_every_transaction_of_a_dispute_is_measured(measured: Measured) -> None:
    steps = {figure.step for figure in measured[1]}
    challenges = {"commit", "challenge", disputes.VERIFIER, "store the model", "challengeModel"}
    answers = {"answerModel", "answerModelFromParts", "answerChunk", "answerReceipt"}
    assert steps >= challenges | answers | {"demandModel", "demandChunk", "demandStep", "expire"}


def test_the_verifier_and_the_stored_parts_are_parts_of_what_they_belong_to(measured: Measured) -> None:
    figures = measured[1]
    rows = [figure for figure in figures if figure.chapter.startswith("A false row")]
    assert len({figure.chapter for figure in rows}) == 3
    for chapter in {figure.chapter for figure in rows}:
        mine = [figure for figure in rows if figure.chapter == chapter]
        for case in ("model in calldata", "model stored before"):
            gas = {figure.step: figure.gas for figure in mine if figure.case == case}
            assert 300_000 < gas[disputes.VERIFIER] < gas["challenge"] - 21_000
        *parts, total = [figure for figure in mine if figure.step == "store the model"]
        assert len(parts) == total.transactions == (2 if "small" in chapter else 3)
        assert sum(figure.gas for figure in parts) == total.gas
