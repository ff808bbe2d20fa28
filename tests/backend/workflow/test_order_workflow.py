"""The workflow of an order: its stored names, and a database that is busy for a while."""

from __future__ import annotations

import sqlite3
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dbos._registrations import get_dbos_func_name
from sqlalchemy.exc import OperationalError

from backend.errors import Stopping
from backend.ports import Ports
from backend.workflow import dbos_runner, order_workflow


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
        order_workflow._retry_busy_database(_ports(stopping), _Busy(1))


def test_a_step_is_repeated_until_the_database_answers(monkeypatch: Any) -> None:
    monkeypatch.setattr(order_workflow, "BUSY_SECONDS", 0.001)
    step = _Busy(3)
    assert order_workflow._retry_busy_database(_ports(threading.Event()), step) is True
    assert step.left == 0


class _Steps:
    """Stands for all parts of the workflow: every step succeeds, and the order is not over."""

    def __init__(self, *_arguments: object) -> None: ...

    def __getattr__(self, _step: str) -> Any:
        return lambda: None


def test_the_names_in_running_databases_stay(monkeypatch: Any) -> None:
    """A restart finds its workflow by these names. Whoever changes the steps raises VERSION as well."""
    for part in ("Matching", "Generation", "Settlement", "OrderLog"):
        monkeypatch.setattr(order_workflow, part, _Steps)
    names = []

    def note(name: str, step: Any) -> bool | None:
        names.append(name)
        return None

    order_workflow.run_order(_ports(threading.Event()), "0x00", note)
    assert names == ["place", "match", "train", "commit", "draw", "score", "publish", "settle"]
    assert (dbos_runner.WORKFLOW, dbos_runner.VERSION) == ("order_life", "order-life-1")
    assert get_dbos_func_name(dbos_runner._order_workflow) == "order_life"
