"""Refusals as people read them, and options where the library names parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from provenance.chain.errors import RevertError
from tessera.cli.app import app
from tessera.errors import UsageError
from tessera.terminal import say_error
from tessera.words import PARAMETERS, refusal, with_options

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("name the delivery key (key=)", "name the delivery key (--key)"),
        ("rows= is missing: leave where= out, or rows=", "--rows is missing: leave --where out, or --rows"),
        ("first_row=: found 3. row=7: of shard 1", "--first-row: found 3. --row 7: of shard 1"),
        ("store=./here: no such folder; try file=.", "--store ./here: no such folder; try --salt-file."),
        ("choose another file (to=)", "choose another file (--out)"),
        ("found 'rows=3', and a.key=5, disclose=True", "found 'rows=3', and a.key=5, disclose=True"),
    ],
)
def test_a_command_names_the_option_of_a_parameter(
    message: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert with_options(message) == said
    say_error(UsageError(message))
    assert capsys.readouterr().err == f"error: {said}\n"


def test_every_parameter_has_an_option_of_some_command() -> None:
    def options(command: Any) -> set[str]:
        found = {name for each in command.params for name in each.opts}
        return found.union(*map(options, getattr(command, "commands", {}).values()))

    assert set(PARAMETERS.values()) <= options(typer.main.get_command(app))


def test_messages_of_the_library_name_no_option_beside_whole_commands() -> None:
    files = [ROOT / "tessera" / "verification.py", *(ROOT / "tessera" / "client").glob("*.py")]
    files += (ROOT / "tessera" / "local").glob("*.py")
    assert len(files) > 20
    said = [(file.name, text) for file in files for text in texts(file.read_text(encoding="utf-8"))]
    assert len(said) > 500
    named = [each for each in said if re.search(r"(?<!\w)--[a-z]", re.sub(r"`[^`]*`", "", each[1]))]
    assert named == []


def texts(source: str) -> Iterator[str]:
    """Every text of a module but for its documentation; what is filled in stands there as `{}`."""
    tree = ast.parse(source)
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inner |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value
