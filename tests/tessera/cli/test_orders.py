"""What `tessera request` says: after an interruption, and about the terms before they are signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provenance.api.message import Uint256
from provenance.api.orders import DemandView, FaultView
from provenance.chain.disputes import MANIFEST_SHARD
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import OrderState
from provenance.units import TOKENS
from provenance.values import Address
from tessera.cli.orders import _say_where_it_stands, _show_stock
from tessera.client.order_request import Quote
from tessera.order_display import fault_lines, show_terms
from tests.tessera.client.test_buyer import COLLECTION, MODEL, NOW, REQUEST, TERMS, an_order


@pytest.mark.parametrize(
    ("state", "said", "silent"),
    [
        (OrderState.NONE, ["is with the broker, not on chain yet", "tessera cancel", "tessera refund"], []),
        (OrderState.OPEN, ["no contributors are matched yet", "tessera cancel", "(in 10 minutes)"], []),
        (OrderState.MATCHED, ["contributors work on it", "tessera refund"], ["tessera cancel"]),
        (OrderState.PUBLISHED, ["its rows are delivered"], ["tessera cancel", "tessera refund"]),
    ],
)
def test_an_interrupted_request_says_where_things_stand_and_how_to_go_on(
    capsys: pytest.CaptureFixture[str], state: OrderState, said: list[str], silent: list[str]
) -> None:
    client: Any = SimpleNamespace(
        chain=SimpleNamespace(order=lambda _id: SimpleNamespace(state=state), chain_time=lambda: NOW)
    )
    _say_where_it_stands(client, an_order(), Path("rows.csv.order.json"))
    seen = capsys.readouterr().err
    for words in [*said, str(an_order().order_id), "the same command goes on"]:
        assert words in seen
    for words in silent:
        assert words not in seen


def test_a_chain_that_is_down_hides_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    def down(_order: object) -> None:
        raise ChainUnavailableError("no usable answer")

    client: Any = SimpleNamespace(chain=SimpleNamespace(order=down))
    _say_where_it_stands(client, an_order(), Path("rows.csv.order.json"))
    seen = capsys.readouterr().err
    assert "no usable answer" in seen
    assert "the same command goes on" in seen


def test_an_order_says_who_failed_what_it_cost_and_what_came_back() -> None:
    node, other = Address(bytes([0xA1]) * 20), Address(bytes([0xB2]) * 20)
    faults = (
        FaultView(kind="dropped", shard=0, contributor=node, slashed_wei=Uint256(5 * 10**17)),
        FaultView(kind="convicted", shard=1, contributor=other, slashed_wei=Uint256(10**18)),
        FaultView(kind="fined", shard=None, contributor=node, slashed_wei=Uint256(10**17)),
        FaultView(kind="broker", shard=None, contributor=None, slashed_wei=Uint256(2 * 10**18)),
    )
    demands = (
        DemandView(shard=2, kind="receipt", state="warned", demander=node, answer_by=NOW + 60),
        DemandView(shard=MANIFEST_SHARD, kind="manifest", state="open", demander=node, answer_by=NOW + 600),
        DemandView(shard=1, kind="model", state="answered", demander=node, answer_by=NOW),
    )
    view: Any = SimpleNamespace(faults=faults, demands=demands, refunded_wei=3 * 10**18)
    found = list(fault_lines(view, NOW, TOKENS))
    for line, words in zip(
        found,
        (
            f"shard 0 of {node} delivered nothing: 0.5 tokens of its stake burned",
            f"shard 1 of {other} was shown to be false, or withheld: 1 token",
            f"{node} did not say what it finds of the rows: 0.1 tokens",
            "it withheld the manifest: 2 tokens of its bond burned",
            "the receipt of shard 2 is demanded: the second and last time ends",
            "the manifest is demanded: to be answered by",
            "paid back  3 tokens to the buyer",
        ),
        strict=True,
    ):
        assert words in line
    assert "(in 1 minute)" in found[4]
    nothing: Any = SimpleNamespace(faults=(), demands=(), refunded_wei=None)
    assert list(fault_lines(nothing, NOW, TOKENS)) == []


def test_terms_are_shown_in_tokens_dates_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    terms = replace(TERMS, deliver_by=NOW + 6 * 86_400, challenge_seconds=7_200)
    show_terms(Quote(an_order().order_id, terms, REQUEST, COLLECTION, NOW))
    shown = capsys.readouterr().out
    for words in (
        "5 tokens, of it 5 % to the broker",
        "(in 6 days), else the money comes back",
        "2 hours after",
    ):
        assert words in shown
    assert "000000000000000000" not in shown.replace(str(TERMS.delivery_key), "")
    assert "made to order, minutes" in shown
    assert "in stock" not in shown


def test_terms_say_that_rows_come_from_stock_or_could(capsys: pytest.CaptureFixture[str]) -> None:
    show_terms(Quote(an_order().order_id, TERMS, REQUEST, COLLECTION, NOW, in_stock=MODEL.training))
    shown = " ".join(capsys.readouterr().out.split())
    assert f"models with this epsilon are in stock (order {MODEL.training}): --from-stock" in shown
    request = replace(REQUEST, training=MODEL.training)
    show_terms(Quote(an_order().order_id, TERMS, request, COLLECTION, NOW))
    assert "from stock, seconds: models of order" in " ".join(capsys.readouterr().out.split())


def test_stock_is_listed_with_what_it_was_trained_with(capsys: pytest.CaptureFixture[str]) -> None:
    _show_stock([MODEL], "toy")
    shown = "".join(capsys.readouterr().out.split())
    for words in ("modelsoftoyinstock", "2.5", "0.00001", "0.9", str(MODEL.training)[:8]):
        assert words in shown
