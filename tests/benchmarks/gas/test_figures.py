"""Figures beyond a limit are refused; the page holds all of them."""

from __future__ import annotations

import pytest

from benchmarks.gas.figures import CODE_LIMIT, Contract, Figure, GasLimitError, check, page
from provenance.chain.fees import TRANSACTION_GAS_CAP

SMALL = Contract("Escrow", CODE_LIMIT, 2_000_000)


@pytest.mark.parametrize(
    ("figures", "contracts", "message"),
    [
        (
            [Figure("claim", "used", 60_001, 60_000)],
            [],
            r"claim \(used\): 60,001 gas, promised are at most 60,000",
        ),
        (
            [Figure("challenge", "calldata", TRANSACTION_GAS_CAP + 1)],
            [],
            r"challenge \(calldata\): 16,777,217 gas, the chain takes at most 16,777,216",
        ),
        (
            [],
            [Contract("Big", CODE_LIMIT + 1, 5)],
            "Big: 24,577 bytes of code, the chain takes at most 24,576",
        ),
        ([], [Contract("Dear", 5, TRANSACTION_GAS_CAP + 1)], r"deployment \(Dear\): 16,777,217 gas"),
    ],
)
def test_refuses_what_is_beyond_a_limit(
    figures: list[Figure], contracts: list[Contract], message: str
) -> None:
    with pytest.raises(GasLimitError, match=message):
        check([Figure("place", "used", 100_000, 120_000), *figures], [SMALL, *contracts])


def test_names_everything_that_is_beyond_at_once() -> None:
    with pytest.raises(GasLimitError) as caught:
        check([Figure("a", "x", 2, 1), Figure("b", "x", 2, 1)], [])
    assert len(str(caught.value).splitlines()) == 3


def test_takes_figures_at_their_limits() -> None:
    check(
        [Figure("claim", "used", 60_000, 60_000), Figure("challenge", "stored", TRANSACTION_GAS_CAP)], [SMALL]
    )


def test_takes_a_sum_over_transactions_beyond_the_cap_of_one() -> None:
    check([Figure("store", "all", TRANSACTION_GAS_CAP + 1, transactions=2)], [SMALL])
    with pytest.raises(GasLimitError, match="store"):
        check([Figure("store", "all", TRANSACTION_GAS_CAP + 1, transactions=1)], [SMALL])


def test_takes_a_broken_promise_with_its_reason_and_no_reason_for_a_kept_one() -> None:
    check([Figure("challenge", "stored", 601_000, 600_000, argued="dear")], [SMALL])
    with pytest.raises(GasLimitError, match=r"challenge \(stored\): 600,000 gas hold; take away why"):
        check([Figure("challenge", "stored", 600_000, 600_000, argued="dear")], [SMALL])


def test_a_reason_does_not_lift_the_cap_of_a_transaction() -> None:
    with pytest.raises(GasLimitError, match="the chain takes at most"):
        check([Figure("challenge", "stored", TRANSACTION_GAS_CAP + 1, 600_000, argued="dear")], [SMALL])


def test_the_page_shows_every_figure_in_its_chapter_and_those_of_others() -> None:
    figures = [
        Figure("publish", "first", 580_000),
        Figure("publish", "used", 300_000, 350_000),
        Figure("challenge", "stored", 601_000, 600_000, "Disputes", argued="it is dear"),
        Figure("claim", "used", 43_000, 60_000),
        Figure("store", "2 transactions", 20_000_000, None, "Disputes", 2),
    ]
    lines = page(figures, [SMALL], {"chain": "anvil 9"}).splitlines()
    assert "- chain: anvil 9" in lines
    orders, disputes = lines.index("## An order"), lines.index("## Disputes")
    assert lines[orders + 3 : disputes] == [
        "| publish | first | 580,000 | 16,777,216 | yes |",
        "| publish | used | 300,000 | 350,000 | yes |",
        "| claim | used | 43,000 | 60,000 | yes |",
        "",
    ]
    assert lines[disputes + 3 : lines.index("## Beside others")] == [
        "| challenge | stored | 601,000 | 600,000 | **no** |",
        "| store | 2 transactions | 20,000,000 |  |  |",
        "",
        "challenge, stored: it is dear",
        "",
    ]
    assert "| Tessera, publish, first | 580,000 | 0.50 | 1.93 |" in lines
    assert "| Ocean, full publish of a data set | 1,160,000 | 1.00 | 3.87 |" in lines
    assert "| Escrow | 24,576 | 24,576 | yes | 2,000,000 |" in lines
