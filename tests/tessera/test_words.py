"""Refusals as people read them."""

from __future__ import annotations

import pytest

from provenance.chain.errors import RevertError
from tessera.terminal import say_error
from tessera.words import refusal

NOW = 1_795_919_439


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("OrderEscrow_WrongState", {"order": b"\x01" * 32, "state": 6}, "the order was refunded already"),
        ("OrderEscrow_TooEarly", {"order": b"", "deadline": NOW + 86_400}, "(in 1 day)"),
        ("Disputes_WindowClosed", {"order": b"", "endsAt": NOW - 60}, "(1 minute ago)"),
        (
            "ContributorRegistry_InsufficientStake",
            {"contributor": "0x1", "free": 5 * 10**17, "needed": 3 * 10**18},
            "0x1 has 0.5 tokens of free stake, 3 tokens are needed",
        ),
    ],
)
def test_a_contract_s_refusal_is_said_in_words(name: str, arguments: dict[str, object], words: str) -> None:
    error = RevertError(
        f"OrderEscrow.refund: the contract refused with {name}(...)", name=name, arguments=arguments
    )
    said = refusal(error, NOW)
    assert words in said
    assert name not in said
    assert said.startswith("OrderEscrow.refund: ")


def test_a_refusal_without_words_of_ours_keeps_the_contract_s(capsys: pytest.CaptureFixture[str]) -> None:
    error = RevertError(
        "x: the contract refused with Other_Thing(y=1)", name="Other_Thing", arguments={"y": 1}
    )
    assert refusal(error, NOW) == str(error)
    say_error(error)
    assert "Other_Thing(y=1)" in capsys.readouterr().err
