"""Words of others cannot give commands to a terminal, nor begin a line in a log."""

from __future__ import annotations

import json
import logging

import pytest

from provenance.chain.errors import ChainUnavailableError
from provenance.chain.rpc import Rpc
from provenance.printable import PlainFormatter, printable, shown_url

COMMANDS = [
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b[2J",
    "\x9b2J",
    "a\rb",
    "a\x08b",
    "\x00",
    "\x7f",
    "\u202egpj.exe",
    "\u2066x",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_a_command_is_written_out_and_means_the_same_in_json(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_words_of_every_language_line_ends_and_tabs_stay() -> None:
    text = "Zürich\n\t東京 \U0001f600 e\u0301"
    assert printable(text) == text


def test_an_entry_of_a_log_begins_one_line() -> None:
    record = logging.LogRecord(
        "x", logging.WARNING, "", 1, "refused: %s", ("no\n12:00:00 INFO all is well",), None
    )
    assert PlainFormatter("%(levelname)s %(message)s").format(record) == (
        "WARNING refused: no\n    12:00:00 INFO all is well"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://rpc.example/v3/0123456789abcdef", "https://rpc.example"),
        ("https://user:secret@rpc.example:8545/?key=secret#x", "https://rpc.example:8545"),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://[::1]:8545/", "http://[::1]:8545"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_key(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_chain_that_does_not_answer_is_named_without_its_key() -> None:
    rpc = Rpc("http://user:secret@127.0.0.1:1/v3/secret")
    with pytest.raises(ChainUnavailableError, match=r"http://127\.0\.0\.1:1: no usable answer") as caught:
        rpc.integer("eth_chainId")
    assert "secret" not in str(caught.value)
