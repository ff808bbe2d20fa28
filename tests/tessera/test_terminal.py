"""What a market, a manifest or a table says is shown on a terminal and commands nothing."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

from provenance.api.market import Event
from provenance.api.orders import MessageEvent, OrderState, ProgressEvent, StateEvent
from tessera.errors import TesseraError
from tessera.order_display import OrderDisplay
from tessera.terminal import PlainConsole, remark, say, say_error, say_json

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J\u202e[bold]"
COMMANDS = ("\x07", "\x1b", "\x9b", "\u202e")


def test_what_is_said_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    say_json({EVIL: EVIL})
    remark(EVIL)
    say_error(TesseraError(EVIL))
    said = "".join(capsys.readouterr())
    assert not any(command in said for command in COMMANDS)
    assert said.count("[bold]") == 5


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_order_s_events_and_a_table_command_nothing(is_terminal: bool) -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=is_terminal, color_system=None, width=200)
    display = OrderDisplay(console)
    with display.shown():
        display.take(Event(1, StateEvent(state=OrderState.REFUNDED, reason=EVIL)))
        display.take(Event(2, ProgressEvent(message=EVIL)))
        display.take(Event(3, MessageEvent(text=EVIL)))
    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    console.print(table)
    assert "\\u001b]52" in file.getvalue()
    assert "\x1b]52" not in file.getvalue()
    assert not any(command in file.getvalue() for command in ("\x07", "\x9b", "\u202e", "\x1b[2J\\"))
