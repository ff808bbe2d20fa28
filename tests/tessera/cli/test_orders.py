"""What `tessera request` says: after an interruption, and about the terms before they are signed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import OrderState
from tessera.cli.orders import _say_where_it_stands
from tessera.client.order_request import Quote
from tessera.order_display import show_terms
from tests.tessera.client.test_buyer import COLLECTION, NOW, REQUEST, TERMS, an_order


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
