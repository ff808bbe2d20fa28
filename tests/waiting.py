"""Waiting for what another thread or process does. A wait is for an event; its ceiling only ends a hang."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
HANG_SECONDS = 600.0
"""Longer than anything here takes on a machine that is busy with other work: it says nothing about speed."""


def until(look: Callable[[], T | None], what: str, pause_seconds: float = 0.02) -> T:
    """The first answer of `look` that is true; AssertionError names `what` when none comes at all."""
    give_up = time.monotonic() + HANG_SECONDS
    while not (found := look()):
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(pause_seconds)
    return found
