"""What a node and the coordinator say: not the same thing over and over, and how far a task is."""

from __future__ import annotations

from provenance.api.queue import Progress
from tessera.cli.console import RateLimitedLog, line_of
from tests.waiting import HANG_SECONDS


def test_like_messages_are_said_once_for_a_while() -> None:
    said: list[str] = []
    limited = RateLimitedLog(said.append, pause_seconds=HANG_SECONDS)
    for number in range(5):
        limited.say(f"down {number}")
    assert said == ["down 0"]


def test_progress_line_says_round_loss_and_epsilon() -> None:
    text = line_of("round/0003", Progress(message="training", round=3, rounds=6, loss=0.51234, epsilon=1.5))
    assert text == "round/0003: training   round 3 of 6   loss 0.5123   epsilon 1.5"
