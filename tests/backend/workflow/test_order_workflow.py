"""A life of an order outlasts a database that is busy for a while."""

from __future__ import annotations

import sqlite3
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import OperationalError

from backend.errors import Stopping
from backend.ports import Ports
from backend.workflow import order_workflow as life


class _Busy:
    """A step whose database is locked so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        if self.left:
            self.left -= 1
            raise OperationalError("UPDATE orders", {}, sqlite3.OperationalError("database is locked"))
        return True


def _ports(stopping: threading.Event) -> Ports:
    return cast(Ports, SimpleNamespace(stopping=stopping))


def test_a_leaving_process_does_not_wait_for_the_database() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Stopping):
        life._patiently(_ports(stopping), _Busy(1))


def test_a_step_is_repeated_until_the_database_answers(monkeypatch: Any) -> None:
    monkeypatch.setattr(life, "BUSY_SECONDS", 0.001)
    step = _Busy(3)
    assert life._patiently(_ports(threading.Event()), step) is True
    assert step.left == 0
