"""Figures against what was written down."""

from __future__ import annotations

import json

import pytest

from scripts.checks.gas import SNAPSHOT, GasError, changes, check

EXPECTED = {"gas": {"place": 100_000}, "size": {"OrderEscrow": 20_000}}


@pytest.mark.parametrize(
    ("gas", "message"),
    [
        ({"place": 102_001}, r"gas of place: 102,001 found, 100,000 expected \(\+2\.0 %\)"),
        ({"place": 97_000}, r"gas of place: 97,000 found, 100,000 expected \(-3\.0 %\)"),
        ({}, "gas of place: not measured, 100,000 expected"),
        ({"place": 100_000, "claim": 5}, "gas of claim: 5, not written down yet"),
    ],
)
def test_refuses_figures_that_moved_and_says_how_to_renew(gas: dict[str, int], message: str) -> None:
    with pytest.raises(GasError, match=message) as caught:
        check({**EXPECTED, "gas": gas}, EXPECTED)
    assert "make gas-snapshot" in str(caught.value)


def test_refuses_a_contract_that_grew() -> None:
    with pytest.raises(GasError, match="size of OrderEscrow: 21,000 found"):
        check({**EXPECTED, "size": {"OrderEscrow": 21_000}}, EXPECTED)


@pytest.mark.parametrize("found", [98_000, 100_000, 102_000])
def test_takes_what_is_within_the_tolerance(found: int) -> None:
    assert changes({"place": found}, {"place": 100_000}, 2.0) == []


def test_what_is_written_down_keeps_the_limits_of_the_chain() -> None:
    figures = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert max(figures["gas"].values()) < 16_777_216
    assert max(figures["size"].values()) <= 24_576
